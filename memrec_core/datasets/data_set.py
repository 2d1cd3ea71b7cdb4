"""What a data set knows of itself: how it is read, where it lies, and how it is fetched."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memrec_core.arguments import described
from memrec_core.datasets.image_set import ImageSet
from memrec_core.errors import InputError

ASKED = ("count", "size", "channels", "seed", "split")
"""What every data set is asked for."""


@dataclass(frozen=True)
class DataSet:
    """A data set, as the registry DATA_SETS has it.

    Raises InputError where `load` does not take what every data set is asked for.

    Args:
        name: what an experiment calls it.
        load: reads it. It takes by keyword `count` (a number of images, or None for all), `size` (height and width in
            pixels), `channels` (1: grey, 2: grey and alpha, 3: RGB, 4: RGB and alpha), `seed` and `split` (`train` or
            `control`), and options of its own, such as `root`. What it returns is checked by `read`.
        place: what its folder or archive is called below the data folder, as a pattern of glob. None where it needs
            no place, or where only the user knows it.
        fetch: puts it into the data folder, from its publisher. None where that can't be.
    """

    name: str
    load: Callable[..., ImageSet]
    place: str | None = None
    fetch: Callable[[Path], None] | None = None

    def __post_init__(self) -> None:
        if missing := [asked for asked in ASKED if not self._takes(asked)]:
            raise InputError(
                f"data set {self.name}: its load takes no {' and no '.join(missing)}; give it the keywords "
                f"{', '.join(ASKED)}"
            )

    @property
    def options(self) -> tuple[str, ...]:
        """The options that are its own, such as `root`."""
        named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = inspect.signature(self.load).parameters.values()
        return tuple(one.name for one in parameters if one.kind in named and one.name not in ASKED)

    @property
    def summary(self) -> str:
        """What it is, from where it is defined."""
        return inspect.getdoc(inspect.getmodule(self.load)) or inspect.getdoc(self.load) or ""

    def read(self, options: dict[str, Any], **asked: Any) -> ImageSet:
        """The images that are `asked` for, with the data set's own `options`.

        Raises InputError where it has no such option, or needs another, and where it returns other images than were
        asked for.
        """
        try:
            call = inspect.signature(self.load).bind(**asked, **options)
        except TypeError as error:
            raise InputError(f"data set {self.name} can't be loaded with options {sorted(options)}: {error}") from error
        found = self.load(*call.args, **call.kwargs)
        self._check(found, asked["count"], (asked["channels"], *asked["size"]))
        return found

    def _check(self, found: object, count: int | None, shape: tuple[int, int, int]) -> None:
        """Raise InputError unless `found` holds `count` images (any number where None) of that (C, H, W)."""
        if not isinstance(found, ImageSet):
            raise InputError(f"data set {self.name}: its load returned {described(found)}; return an ImageSet")
        images = found.images
        right = isinstance(images, Tensor) and images.dtype == torch.float32 and images.shape[1:] == shape
        if not right or len(images) < 1 or len(images) != (count or len(images)):
            wanted = f"({count or 'N'}, {', '.join(map(str, shape))})"
            raise InputError(
                f"data set {self.name}: its load returned {described(images)} where a float32 tensor of shape {wanted} "
                "was asked for; heed count, size and channels there"
            )
        low, high = (float(end) for end in images.aminmax())
        if not (low >= 0 and high <= 1):  # NaN is neither
            raise InputError(
                f"data set {self.name}: its load returned values from {low:g} to {high:g}, and expected are pixels in "
                "the range [0, 1]; divide 0 to 255 by 255"
            )

    def _takes(self, name: str) -> bool:
        parameters = inspect.signature(self.load).parameters
        return name in parameters or any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
