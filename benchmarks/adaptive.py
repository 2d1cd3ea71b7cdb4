"""Our own method, which is told nothing, against the paper's and against deepinv's ADMM, which knows the mask."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.networks import SEED, memorising, shape_of
from benchmarks.rivals import deepinv_admm
from benchmarks.rows import Row, side_by_side
from memrec_core import degradations, metrics, recovery
from memrec_core.precision import full_float32
from memrec_core.recovery.adaptive.colour import ColourRule

MASKS = ["center", "bottom", "random_80", "stripes"]
REPEATS = 7
GAMMA = 0.5
"""The paper's for fc10, which both rivals are given."""
ITERATIONS = [20, 30, 40, 50, 60, 70, 80, 90, 100, 120]
"""Of deepinv's ADMM, of which it gets the fewest that recover what the most do."""
WITHIN = 1
"""So many images of a mask may be missing from the same recovered set."""


@torch.no_grad()
@full_float32()
def rows() -> list[Row]:
    """The demo's network and images under its four masks, in one batch, each method until its result."""
    model, images = memorising(48, 256)
    masks = [degradations.mask(name, shape_of(images), SEED).expand_as(images) for name in MASKS]
    mask, truth = torch.cat(masks), images.repeat(len(MASKS), 1, 1, 1)
    degraded = truth * mask

    def ours(restarts: int) -> Tensor:
        return recovery.recover_adaptive(model, degraded, restarts=restarts, repeats=len(MASKS)).images

    def papers() -> Tensor:
        return recovery.recover_unknown_mask(model, degraded, GAMMA, repeats=len(MASKS)).images

    def deepinvs(iterations: int) -> Tensor:
        """With (31) at the end, as our known-mask form has it: what is kept is put back."""
        admm, _ = deepinv_admm(model, mask, GAMMA, record=False, iterations=iterations)
        return torch.where(mask == 1, degraded, admm(degraded))

    ours_by = [accurate(ours(restarts), truth) for restarts in range(len(ColourRule.attempts) + 1)]
    theirs = {iterations: accurate(deepinvs(iterations), truth) for iterations in ITERATIONS}
    final = theirs[ITERATIONS[-1]]
    enough = next(iterations for iterations in ITERATIONS if max(alone(final, theirs[iterations])) <= WITHIN)
    rivals = [
        ("the paper's unknown mask", papers, accurate(papers(), truth), 4.0),
        (f"deepinv's ADMM, told the mask, {enough} iterations", lambda: deepinvs(enough), theirs[enough], 1.1),
    ]
    return [row for rival in rivals for row in against(*rival, ours, ours_by)]


def accurate(found: Tensor, truth: Tensor) -> Tensor:
    """Which are recovered, (N,) bool."""
    return metrics.mse(found, truth) < metrics.ACCURATE


def alone(first: Tensor, second: Tensor) -> list[int]:
    """How many the first recovers and the second does not, under each mask."""
    return (first & ~second).view(len(MASKS), -1).sum(1).tolist()


def against(
    name: str,
    rival: Callable[[], Tensor],
    theirs: Tensor,
    target: float,
    ours: Callable[[int], Tensor],
    ours_by: list[Tensor],
) -> list[Row]:
    """With all restarts, and with the fewest that recover what the rival does, which is what the target is for."""
    every = len(ours_by) - 1
    enough = next((number for number in range(every) if max(alone(theirs, ours_by[number])) <= WITHIN), every)
    rows = []
    for restarts, wanted in ((every, None), (enough, target)):
        ours_s, rival_s, ratio = side_by_side(lambda: ours(restarts), rival, REPEATS)  # noqa: B023
        have, had, lost = ours_by[restarts], int(theirs.sum()), alone(theirs, ours_by[restarts])
        what = "to the same recovered set" if wanted else "all restarts"
        counts = f"{int(have.sum())} of {len(have)} accurate, the rival {had}, {sum(lost)} of them alone"
        note = f"{restarts} restarts; {counts}"
        wanted = wanted if max(lost) <= WITHIN else None
        rows.append(Row(f"adaptive: {name}, {what}", ours_s, rival_s, 1 / ratio, wanted, note=note))
    return rows
