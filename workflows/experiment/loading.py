"""An experiment from its file: found, its variant chosen, changed by --set, and checked."""

import re
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
from workflows.experiment.settings import ELSEWHERE
from workflows.experiment.written import Experiment

__all__ = ["PRIORS", "SHIPPED", "data_sets_of", "load", "parse", "resolved", "shipped"]


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
    located = [data.model_copy(update={"root": data.root or default_root(data.name)}) for data in experiment.data]
    return experiment.model_copy(update={"data": located})


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
    context = ELSEWHERE if elsewhere else None
    written = experiment_file.read(text, origin, None if elsewhere else folder or Path.cwd())
    tree = written.tree if variant is None else written.smaller(variant)
    if _is_valid(written.tree, context):  # else the file leaves entries to --set
        for name in written.variants:  # a mistake in one does not wait until it is asked for
            _checked(written.smaller(name), f"{origin}, variant {shown(name, quoted=False)}", context)
    changed = experiment_file.with_overrides(tree, overrides or [], None if elsewhere else Path.cwd())
    return _checked(changed, origin, context)


def resolved(text: str, origin: str) -> Experiment:
    """The experiment that `to_yaml` wrote: nothing in it depends on where it is read."""
    return _checked(yaml_reading.read(text, origin), origin)


def _without_overrides(found: experiment_file.Source, variant: str | None) -> Experiment | None:
    """The experiment as its file has it; None where that leaves entries to --set."""
    try:
        return parse(found.text, found.origin, None, variant, found.folder)
    except InputError:
        return None


def _about(experiment: Experiment) -> dict[str, Any]:
    """What an experiment's name and description speak of: not where the data of a publisher lie."""
    tree = experiment.model_dump(exclude={"name", "description"})
    tree["data"] = [
        data.model_dump(exclude={"root", "control_root"} if DATA_SETS[data.name].place else None)
        for data in experiment.data
    ]
    return tree


def _retitled(experiment: Experiment, name: str, overrides: list[str], run: str | None, is_shipped: bool) -> Experiment:
    """The experiment with a description that says what was changed of the one called `name`; and, where that is
    shipped, so that its name stands for something else, with the name of the run's folder."""
    given = {experiment_file.parts_of(override)[0] for override in overrides}
    update = {}
    if "description" not in given:
        changes = [override for override in overrides if experiment_file.parts_of(override)[0] != "name"]
        update["description"] = f"{name} with {', '.join(changes)}."
    if is_shipped and "name" not in given:
        folder = re.sub(r"[^A-Za-z0-9._-]+", "-", (run or "").rstrip("/").rpartition("/")[2]).strip("-._")
        update["name"] = (folder or f"{name}-changed")[:80]
    return experiment.model_copy(update=update)


def _checked(tree: Any, origin: str, context: str | None = None) -> Experiment:
    try:
        return Experiment.model_validate(tree, context=context)
    except ValidationError as error:
        raise InputError(f"{origin}: {sentence(error, tree)}") from error


def _is_valid(tree: Any, context: str | None) -> bool:
    try:
        Experiment.model_validate(tree, context=context)
    except ValidationError:
        return False
    return True
