"""From where an estimate came to rest to the image itself: Algorithm 1's fixed point, with Anderson's acceleration."""

import torch
from torch import Tensor

from memrec_core.network import Network
from memrec_core.recovery.adaptive.attempt import pull_of_data
from memrec_core.recovery.adaptive.rest import TOLERANCE, History, Rested, distance, mean_square, these

FROM, TO = 3e-8, 1e-5
"""Of ||f(x) - x||^2: what is closer needs nothing more, what is further is not believed."""
GAMMA = 0.5
MOST = 20


def come_closer(f: Network, rested: Rested, y: Tensor, kept: Tensor, memory: int = 5) -> None:
    """Where `rested` is believed but not exact, put what has a smaller ||f(x) - x||^2 in its place.

    f reproduces a training image x* up to the training loss, so x* is no fixed point of m y + (1 - m) f(x): the next
    one is further from x* the slower that iteration comes to rest. It lets f contradict the kept pixels. Algorithm 1
    does not: its u gathers f's residual on them, until f(xi + u) = xi agrees with y.

    Args:
        f: the autoencoder.
        rested: where N estimates came to rest; changed in place.
        y: (N, C, H, W), the degraded images.
        kept: the mask m, (N, C, H, W), 0 or 1.
        memory: how many steps the acceleration remembers.
    """
    rows = ((rested.distance > FROM) & (rested.distance < TO)).nonzero()[:, 0]
    if not len(rows):
        return
    y, kept = y[rows], kept[rows]
    found, applications = _fixed_point(f, rested.images[rows], y, kept, memory)
    x = torch.lerp(found, y, kept)
    far = distance(x, f(x))
    rested.evaluations[rows] += applications + 1
    better = far < rested.distance[rows]
    rested.images[rows[better]], rested.distance[rows[better]] = x[better], far[better]


def _fixed_point(f: Network, s: Tensor, y: Tensor, kept: Tensor, memory: int) -> tuple[Tensor, Tensor]:
    """The xi of Algorithm 1 with the least step from s = xi + u on, and how often f was applied, (N,)."""
    found, applications = s.clone(), torch.zeros(len(s), dtype=torch.int64, device=s.device)
    least, rows = s.new_full((len(s),), torch.inf), torch.arange(len(s), device=s.device)
    history, pull = History(memory), pull_of_data(kept, GAMMA)
    for _ in range(MOST):
        v = f(s)
        xi = torch.lerp(2 * v - s, y, pull)  # (17)
        step = xi - v
        moved = mean_square(step)
        applications[rows] += 1
        better = moved < least[rows]
        found[rows[better]], least[rows[better]] = xi[better], moved[better]
        going = moved > TOLERANCE
        if not going.any():
            break
        s = history.next(s, step, lost=torch.zeros_like(going))
        if not going.all():
            going = going.nonzero()[:, 0]
            s, y, pull, rows = these(going, s, y, pull, rows)
            history.keep(going)
    return found, applications
