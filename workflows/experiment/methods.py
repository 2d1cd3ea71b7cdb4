"""The methods of an experiment, and where their settings may stand."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import ValidationError, ValidationInfo

from memrec_core.degradations import Degradation
from memrec_core.errors import InputError, shown, unknown
from memrec_core.recovery import METHODS, Basis, Method
from memrec_core.recovery.method import SHARED
from memrec_core.recovery.unknown_mask import FIRST_MASKS
from workflows.experiment.file import PRIORS
from workflows.experiment.settings import (
    ELSEWHERE,
    Count,
    Label,
    Section,
    arguments_of,
    below,
    check_registered,
    of_somebody,
    one_of,
    plain_settings,
    settings_of,
)

SHARED_SETTINGS = "recovery"
"""The section of settings that several methods have."""
USUAL_METHODS = ["unknown_mask", "known_mask", "autoencoder_iterations"]
"""Those of an experiment that names none."""


def _check_method(name: str) -> None:
    """Raises InputError for what is registered as a method and is none."""
    check_registered("method", name, METHODS[name], ("title", "does", "rests_on"))
    if Method not in METHODS[name].__mro__:
        raise InputError(f"method {name} does not derive from memrec_core.recovery.Method; let its class do so")
    fields = {one.name for one in dataclasses.fields(METHODS[name])}
    if taken := fields & {"name", "label"}:
        raise InputError(f"method {name} has a setting called {min(taken)}, as every entry has; give it another name")
    if METHODS[name].rests_on is Basis.PRIOR and "prior" not in fields:
        raise InputError(f"method {name} rests on a generic prior, and has no setting prior that names it; add one")


class SharedSettings(Section):
    """Settings for all methods that have them: the counts of Algorithm 1, of the alternation, and of the plain
    autoencoder iterations. A method's own entry wins."""

    inner_iterations: Count | None = None
    max_iterations: Count | None = None
    max_autoencoder_iterations: Count | None = None
    first_mask: Annotated[str, one_of("first mask", FIRST_MASKS)] | None = None

    def of(self, method: type[Method]) -> dict[str, Any]:
        """Those that the method has, by its own names for them."""
        names = {one.metadata.get(SHARED, one.name): one.name for one in dataclasses.fields(method)}
        return {names[name]: value for name, value in self if name in names and value is not None}


class MethodEntry(NamedTuple):
    """A method with its settings, and what the results call it: by its name, unless it has a label of its own."""

    label: str
    method: Method

    @property
    def title(self) -> str:
        """What tables and pages call it."""
        return self.method.title if self.label == self.method.name else f"{self.method.title} ({self.label})"

    @property
    def prior(self) -> str:
        """The generic prior that it rests on; empty where it rests on none."""
        return str(getattr(self.method, "prior", "")) if self.method.rests_on is Basis.PRIOR else ""


def method_of(tree: Any, info: ValidationInfo) -> MethodEntry:
    if isinstance(tree, MethodEntry):
        return tree
    tree = {"name": tree} if isinstance(tree, str) else tree
    if not isinstance(tree, dict):
        raise ValueError(f"input should be a method's name, or a mapping such as {{name: ...}}, not {shown(tree)}")
    if "name" not in tree:
        raise ValueError("a method's mapping has a name, such as {name: unknown_mask, max_iterations: 200}")
    name = tree["name"]
    if not isinstance(name, str) or name not in METHODS:
        raise unknown("method", name, METHODS)
    kind = METHODS[name]
    _check_method(name)
    named = _Named.model_validate({"name": name, "label": tree.get("label", name)})
    if named.label != name and named.label in METHODS:
        raise ValueError(f"label {named.label} is another method's name; choose another")
    settings = {key: value for key, value in tree.items() if key not in ("name", "label")}
    if kind.rests_on is Basis.PRIOR and isinstance(prior := settings.get("prior"), str):
        settings["prior"] = _place_of_prior(prior, info.context)
    try:
        entry = MethodEntry(named.label, kind(**arguments_of(kind, settings)))
        written_method(entry)  # raises where a file could not hold it
        return entry
    except ValidationError as error:
        for one in error.errors():
            if one["type"] == "missing":
                setting = one["loc"][0]
                raise ValueError(f"method {name} needs {name}.{setting}; README.md tells what it is") from error
        raise


class _Named(Section):
    """What is not a setting in a method's entry."""

    name: str
    label: Label


def written_method(entry: MethodEntry) -> dict[str, Any]:
    return {"name": entry.method.name, "label": entry.label, **plain_settings(entry.method)}


def _place_of_prior(prior: str, context: str | None) -> str:
    """A folder's path, without a ~; the name of a shipped prior, or one on the hub, as it is."""
    path = Path(of_somebody(prior)).expanduser()
    here = prior.startswith(("~", ".")) or (path.is_dir() and not (PRIORS / prior).is_dir())
    if context == ELSEWHERE and here and not Path(prior).is_absolute():
        raise ValueError(
            f"{shown(prior)} is a path of this machine, and the prior is read on the cluster; give the absolute "
            "path there"
        )
    return str(path) if prior.startswith("~") else prior


def source_of(prior: str) -> str:
    """What diffusion_prior.load takes: the folder of a shipped prior, by its name, or else the prior as it is."""
    return str(PRIORS / prior) if (PRIORS / prior).is_dir() else prior


def with_settings_in_place(tree: dict[str, Any], usual: Sequence[str]) -> dict[str, Any]:
    """An experiment whose methods, the `usual` ones where it names none, have the settings that stand elsewhere.

    Such are in the section of a method's name, or in `recovery`, for all that have them. Raises ValidationError, or
    ValueError, for what is wrong in such a section.
    """
    sections = {name: tree[name] for name in tree if name in METHODS and tree[name] is not None}
    for name, section in sections.items():
        _check_method(name)
        _check_section(name, section)
    shared = _shared(tree.get(SHARED_SETTINGS))
    methods = tree.get("methods", usual)
    if isinstance(methods, list):
        known = [one for one in methods if _name_in(one) in METHODS]
        for one in known:
            _check_method(_name_in(one))
        _check_effect(shared, sections, known)
        methods = [_with_settings(one, shared, sections) for one in methods]
    elsewhere = {*METHODS, SHARED_SETTINGS}
    return {**{key: value for key, value in tree.items() if key not in elsewhere}, "methods": methods}


def _shared(tree: Any) -> SharedSettings:
    try:
        return SharedSettings.model_validate({} if tree is None else tree)
    except ValidationError as error:
        raise below(SHARED_SETTINGS, error) from error


def _check_section(name: str, section: Any) -> None:
    """Raises ValidationError for what is wrong in the section of a method's settings."""
    if not isinstance(section, dict):
        raise ValueError(f"{name}: input should be a mapping of its settings, not {shown(section)}")
    try:
        METHODS[name](**arguments_of(METHODS[name], section))
    except ValidationError as error:
        if any(entry["type"] != "missing" for entry in error.errors()):  # else the methods' own entries give it
            raise below(name, error) from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _check_effect(shared: SharedSettings, sections: Mapping[str, Any], methods: list[Any]) -> None:
    """Raises ValueError for a setting in a section that changes none of the methods, since each gives its own."""
    names = {_name_in(entry) for entry in methods}
    for name, section in sections.items():
        twin = METHODS[name].other_form
        if name not in names and twin in names:
            raise ValueError(f"{name}: it does nothing, since methods names {twin}; name both there")
        for setting in section:
            given = [setting in _own_settings(entry) for entry in methods if _name_in(entry) == name]
            _check_taken(f"{name}.{setting}", given)
    for setting in shared.model_fields_set:
        only = SharedSettings(**{setting: getattr(shared, setting)})
        given = []
        for entry in methods:
            if own := only.of(METHODS[_name_in(entry)]):
                given.append(own.keys() <= {**sections.get(_name_in(entry), {}), **_own_settings(entry)}.keys())
        _check_taken(f"{SHARED_SETTINGS}.{setting}", given)


def _check_taken(setting: str, given: list[bool]) -> None:
    """`given` says of each method that has the setting whether it gives its own."""
    if given and all(given):
        raise ValueError(f"{setting} does nothing: each method gives its own, under methods; change that instead")


def _own_settings(entry: Any) -> Mapping[str, Any]:
    return entry if isinstance(entry, dict) else {}


def _with_settings(entry: Any, shared: SharedSettings, sections: Mapping[str, Any]) -> Any:
    name = _name_in(entry)
    if name not in METHODS:
        return entry
    return {"name": name, **shared.of(METHODS[name]), **sections.get(name, {}), **_own_settings(entry)}


def _name_in(entry: Any) -> str:
    """The name in a method's entry; empty where there is none."""
    name = entry.get("name") if isinstance(entry, dict) else entry
    return name if isinstance(name, str) else ""


def fitting(methods: Sequence[MethodEntry], degradations: Sequence[Degradation]) -> Iterator[MethodEntry]:
    """The methods that accept some of the degradations. Where one has another form for the rest, that stands beside it.

    Raises ValueError for a method that accepts none, in whatever form.
    """
    given = {type(entry.method) for entry in methods}
    for number, entry in enumerate(methods):
        own, other = type(entry.method), METHODS.get(entry.method.other_form or "")
        fits = any(map(own.accepts, degradations))
        if fits:
            yield entry
        if other is not None and other not in given and any(map(other.accepts, degradations)):
            label = other.name if entry.label == own.name else f"{entry.label}-{other.name}" if fits else entry.label
            yield MethodEntry(label, other(**settings_of(entry.method)))
        elif not fits:
            would = [name for name, kind in METHODS.items() if any(map(kind.accepts, degradations))]
            raise ValueError(
                f"methods.{number}: {own.name} accepts none of the degradations "
                f"({', '.join(one.label for one in degradations)}); choose among {', '.join(would)}, or add a "
                "degradation that it accepts, such as {mask: center}"
            )


def usual_methods(degradations: Sequence[Degradation]) -> list[str]:
    """Those of an experiment that names none: of the paper's three, those that apply, in whatever form; all where no
    degradation is known."""
    if not degradations:
        return USUAL_METHODS
    forms = {name: [METHODS[name], METHODS.get(METHODS[name].other_form or "")] for name in USUAL_METHODS}
    return [
        name
        for name, kinds in forms.items()
        if any(kind is not None and any(map(kind.accepts, degradations)) for kind in kinds)
    ]
