"""What may be written of methods: an entry each, and sections of settings for them."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ValidationError, model_validator

from memrec_core.errors import InputError, shown, unknown
from memrec_core.recovery import METHODS, Basis, Method
from memrec_core.recovery.unknown_mask import FIRST_MASKS
from memrec_core.settings import BEFORE, SHARED
from workflows.experiment.settings import (
    Count,
    Label,
    Section,
    arguments_of,
    below,
    check_registered,
    one_of,
)


class SharedSettings(Section):
    """Settings for all methods that have them: the counts of Algorithm 1, of the alternation, and of the plain
    autoencoder iterations. A method's own entry wins."""

    inner_iterations: Count | None = None
    max_iterations: Count | None = None
    max_autoencoder_iterations: Count | None = None
    first_mask: Annotated[str, one_of("first mask", FIRST_MASKS)] | None = None

    def settings_for(self, method: type[Method]) -> dict[str, Any]:
        """Those that the method has, by its own names for them."""
        names = {field.metadata.get(SHARED, field.name): field.name for field in dataclasses.fields(method)}
        return {names[name]: value for name, value in self if name in names and value is not None}


class WrittenMethod(Section):
    """A method's name, or its entry. In the file, the `settings` stand beside the others; what it leaves open may stand
    in a section."""

    name: str
    label: Label = ""
    """What the results call it; its name where left out."""
    settings: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, tree: Any) -> Any:
        tree = {"name": tree} if isinstance(tree, str) else tree
        if not isinstance(tree, dict):
            raise ValueError(f"input should be a method's name, or a mapping such as {{name: ...}}, not {shown(tree)}")
        if "name" not in tree:
            raise ValueError("a method's mapping has a name, such as {name: unknown_mask, max_iterations: 200}")
        name = tree["name"]
        if not isinstance(name, str) or name not in METHODS:
            raise unknown("method", name, METHODS)
        check_method(name)
        if tree.get("label", name) != name and tree["label"] in list(METHODS):
            raise ValueError(f"label {tree['label']} is another method's name; choose another")
        named = {key: value for key, value in tree.items() if key in ("name", "label")}
        settings = {key: value for key, value in tree.items() if key not in named}
        check_settings(name, settings)
        return {**named, "settings": settings}

    def as_kept(self) -> "WrittenMethod":
        """The same as a run's folder means it: what it does not say of a newer setting is what there was before."""
        fields = dataclasses.fields(METHODS[self.name])
        before = {field.name: field.metadata[BEFORE] for field in fields if BEFORE in field.metadata}
        return self.model_copy(update={"settings": {**before, **self.settings}})


def check_method(name: str) -> None:
    """Raises InputError for what is registered as a method and is none."""
    check_registered("method", name, METHODS[name], ("title", "does", "rests_on"))
    if Method not in METHODS[name].__mro__:
        raise InputError(f"method {name} does not derive from memrec_core.recovery.Method; let its class do so")
    fields = {field.name for field in dataclasses.fields(METHODS[name])}
    if taken := fields & {"name", "label"}:
        raise InputError(f"method {name} has a setting called {min(taken)}, as every entry has; give it another name")
    if METHODS[name].rests_on is Basis.PRIOR and "prior" not in fields:
        raise InputError(f"method {name} rests on a generic prior, and has no setting prior that names it; add one")


def check_settings(name: str, settings: Mapping[str, Any]) -> None:
    """Raises ValidationError for a setting that is unknown or of another type than the method's, and what the method
    raises for other values; others of its settings may be missing, since they may stand elsewhere."""
    try:
        METHODS[name](**arguments_of(METHODS[name], settings))
    except ValidationError as error:
        if any(entry["type"] != "missing" for entry in error.errors()):
            raise


def check_section(name: str, section: Any) -> None:
    """Raises ValidationError, or ValueError, for what is wrong in the section of a method's settings."""
    check_method(name)
    if not isinstance(section, dict):
        raise ValueError(f"{name}: input should be a mapping of its settings, not {shown(section)}")
    try:
        check_settings(name, section)
    except ValidationError as error:
        raise below(name, error) from error
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
