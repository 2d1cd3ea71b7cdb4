"""The data sets of an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Option = str | int | float | bool


@dataclass(frozen=True)
class Data:
    """A training set, and the control images beside it.

    Args:
        name: one of memrec_core.datasets.
        label: what the results call it.
        count: how many images are trained on; all that there are where it is None.
        size: of a picture in pixels, the side of a square or (height, width).
        channels: 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGB and alpha).
        root: its folder or archive; None for one that has no place.
        control_root: that of the control images; None where they come from the same place.
        control_count: how many images that were not trained on; as many as `count` where it is None, 0 for none.
        recover_count: how many of the training images are recovered, drawn at random; all where it is None. All are
            trained on.
        keep_duplicates: whether control images that are near-duplicates of training images count as control all the
            same.
        options: what else the data set takes.
    """

    name: str
    label: str
    count: int | None = None
    size: int | tuple[int, int] = 32
    channels: int = 3
    root: str | None = None
    control_root: str | None = None
    control_count: int | None = None
    recover_count: int | None = None
    keep_duplicates: bool = False
    options: Mapping[str, Option] = field(default_factory=dict, hash=False)

    def tree(self) -> dict[str, Any]:
        """Its entry, as YAML and JSON have it; the options stand beside the other entries."""
        return {
            "name": self.name,
            "label": self.label,
            "count": self.count,
            "size": self.size if isinstance(self.size, int) else [*self.size],
            "channels": self.channels,
            "root": self.root,
            "control_root": self.control_root,
            "control_count": self.control_count,
            "recover_count": self.recover_count,
            "keep_duplicates": self.keep_duplicates,
            **self.options,
        }

    def identity(self) -> dict[str, Any]:
        """Its entry without the places of the images, which are known by their pixels."""
        return {name: value for name, value in self.tree().items() if name not in ("root", "control_root")}

    @property
    def height(self) -> int:
        return self.size if isinstance(self.size, int) else self.size[0]

    @property
    def width(self) -> int:
        return self.size if isinstance(self.size, int) else self.size[1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        return self.channels, self.height, self.width
