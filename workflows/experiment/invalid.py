"""What pydantic finds wrong with an experiment, as one sentence of the user's own words."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from memrec_core.errors import shown
from workflows.experiment.settings import UNKNOWN_KEY

ORDER = {UNKNOWN_KEY: 0, "missing": 2}
Location = tuple[int | str, ...]


def sentence(error: ValidationError, tree: Any) -> str:
    """One of the complaints about `tree`, which is no experiment: an unknown key before all others, since it may be
    meant for what is missing."""
    errors = error.errors(include_url=False, include_context=False)
    first = min(errors, key=lambda entry: ORDER.get(entry["type"], 1))
    where = ".".join(shown(str(part), quoted=False) for part in _as_written(first["loc"], tree))
    return f"{where}: {_complaint(first)}".removeprefix(": ")


def _as_written(location: Location, tree: Any) -> Location:
    """One mapping may stand for a list of one."""
    match location:
        case (entry, 0, *below) if not isinstance(tree[entry], list):
            return (entry, *below)
    return location


def _complaint(error: ErrorDetails) -> str:
    kind, value = error["type"], error["input"]
    said = error["msg"].removeprefix("Value error, ")
    said = f"{said[0].lower()}{said[1:]}"
    if kind in ("missing", "value_error", "too_short", UNKNOWN_KEY):
        return said
    hint = "; give true or false" if kind == "bool_type" else ""
    if kind == "string_type" and isinstance(value, bool | int | float):
        hint = "; put it in quotes"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        hint = "; give a number, without quotes"
    if kind == "model_type":
        said = "input should be a mapping of entries"
    return f"{said}, not {_as_yaml(value)}{hint}"


def _as_yaml(value: Any) -> str:
    if value is None:
        return "null, which is what an empty entry is"
    return str(value).lower() if isinstance(value, bool) else shown(value)
