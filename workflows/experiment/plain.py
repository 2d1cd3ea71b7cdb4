"""What a dataclass is as the file of an experiment has it: mappings, lists, texts, numbers and truth values."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from memrec_core.errors import InputError
from memrec_core.settings import BEFORE


def settings_of(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass, as they are."""
    return {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}


def plain_settings(thing: Any) -> dict[str, Any]:
    """The fields of a dataclass as YAML and JSON have them, but for those that are None where that is the default.

    Raises InputError for a value that these can't hold.
    """
    fields = dataclasses.fields(thing)
    names = [field.name for field in fields if field.default is not None or _is_set(thing, field)]
    return {name: plain(getattr(thing, name)) for name in names}


def changed_settings(thing: Any) -> dict[str, Any]:
    """The same, but for newer ones that have the value that there was before them: what tells its results from those of
    another, of an earlier revision too."""
    before = {field.name: field.metadata[BEFORE] for field in dataclasses.fields(thing) if BEFORE in field.metadata}
    settings = plain_settings(thing)
    return {name: value for name, value in settings.items() if name not in before or value != before[name]}


def _is_set(thing: Any, field: dataclasses.Field[Any]) -> bool:
    return getattr(thing, field.name) is not None


def plain(value: Any) -> Any:
    """A setting as YAML and JSON have it."""
    if isinstance(value, tuple | list):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    if dataclasses.is_dataclass(value):
        name = str(getattr(value, "name", ""))
        return as_written(name, value) if plain_settings(value) else name
    if value is not None and not isinstance(value, str | int | float | bool):
        raise InputError(f"{value!r:.60} can't be written in an experiment's file; give it as package.module:name")
    return value


def as_written(name: str, thing: Any) -> dict[str, Any]:
    """The entry that describes a dataclass which is registered under that name: what settings.made_from reads."""
    settings = plain_settings(thing)
    first = first_setting(type(thing)) if settings else None
    if first not in settings:
        return {name: settings}
    return {name: settings.pop(first), **settings}


def first_setting(made: Callable[..., Any]) -> str:
    """The name of the first setting."""
    return next(iter(inspect.signature(made).parameters), "")
