"""Large tensors in parts that stay in a processor's cache from one element-wise step to the next."""

from collections.abc import Iterator

import torch
from torch import Tensor

ENTRIES = 2**17
"""Of each tensor, in a part, for each thread: 512 KiB in float32."""


def in_cache(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same rows of all `tensors`, a few at a time; all at once where they don't lie on a CPU.

    The parts are views: what is done to them in place is done to the tensors.
    """
    first = tensors[0]
    if first.device.type != "cpu" or first.ndim == 0:
        return iter([tensors])
    rows = max(1, ENTRIES * torch.get_num_threads() // max(1, first[:1].numel()))
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)
