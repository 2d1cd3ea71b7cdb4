"""Images whose sides a network can't take, made larger by what they show at their edges."""

import torch.nn.functional as F
from torch import Tensor

from memrec_core.errors import InputError


def padded(x: Tensor, multiple: int) -> tuple[Tensor, int, int]:
    """`x` (N, C, H, W) with a height and width that `multiple` divides, and how many rows are new above, columns left.

    It is reflected at its edges, about as much at each of two opposite ones. Raises InputError where it is too small.
    """
    height, width = x.shape[-2:]
    down, across = -height % multiple, -width % multiple
    if not down and not across:
        return x, 0, 0
    top, left = down // 2, across // 2
    if down - top >= height or across - left >= width:
        raise InputError(
            f"images of {height} x {width} are too small to be padded by reflection to a multiple of {multiple}, for "
            "each edge can give less than the side; choose larger images"
        )
    return F.pad(x, (left, across - left, top, down - top), mode="reflect"), top, left
