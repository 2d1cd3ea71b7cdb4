"""The same recoveries as a user would write them, or with deepinv, in the same process."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.networks import center, memorising, network, photographs
from benchmarks.rows import Row, side_by_side
from memrec_core import recovery
from memrec_core.precision import full_float32
from memrec_core.recovery.admm import solve

REPEATS = 5
INNER = 40


@torch.no_grad()
@full_float32()
def rows() -> list[Row]:
    return [one_image_at_a_time(), *plain_batch(), *deepinv()]


def from_the_paper(f: Callable[[Tensor], Tensor], y: Tensor, gamma: float, outer: int) -> Tensor:
    """The alternation as one would write it from the paper, for a batch (N, C, H, W) that stays whole."""
    theta = torch.randint(0, 2, y.shape).to(y)
    for _ in range(outer):
        v, u = torch.zeros_like(y), torch.zeros_like(y)
        for _ in range(INNER):
            xi = torch.where(theta == 1, (y + gamma / 2 * (v - u)) / (1 + gamma / 2), v - u)
            v = f(xi + u)
            u = u + (xi - v)
        theta = (xi * (xi - 2 * y) <= 0).to(y)
    return xi


def one_image_at_a_time() -> Row:
    """Equal work: one outer iteration each. A sixteenth of the rival's images is timed, all of which cost the same."""
    model, images = network("fc10", 64, width=1024), photographs(256, 64)
    _, degraded = center(images)

    def ours() -> None:
        recovery.recover_unknown_mask(model, degraded, gamma=0.5, max_iterations=1)

    def rival() -> None:
        for i in range(16):
            from_the_paper(model, degraded[i : i + 1], 0.5, outer=1)

    ours_s, rival_s, ratio = side_by_side(ours, rival, 3)
    note = "one outer iteration of 256 images; 16 of the rival's were timed"
    return Row("rival: one image at a time, fc10 1024, 64 x 64", ours_s, 16 * rival_s, 16 / ratio, 14, note=note)


def plain_batch() -> list[Row]:
    """The whole batch goes on until its last image has stopped."""
    model, images = memorising()
    _, degraded = center(images)
    found = recovery.recover_unknown_mask(model, degraded, gamma=0.5)
    outer = int(found.iterations.max())
    ours_s, rival_s, ratio = side_by_side(
        lambda: recovery.recover_unknown_mask(model, degraded, gamma=0.5),
        lambda: from_the_paper(model, degraded, 0.5, outer),
        REPEATS,
    )
    note = f"until the last of 50 images stops, after {outer} outer iterations"
    return [Row("rival: the same loop, batched", ours_s, rival_s, 1 / ratio, note=note)]


def deepinv() -> list[Row]:
    """Algorithm 1 with the known mask."""
    model, images = memorising()
    mask, degraded = center(images)
    theta, gamma = mask.expand_as(degraded), 0.5
    rival, seen = deepinv_admm(model, mask, gamma)
    rival(degraded)
    theirs, ours = list(seen), []
    seen.clear()
    solve(lambda s: (ours.append(s.clone()), model(s))[1], degraded, theta, gamma, INNER)
    apart = max((a - b).abs().max().item() for a, b in zip(ours, theirs, strict=True))
    if apart > 1e-5:
        raise AssertionError(f"deepinv's iterates are {apart:.1e} away from ours: this is no comparison")
    bare, _ = deepinv_admm(model, mask, gamma, record=False)
    ours_s, rival_s, ratio = side_by_side(
        lambda: solve(model, degraded, theta, gamma, INNER), lambda: bare(degraded), 3 * REPEATS
    )
    note = f"{INNER - 1} applications to 50 images, iterates within {apart:.0e} of each other"
    why = "the pair above once more: both do the fixed number of iterations of Algorithm 1, which no image leaves early"
    return [
        Row("rival: deepinv's ADMM, known mask", ours_s, rival_s, 1 / ratio, 1.0, note=note),
        Row("rival: deepinv's ADMM, to the same recovered set", ours_s, rival_s, 1 / ratio, 2.0, note=why),
    ]


def deepinv_admm(
    model: Callable[[Tensor], Tensor], mask: Tensor, gamma: float, record: bool = True, iterations: int = INNER - 1
):
    """deepinv's ADMM for our problem (its data term has a half where ours has none), and the inputs of its denoiser.
    The mask is (C, H, W), or (N, C, H, W) where each image has its own."""
    # Of the extra `bench`, which the other checks do without.
    from deepinv.optim import ADMM  # pyright: ignore[reportMissingImports]
    from deepinv.optim.data_fidelity import L2  # pyright: ignore[reportMissingImports]
    from deepinv.optim.prior import PnP  # pyright: ignore[reportMissingImports]
    from deepinv.physics import Inpainting  # pyright: ignore[reportMissingImports]

    seen: list[Tensor] = []

    def denoiser(x: Tensor, *_: object) -> Tensor:
        if record:
            seen.append(x.clone())
        return model(x)

    physics = Inpainting(tuple(mask.shape[-3:]), mask=mask)  # pyright: ignore[reportArgumentType]
    admm = ADMM(data_fidelity=L2(), prior=PnP(denoiser), stepsize=2 / gamma, max_iter=iterations)
    zeros = lambda y: (torch.zeros_like(y), torch.zeros_like(y))  # noqa: E731
    return (lambda y: admm(y, physics, init=zeros(y))), seen
