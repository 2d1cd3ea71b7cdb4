"""An experiment before it is checked: where its file is found, its variants, its paths, and what --set changes."""

import re
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memrec_core.errors import InputError, in_a_line, shown, shown_name, unknown
from workflows.experiment import yaml_reading

SHIPPED = Path(__file__).parent.parent / "experiments"
PRIORS = Path(__file__).parent.parent / "priors"
PATHS = {("data", "root"), ("data", "control_root"), ("models", "weights")}
"""The entries that are paths: relative to the file that they are in, or, from --set, to the working directory. So is a
`prior`, in a method's entry or section; and `weights` are those of a network that is `given`."""


@dataclass(frozen=True)
class Source:
    """An experiment's text, what to call it in error messages, and the folder that its relative paths start from."""

    text: str
    origin: str
    folder: Path


@dataclass(frozen=True)
class Document:
    """The tree of an experiment's file without its variants, and what each of these changes of it."""

    origin: str
    tree: dict[str, Any]
    variants: dict[str, dict[str, Any]]

    def smaller(self, variant: str) -> dict[str, Any]:
        """The tree of the variant; raises InputError where there is none of that name."""
        if variant not in self.variants:
            raise unknown(f"variant of {self.origin}", variant, self.variants)
        name, description = self.tree.get("name"), self.tree.get("description", "")
        said: dict[str, Any] = {}
        if isinstance(name, str):
            said["name"] = f"{name}-{variant}"
        if isinstance(description, str):
            said["description"] = f"{description} This is its variant {variant}, a smaller form of it.".strip()
        return _merged(self.tree, {**said, **self.variants[variant]})


def shipped() -> list[str]:
    """The names of the experiments in workflows/experiments."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def find(source: str) -> Source:
    """The file `source`, or the shipped experiment of that name. Raises InputError where there is neither."""
    if source in shipped():
        return Source((SHIPPED / f"{source}.yaml").read_text(encoding="utf-8"), f"experiment {source}", Path.cwd())
    path = Path(source)
    try:
        if path.is_file():
            with path.open("rb") as file:
                data = file.read(yaml_reading.LARGEST_FILE + 1)
            return Source(yaml_reading.decode(data, shown_name(source)), source, path.parent.resolve())
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"experiment file {source} can't be read ({in_a_line(error)}); give another") from error
    if path.is_dir():
        raise InputError(f"experiment {source} is a folder; give a YAML file or one of {', '.join(shipped())}")
    if source.endswith((".yaml", ".yml")) or "/" in source:
        raise InputError(f"experiment file {source} does not exist; give a YAML file or one of {', '.join(shipped())}")
    raise unknown("experiment", source, shipped())


def read(text: str, origin: str, folder: Path | None) -> Document:
    """The tree in the YAML `text`; its relative paths start from `folder`, and are left as they are without one. Raises
    InputError for what is no mapping with mappings in it."""
    tree = yaml_reading.read(text, origin)
    if not isinstance(tree, dict):
        raise InputError(f"{origin} is not an experiment: expected a YAML mapping with name, data, models, ...")
    given = tree.pop("variants", None)
    if not isinstance(given, dict | None):
        raise InputError(f"{origin}: variants is not a mapping, such as cpu: {{data: {{count: 50}}}}")
    variants = {}
    for name, changes in (given or {}).items():
        if not isinstance(changes, dict | None):
            where = shown(f"variants.{name}", quoted=False)
            raise InputError(f"{origin}: {where} is not a mapping of entries, such as data: {{count: 50}}")
        variants[name] = _located(changes or {}, (), folder)
    return Document(origin, _located(tree, (), folder), variants)


def with_overrides(tree: dict[str, Any], overrides: list[str], folder: Path | None) -> dict[str, Any]:
    """The tree with the entries that dotted keys name: `training.max_steps=500`, `models.0.width=64`; paths as for
    `read`."""
    tree = deepcopy(tree)
    for override in overrides:
        key, value = parts_of(override)
        *parents, last = key.split(".")
        place: Any = tree
        for part in parents:
            step = _step(place, part, override)
            if isinstance(place, dict) and place.get(step) is None:
                place[step] = {}
            place = place[step]
        step = _step(place, last, override)
        keys = tuple(part for part in key.split(".") if not part.isdecimal())
        place[step] = _located(yaml_reading.read(value, f"--set {shown(key, quoted=False)}"), keys, folder)
    return tree


def parts_of(override: str) -> tuple[str, str]:
    """Key and value of `key=value`; raises InputError for anything else."""
    key, equals, value = override.partition("=")
    if not equals or not all(key.split(".")):
        raise InputError(f"--set {shown(override)} is not key=value, such as data.count=100")
    return key, value


def _step(place: Any, part: str, override: str) -> str | int:
    """What leads on from `place`: a key of a mapping, or the index of an entry that a list has."""
    if isinstance(place, dict):
        return part
    if isinstance(place, list):
        if re.fullmatch("[0-9]{1,5}", part) and int(part) < len(place):
            return int(part)
        found = f"{shown(part)} is none of the {len(place)} entries of a list, from 0 on"
    else:
        found = f"there is nothing below {shown(place)} for {shown(part)} to name"
    raise InputError(f"--set {shown(override)} names no entry of the experiment: {found}; such as data.count=100")


def _merged(tree: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`tree` with the entries of `changes` in place of its own, mapping by mapping; lists are replaced whole."""
    both = {
        key: _merged(tree[key], value) if _mappings(tree.get(key), value) else value for key, value in changes.items()
    }
    return {**tree, **both}


def _mappings(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)


def _is_path(keys: tuple[str, ...]) -> bool:
    return keys in PATHS or (
        len(keys) == 2 and keys[1] == "prior" and keys[0] not in ("data", "models", "degradations")
    )


def _located(value: Any, keys: tuple[str, ...], folder: Path | None) -> Any:
    """`value`, which `keys` lead to, with its paths absolute: those that are relative start from `folder`."""
    if folder is None:
        return value
    if isinstance(value, dict):
        as_they_are = {"weights"} if keys == ("models",) and "given" not in value else ()
        return {
            key: entry if key in as_they_are else _located(entry, (*keys, key), folder) for key, entry in value.items()
        }
    if isinstance(value, list):
        return [_located(entry, keys, folder) for entry in value]
    if not _is_path(keys) or not isinstance(value, str) or not value:
        return value
    try:
        path = folder / Path(value).expanduser()
    except RuntimeError:  # the home folder of nobody, which the check of the experiment names
        return value
    if keys[-1] == "prior" and not value.startswith((".", "/", "~")):
        # a name: of a shipped prior, of a folder, or on the hub
        return value if (PRIORS / value).is_dir() or not path.is_dir() else str(path)
    return str(path)
