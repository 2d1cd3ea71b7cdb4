"""A network that is a file which says what it computes. The file's bytes stand where other networks have weights: so a
run keeps them, knows them by their digest, and hands them to its workers."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from memrec_core.arguments import check_counts
from memrec_core.errors import InputError, in_a_line, shown_name

Applied = Callable[[Tensor], Any]
"""A function of a batch of images (N, C, H, W)."""


class Program(nn.Module, ABC):
    """A network of that kind; its state dict is the file. It has no gradient that torch knows of.

    Args:
        size: of the file in bytes.
    """

    program: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        check_counts(size=size)
        self.register_buffer("program", torch.zeros(size, dtype=torch.uint8))
        self._opened: list[Applied] = []
        self.register_load_state_dict_post_hook(_close)

    def inside(self) -> nn.Module:
        """What stands for the network where its own methods are asked for."""
        return self

    @abstractmethod
    def opened(self) -> Applied:
        """The function that the file describes. Raises InputError where it describes none."""

    def forward(self, x: Tensor) -> Any:
        if not self._opened:
            self._opened.append(self.opened())
        return self._opened[0](x)

    def close(self) -> None:
        """Forget what was opened."""
        self._opened.clear()


def _close(program: nn.Module, _: object) -> None:
    """With other bytes, what was opened is another program's."""
    if isinstance(program, Program):
        program.close()


def as_tensor(path: str | Path) -> Tensor:
    """A file's bytes. Raises InputError where it can't be read, or is empty."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{shown_name(path)} can't be read ({in_a_line(error)}); check it") from error
    if not data:
        raise InputError(f"{shown_name(path)} is empty; save the model again")
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())


def as_bytes(file: Tensor) -> bytes:
    return file.cpu().numpy().tobytes()


def in_parts(applied: Applied, size: int) -> Applied:
    """`applied`, which takes `size` images at once, for any number: the last part is filled up with copies of its last
    image, and what is returned of those is left out."""

    def in_turn(x: Tensor) -> Any:
        parts = x.split(size)
        found = [applied(torch.cat([part, part[-1:].expand(size - len(part), *part.shape[1:])])) for part in parts]
        return _joined(found, len(x), size)

    return in_turn


def _joined(found: list[Any], count: int, size: int) -> Any:
    """What was returned for each part, as if it had been for all."""
    first = found[0]
    if isinstance(first, Tensor):
        is_of_images = first.dim() > 0 and len(first) == size
        return torch.cat(found)[:count] if is_of_images else first
    if isinstance(first, dict):
        return {name: _joined([own[name] for own in found], count, size) for name in first}
    if isinstance(first, list | tuple):
        return [_joined([own[place] for own in found], count, size) for place in range(len(first))]
    return first
