"""What a device says when its memory is too small, or when it is out of order."""

import torch

OUT_OF_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "_ALLOC_FAILED",
    "unable to find an engine",
    "Unable to find a valid cuDNN algorithm",
)
"""Words of errors that have no class of their own: a CPU's, cuBLAS's, and cuDNN's where no way is left that fits."""
OUT_OF_ORDER = ("CUDA error", "_STATUS_")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device's memory was too small: less at a time may fit."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or _says(error, OUT_OF_MEMORY)


def is_of_the_device(error: BaseException) -> bool:
    """Whether a device is out of memory or order, and the error not one of what it was given to do."""
    return is_out_of_memory(error) or isinstance(error, torch.AcceleratorError) or _says(error, OUT_OF_ORDER)


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    return any(word in str(error) for word in words)
