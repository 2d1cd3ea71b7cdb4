"""A registry: what there is of a kind, by name. Others add theirs; nothing is replaced without a word."""

from typing import TypeVar

from memrec_core.errors import InputError, shown

Entry = TypeVar("Entry")


class Registry(dict[str, Entry]):
    """A dict from names to what they stand for, which refuses another entry under a name that is taken.

    The same one may come again, as when its module is imported twice.
    """

    def __init__(self, kind: str, entries: dict[str, Entry]) -> None:
        super().__init__(entries)
        self.kind = kind

    def __setitem__(self, name: str, entry: Entry) -> None:
        if name in self and _place(self[name]) != _place(entry):
            raise InputError(f"there is a {self.kind} {shown(name)} already; give yours another name")
        super().__setitem__(name, entry)


def _place(entry: object) -> tuple[object, ...]:
    """Where it is defined; a record is known by what it holds."""
    if hasattr(entry, "__qualname__"):
        return getattr(entry, "__module__", None), getattr(entry, "__qualname__", None)
    return (repr(entry),)
