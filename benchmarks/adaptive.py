"""Our own method, which is told nothing, against the paper's and against deepinv's ADMM, which knows the mask."""

import torch
from torch import Tensor

from benchmarks.networks import SEED, memorising, shape_of
from benchmarks.rivals import deepinv_admm
from benchmarks.rows import Row, side_by_side
from memrec_core import degradations, metrics, recovery
from memrec_core.precision import full_float32

MASKS = ["center", "bottom", "random_80", "stripes"]
REPEATS = 7
GAMMA = 0.5
"""The paper's for fc10, which both rivals are given."""
ITERATIONS = [20, 30, 40, 60, 80, 120]
"""Of deepinv's ADMM, of which it gets the fewest that recover what the most do."""


@torch.no_grad()
@full_float32()
def rows() -> list[Row]:
    """The demo's network and images under its four masks, in one batch, each method until its result."""
    model, images = memorising(48, 256)
    masks = [degradations.mask(name, shape_of(images), SEED).expand_as(images) for name in MASKS]
    mask, truth = torch.cat(masks), images.repeat(len(MASKS), 1, 1, 1)
    degraded = truth * mask

    def ours() -> Tensor:
        return recovery.recover_adaptive(model, degraded, repeats=len(MASKS)).images

    def papers() -> Tensor:
        return recovery.recover_unknown_mask(model, degraded, GAMMA, repeats=len(MASKS)).images

    def deepinvs(iterations: int) -> Tensor:
        """With (31) at the end, as our known-mask form has it: what is kept is put back."""
        admm, _ = deepinv_admm(model, mask, GAMMA, record=False, iterations=iterations)
        return torch.where(mask == 1, degraded, admm(degraded))

    recovered = accurate(ours(), truth)
    theirs = {iterations: accurate(deepinvs(iterations), truth) for iterations in ITERATIONS}
    final = theirs[ITERATIONS[-1]]
    enough = next(iterations for iterations in ITERATIONS if theirs[iterations].equal(final))
    told = f"told the mask, {enough} iterations"
    return [
        *against("the paper's unknown mask, gamma 0.5", ours, papers, recovered, accurate(papers(), truth), 4.0),
        *against(f"deepinv's ADMM, {told}", ours, lambda: deepinvs(enough), recovered, final, 1.1),
    ]


def accurate(found: Tensor, truth: Tensor) -> Tensor:
    """Which are recovered, (N,) bool."""
    return metrics.mse(found, truth) < metrics.ACCURATE


def against(name: str, ours, rival, recovered: Tensor, theirs: Tensor, target: float) -> list[Row]:
    """The seconds of both, and how many images the rival alone recovers."""
    ours_s, rival_s, ratio = side_by_side(ours, rival, REPEATS)
    had, have, lost = int(theirs.sum()), int(recovered.sum()), int((theirs & ~recovered).sum())
    note = f"adaptive recovers {have} of {len(theirs)} accurately, the rival {had}"
    return [
        Row(f"adaptive: {name}", ours_s, rival_s, 1 / ratio, target, note=note),
        Row(f"adaptive: recovered by {name} alone", lost, had, lost, 1, at_most=True, unit="images"),
    ]
