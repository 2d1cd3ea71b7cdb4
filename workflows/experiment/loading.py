"""An experiment from its file: found, its variant chosen, changed by --set, and checked."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from memrec_core.datasets import DATA_SETS
from memrec_core.errors import InputError, shown
from workflows.experiment import file as experiment_file
from workflows.experiment import yaml_reading
from workflows.experiment.data_folder import default_root
from workflows.experiment.file import PRIORS, SHIPPED, shipped
from workflows.experiment.invalid import sentence
from workflows.experiment.resolved import Experiment
from workflows.experiment.resolving import resolve
from workflows.experiment.settings import ELSEWHERE
from workflows.experiment.written import WrittenExperiment

__all__ = ["PRIORS", "SHIPPED", "data_sets_of", "experiment_from", "load", "parse", "resolved", "shipped"]


def load(
    source: str,
    overrides: list[str] | None = None,
    variant: str | None = None,
    elsewhere: bool = False,
    run: str | None = None,
) -> Experiment:
    """The experiment in a YAML file, or the shipped one of that name.

    A data set whose root the file leaves open is looked for where data_folder says. What `overrides` change is said in
    the description, and a shipped experiment that they change has the name of its run's folder.

    Args:
        source: the file, or the name of a shipped experiment.
        overrides: `key=value`, with dotted keys.
        variant: one of the file's own, such as `cpu`: a smaller form of the experiment.
        elsewhere: whether it is for other machines, where paths mean what they mean there.
        run: the run's folder.

    Raises InputError, in one sentence, for a file that is missing or not YAML, and for any wrong key or value.
    """
    found = experiment_file.find(source)
    experiment = parse(found.text, found.origin, overrides, variant, found.folder, elsewhere)
    if overrides:
        plain = _without_overrides(found, variant)
        if plain is None or _about(plain) != _about(experiment):
            name = experiment.name if plain is None else plain.name
            experiment = _retitled(experiment, name, overrides, run, source in shipped())
    if elsewhere:
        return experiment
    located = (replace(data, root=data.root or default_root(data.name)) for data in experiment.data)
    return replace(experiment, data=tuple(located))


def data_sets_of(source: str, overrides: list[str] | None = None, variant: str | None = None) -> list[str]:
    """The names of the data sets, which need not be there yet; the rest as for `load`."""
    found = experiment_file.find(source)
    return [data.name for data in parse(found.text, found.origin, overrides, variant, found.folder).data]


def parse(
    text: str,
    origin: str,
    overrides: list[str] | None = None,
    variant: str | None = None,
    folder: Path | None = None,
    elsewhere: bool = False,
) -> Experiment:
    """The experiment that a YAML text describes.

    Args:
        text: the YAML.
        origin: what to call it in error messages.
        overrides: `key=value`, with dotted keys; their relative paths start from the working directory.
        variant: one of the text's own.
        folder: where the text's relative paths start; the working directory where left out.
        elsewhere: whether it is for other machines, whose paths are left as they are.

    Raises InputError as `load`.
    """
    document = experiment_file.read(text, origin, None if elsewhere else folder or Path.cwd())
    tree = document.tree if variant is None else document.smaller(variant)
    if _is_valid(document.tree, elsewhere):  # else the file leaves entries to --set
        for name in document.variants:  # a mistake in one does not wait until it is asked for
            experiment_from(document.smaller(name), f"{origin}, variant {shown(name, quoted=False)}", elsewhere)
    changed = experiment_file.with_overrides(tree, overrides or [], None if elsewhere else Path.cwd())
    return experiment_from(changed, origin, elsewhere)


def resolved(text: str, origin: str) -> Experiment:
    """The experiment that `to_yaml` wrote, of this revision or an earlier one: nothing in it depends on where it is
    read."""
    return experiment_from(yaml_reading.read(text, origin), origin, kept=True)


def experiment_from(tree: Any, origin: str = "experiment", elsewhere: bool = False, kept: bool = False) -> Experiment:
    """The experiment that a tree of mappings and lists describes, such as `Experiment.tree` gives.

    Args:
        tree: as of a file without variants; its relative paths start from the working directory.
        origin: what to call it in error messages.
        elsewhere: whether it is for other machines, whose paths are left as they are.
        kept: whether it is of a run's folder, which may be older than some of the methods' settings.

    Raises InputError as `load`.
    """
    try:
        written = WrittenExperiment.model_validate(tree, context=ELSEWHERE if elsewhere else None)
    except ValidationError as error:
        raise InputError(f"{origin}: {sentence(error, tree)}") from error
    try:
        return resolve(written.as_kept() if kept else written, elsewhere)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error


def _without_overrides(found: experiment_file.Source, variant: str | None) -> Experiment | None:
    """The experiment as its file has it; None where that leaves entries to --set."""
    try:
        return parse(found.text, found.origin, None, variant, found.folder)
    except InputError:
        return None


def _about(experiment: Experiment) -> dict[str, Any]:
    """What an experiment's name and description speak of: not where the data of a publisher lie."""
    data = [entry.identity() if DATA_SETS[entry.name].place else entry.tree() for entry in experiment.data]
    return {**experiment.tree(), "name": None, "description": None, "data": data}


def _retitled(experiment: Experiment, name: str, overrides: list[str], run: str | None, is_shipped: bool) -> Experiment:
    """The experiment with a description that says what was changed of the one called `name`; and, where that is
    shipped, so that its name stands for something else, with the name of the run's folder."""
    given = {experiment_file.parts_of(override)[0] for override in overrides}
    update: dict[str, str] = {}
    if "description" not in given:
        changes = [override for override in overrides if experiment_file.parts_of(override)[0] != "name"]
        update["description"] = f"{name} with {', '.join(changes)}."
    if is_shipped and "name" not in given:
        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", (run or "").rstrip("/").rpartition("/")[2]).strip("-._")
        update["name"] = (folder or f"{name}-changed")[:80]
    return replace(experiment, **update)


def _is_valid(tree: Any, elsewhere: bool) -> bool:
    try:
        experiment_from(tree, elsewhere=elsewhere)
    except InputError:
        return False
    return True
