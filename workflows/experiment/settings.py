"""What varies, a method or a blur say, as an entry of the experiment's file, checked by the types of its own class.

An entry is checked in two passes: its name, by the registry of its kind, and then its settings, by the registered
class's own fields.
"""

import dataclasses
import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from memrec_core.degradations import FILLS, Fill
from memrec_core.errors import InputError, shown, unknown
from workflows.experiment.plain import first_setting

UNKNOWN_KEY = "unknown_key"
"""The type of pydantic's error for a key that a section does not have."""
ELSEWHERE = "elsewhere"
"""The context of an experiment whose files lie on other machines: its paths mean nothing on this one."""


def whole(value: Any) -> Any:
    """A number without a fraction is a whole one, however it is written: 2e5 steps."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value


def absolute(path: str, read: str, example: str, context: Any) -> str:
    """A path of this machine from its root on. For machines elsewhere it must be so already; what is `read` there, and
    an `example`, are in the error for one that is not."""
    if context != ELSEWHERE:
        return str(Path(of_somebody(path)).expanduser().absolute())
    if not Path(path).is_absolute():
        raise ValueError(
            f"{shown(path)} is a path of this machine, and {read} read on the cluster; give the absolute path there, "
            f"such as --set {example}"
        )
    return path


def one_of(kind: str, choices: Iterable[str]) -> AfterValidator:
    """The check that a name is one of `choices`; its error names the nearest."""

    def check(name: str) -> str:
        if name not in choices:
            raise ValueError(str(unknown(kind, name, choices)))
        return name

    return AfterValidator(check)


Whole = Annotated[int, BeforeValidator(whole)]
Count = Annotated[Whole, Field(ge=1)]
NotNegative = Annotated[Whole, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LABEL = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Label = Annotated[str, Field(pattern=LABEL, max_length=80)]
"""A name that becomes a folder of the run."""
Folder = Annotated[str, Field(min_length=1)]


def of_somebody(path: str) -> str:
    """The path, if it is one: a ~ in it may be the home folder of nobody."""
    if "\0" in path:
        raise ValueError(f"{shown(path)} is no path")
    try:
        Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{shown(path, quoted=False)} names the home folder of nobody on this machine") from error
    return path


class Section(BaseModel):
    """A mapping of entries, whose keys are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, tree: Any) -> Any:
        if isinstance(tree, dict):
            check_keys(tree, cls.model_fields)
        return tree


def check_keys(tree: Mapping[Any, Any], known: Iterable[str]) -> None:
    """Raises ValidationError for the first key that is not known; it names the nearest."""
    known = list(known)
    for key in tree:
        if key not in known:
            complaint = _complaint(UNKNOWN_KEY, str(unknown("key", key, known)))
            raise _invalid([InitErrorDetails(type=complaint, loc=(str(key),), input=tree[key])])


def below(place: str, error: ValidationError) -> ValidationError:
    """The same error, one level further down."""
    return _invalid(
        [
            InitErrorDetails(
                type=_complaint(entry["type"], entry["msg"]),
                loc=(place, *entry["loc"]),
                input=entry["input"],
            )
            for entry in error.errors(include_url=False)
        ]
    )


def _complaint(kind: str, sentence: str) -> PydanticCustomError:
    # Pydantic asks for a literal, and gives the kinds of its own errors out as mere strings.
    return PydanticCustomError(kind, "{sentence}", {"sentence": sentence})  # pyright: ignore[reportArgumentType]


def _invalid(errors: list[InitErrorDetails]) -> ValidationError:
    return ValidationError.from_exception_data("entry", errors)


def arguments_of(kind: Callable[..., Any], given: Mapping[str, Any], leaving_out: int = 0) -> dict[str, Any]:
    """The entries `given` as keyword arguments of `kind`, a dataclass or a function, but for its first few.

    Raises ValidationError for one that is unknown, missing or of another type than its annotation.
    """
    checked = _section_of(kind, leaving_out).model_validate(dict(given))
    return {name: getattr(checked, name) for name in checked.model_fields_set}


@cache
def _section_of(kind: Callable[..., Any], leaving_out: int) -> type[Section]:
    """A section with the arguments of `kind`."""
    try:
        parameters = list(inspect.signature(kind, eval_str=True).parameters.values())[leaving_out:]
    except NameError as error:
        raise InputError(
            f"the types of the settings of {kind.__name__} can't be read ({error}); import what they name at run time"
        ) from error
    various = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    fields: Any = {
        entry.name: (_strictly(entry.annotation), ... if entry.default is entry.empty else entry.default)
        for entry in parameters
        if entry.kind not in various
    }
    return create_model(getattr(kind, "__name__", "entry"), __base__=Section, **fields)


def _strictly(annotation: Any) -> Any:
    """An annotation as an experiment's file is checked by it: a list stands for a tuple, and an entry for an object."""
    if annotation in _CHECKED:
        return _CHECKED[annotation]
    if annotation is inspect.Parameter.empty:
        return Any
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        # a function can't be written in a file, its name can
        return Union[tuple(_strictly(part) for part in arguments if get_origin(part) is not Callable)]  # noqa: UP007
    if origin in (tuple, list, Sequence):
        return Annotated[tuple[_strictly(arguments[0]), ...], Field(strict=False), BeforeValidator(_listed)]
    return annotation


def _listed(value: Any) -> Any:
    """Text is no list of its letters."""
    if isinstance(value, str | bytes | Mapping):
        raise ValueError("input should be a list")
    return value


def made_from(kind: str, registry: Mapping[str, Callable[..., Any]], value: Any, attributes: Sequence[str] = ()) -> Any:
    """The object that an entry describes: `noise`, {colour: 0.5}, {blur: {std: 1.0}} or {mask: center, fill: noise}.

    The key that is in the registry says which; what it leads to is the first setting, or a mapping of them. Raises
    ValueError, or ValidationError, for what is none.
    """
    if isinstance(value, str):
        if value not in registry:
            raise unknown(kind, value, registry)
        value = {value: {}}
    if not isinstance(value, Mapping):
        raise ValueError(f"a {kind} is a mapping such as {{{next(iter(registry))}: ...}}, not {value!r:.60}")
    name = _name_in(kind, registry, value)
    check_registered(kind, name, registry[name], attributes)
    made, rest = registry[name], {key: entry for key, entry in value.items() if key != name}
    settings = value[name]
    if not isinstance(settings, Mapping):
        if not (first := first_setting(made)):
            raise ValueError(f"{kind} {name} has no settings; give its name alone")
        settings = {first: settings}
    if twice := [key for key in settings if key in rest]:
        raise ValueError(f"{twice[0]} is given twice; leave one out")
    try:
        return made(**arguments_of(made, {**settings, **rest}))
    except ValidationError as error:
        if settings is value[name] and error.errors()[0]["loc"][0] in settings:
            raise below(name, error) from error
        raise


def _name_in(kind: str, registry: Mapping[str, Callable[..., Any]], value: Mapping[str, Any]) -> str:
    """Which of the registry an entry is of; where it names none, a key that is no setting may be meant for it."""
    names = [key for key in value if key in registry]
    if not names:
        settings = {name for made in registry.values() for name in inspect.signature(made).parameters}
        check_keys({key: entry for key, entry in value.items() if key not in settings}, registry)
    if len(names) != 1:
        raise ValueError(f"a {kind} has one of the keys {', '.join(registry)}")
    return names[0]


def check_registered(kind: str, name: str, made: Any, attributes: Sequence[str] = ()) -> None:
    """Raises InputError for a class that is no dataclass, lacks one of the `attributes`, or is registered under another
    name than its own."""
    if not (isinstance(made, type) and dataclasses.is_dataclass(made)):
        raise InputError(f"{kind} {name} is no dataclass; put @dataclass(frozen=True) above its class")
    fields = {field.name for field in dataclasses.fields(made)}
    for attribute in attributes:
        if not hasattr(made, attribute) and attribute not in fields:
            raise InputError(f"{kind} {name} has no {attribute}; give its class one")
    known = getattr(made, "key", getattr(made, "name", None))
    if known != name:
        raise InputError(f"{kind} {name} is registered under another name than its class's own, {known}; use that one")


def _fill(value: Any) -> Any:
    return value if isinstance(value, tuple(FILLS.values())) else made_from("fill", FILLS, value, ("label", "values"))


_CHECKED: dict[Any, Any] = {
    int: Whole,
    float: Finite,
    Fill: Annotated[Any, PlainValidator(_fill)],
}
"""The annotations that say less than a file must keep to."""
