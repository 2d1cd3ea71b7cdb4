"""float32 throughout: at an MSE of 1e-7, TF32 and half precision change which images count as recovered."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Matrix products and convolutions in true float32 inside the block or the decorated function.

    cuDNN's own default allows TF32 for convolutions, so it is not enough to leave the settings alone.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]
