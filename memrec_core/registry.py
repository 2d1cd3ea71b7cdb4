"""A registry: what there is of a kind, by name. Others add theirs; none of memrec's own is replaced."""

from collections.abc import Mapping
from typing import Self, TypeVar

from memrec_core.errors import InputError, shown

Entry = TypeVar("Entry")


class Registry(dict[str, Entry]):
    """A dict from names to what they stand for, which keeps the entries that it was made with: what a result is called
    by memrec's own names is memrec's own. Raises InputError where another is put in the place of one."""

    def __init__(self, kind: str, entries: dict[str, Entry]) -> None:
        super().__init__(entries)
        self.kind, self.kept = kind, dict(entries)

    def __setitem__(self, name: str, entry: Entry) -> None:
        if name in self.kept and self.kept[name] is not entry:
            raise InputError(f"there is a {self.kind} {shown(name)} in memrec; give yours another name")
        super().__setitem__(name, entry)

    def update(self, *others: Mapping[str, Entry], **entries: Entry) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Each entry is checked as in `registry[name] = entry`, which a dict's own `update` would leave out."""
        for name, entry in {**dict(*others), **entries}.items():
            self[name] = entry

    def __ior__(self, others: Mapping[str, Entry]) -> Self:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`|=` with each entry checked, as `update` does."""
        self.update(others)
        return self
