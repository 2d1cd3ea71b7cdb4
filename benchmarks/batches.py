"""What packing brings: 50 images under 6 masks as one batch, and a batch that is filled up when images stop."""

import torch

from benchmarks.networks import Recording, memorising, shape_of
from benchmarks.rows import Row, side_by_side
from memrec_core import degradations, recovery
from memrec_core.degradations import MASKS
from memrec_core.precision import full_float32

REPEATS = 3


@torch.no_grad()
@full_float32()
def rows() -> list[Row]:
    model, images = memorising()
    masks = [degradations.mask(name, shape_of(images)) for name in MASKS.values()]
    degraded = [degradations.degrade(images, mask) for mask in masks]
    together = torch.cat(degraded)

    def packed() -> None:
        recovery.recover_unknown_mask(model, together, gamma=0.5)

    def apart() -> None:
        for part in degraded:
            recovery.recover_unknown_mask(model, part, gamma=0.5)

    def filled() -> None:
        recovery.recover_unknown_mask(model, together, gamma=0.5, batch_size=100)

    def in_turn() -> None:
        for part in together.split(100):
            recovery.recover_unknown_mask(model, part, gamma=0.5)

    recording = Recording(model)
    recovery.recover_unknown_mask(recording, together, gamma=0.5, batch_size=100)
    full = sum(size == 100 for size in recording.batches) / len(recording.batches)
    packed_s, apart_s, packing = side_by_side(packed, apart, REPEATS)
    filled_s, in_turn_s, filling = side_by_side(filled, in_turn, REPEATS)
    return [
        Row("batches: 50 images under 6 masks, together", packed_s, apart_s, 1 / packing, note="rival: mask by mask"),
        Row(
            "batches: 300 recoveries, filled up at 100",
            filled_s,
            in_turn_s,
            1 / filling,
            note=f"rival: 100 at a time; {100 * full:.0f} % of the applications were to a full batch",
        ),
    ]
