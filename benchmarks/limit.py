"""How near the recovery is to the applications of the autoencoder that it needs, and these to the matrix products."""

import torch
from torch import Tensor, nn

from benchmarks.networks import Recording, center, network, photographs
from benchmarks.rows import Row, seconds, side_by_side
from memrec_core import recovery
from memrec_core.precision import full_float32

REPEATS = 3


@torch.no_grad()
@full_float32()
def rows() -> list[Row]:
    fc10 = network("fc10", 64, width=1024)
    of_fc10, recovery_s, calls = applications("fc10 1024, 64 x 64, batch 512", fc10, photographs(512, 64), outer=2)
    unet = network("unet", 32)
    of_unet, _, _ = applications("U-Net, 32 x 32, batch 64", unet, photographs(64, 32), outer=1)
    return [of_fc10, of_unet, matrix_products(fc10, recovery_s, calls)]


def applications(what: str, model: nn.Module, images: Tensor, outer: int) -> tuple[Row, float, list[int]]:
    """The applications that a recovery of so many outer iterations made, timed bare, over the whole recovery."""
    _, degraded = center(images)
    recording = Recording(model)

    def ours() -> None:
        recording.batches.clear()
        recovery.recover_unknown_mask(recording, degraded, gamma=0.5, max_iterations=outer)

    def bare() -> None:
        for size in recording.batches:
            model(degraded[:size])

    recovery_s, bare_s, ratio = side_by_side(ours, bare, REPEATS)
    note = "applications timed bare over the whole recovery"
    row = Row(f"near the limit: {what}", recovery_s, bare_s, 1 / ratio, 0.95, note=note)
    return row, recovery_s, list(recording.batches)


def matrix_products(model: nn.Module, recovery_s: float, calls: list[int]) -> Row:
    """The products of a recovery, each at the best rate that was measured for its shape, over the recovery."""
    best = 0.0
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            x = torch.rand(calls[0], layer.in_features)
            out = torch.empty(calls[0], layer.out_features)
            best += min(seconds(lambda x=x, w=layer.weight.T, out=out: torch.mm(x, w, out=out)) for _ in range(10))
    best *= sum(calls) / calls[0]
    note = "matrix products alone at their best, over the whole recovery"
    return Row("matrix products: fc10 1024, batch 512", recovery_s, best, best / recovery_s, 0.85, note=note)
