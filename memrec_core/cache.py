"""Large tensors in parts that stay in a processor's cache from one element-wise step to the next."""

from collections.abc import Iterator

from torch import Tensor

ENTRIES = 2**16
"""Of each tensor, in a part: 256 KiB in float32."""


def in_cache(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same rows of all `tensors`, a few at a time; all at once where they don't lie on a CPU.

    The parts are views: what is done to them in place is done to the tensors.
    """
    first = tensors[0]
    rows = ENTRIES // max(1, first[:1].numel()) if first.device.type == "cpu" else len(first)
    return zip(*(tensor.split(max(1, rows)) for tensor in tensors), strict=True)
