"""Whose a run's folder is, and what of its experiment may change: entries come and go, and none gives other values."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from memrec_core.errors import InputError, shown
from workflows.errors import StoreError
from workflows.experiment.loading import resolved
from workflows.experiment.models import TRAINED_BY, Model
from workflows.experiment.resolved import Experiment
from workflows.experiment.yaml_reading import decode
from workflows.run.checkpoint_files import loss_label
from workflows.run.planning import wanted
from workflows.run.run import Run
from workflows.run.store import EXPERIMENT, Store

ENTRIES = ("data", "models", "degradations", "methods")
"""The lists of an experiment that may gain entries and lose some."""
CHANGES_NO_ROW = {
    "": {"name", "description", "imports", "images_per_unit", "pictures", *ENTRIES},
    "training": {"targets", "max_steps"},
    "data": {"root", "control_root", "names_key"},
    "models": {"weights"},
}
"""What may be another value by now, by the section that it is in: those of `weights` are known by their digest, and
another key of names by the names."""


def begun(store: Store) -> Experiment | None:
    """The experiment of the run's folder; None where the folder is new or empty. Raises InputError where it is
    something else."""
    holds_something = store.exists("") and store.holds_something()
    if store.exists(EXPERIMENT):  # looked for last: it is a run's first file, and another driver may just write it
        return experiment_of(store)
    store.check_bucket()
    if holds_something:
        raise InputError(
            f"{store.uri} exists and is not a run of memrec; choose a run's folder, or one that is new or empty"
        )
    return None


def experiment_of(store: Store) -> Experiment:
    """The experiment that a run's folder belongs to."""
    if not store.exists(EXPERIMENT):
        store.check_bucket()
        raise InputError(
            f"{store.uri} is not a run of memrec: it has no {EXPERIMENT}; give a run's folder, such as runs/demo"
        )
    name = store.show(EXPERIMENT)
    return resolved(decode(store.read(EXPERIMENT), name), name)


def continued(experiment: Experiment, store: Store) -> Experiment:
    """The experiment for a run's folder, which is new or has results of it as it was: its networks are called what the
    run calls them.

    Raises InputError where a result that is there would have another value now, or none of them would be asked for.
    """
    then = begun(store)
    if then is None:
        return experiment
    experiment = _labelled_as(then, experiment)
    _check_shared(store, then, experiment)
    for where, old, new in differences(then, experiment):
        raise InputError(
            f"run folder {store.uri} belongs to another experiment ({where} is {old} there, and {new} here): a run's "
            f"experiment may grow, but what is there keeps its values; restore it{_place(where)}, or choose another "
            "--run"
        )
    return experiment


def _place(where: str) -> str:
    """Where a file says what stands beside each network in a run's folder."""
    name = where.rpartition(".")[2]
    return f" (as training.{name}, or in the network's own entry)" if name in TRAINED_BY else ""


def _check_shared(store: Store, then: Experiment, now: Experiment) -> None:
    """Raises InputError where nothing that the run has would be asked for."""
    for kind in ENTRIES:
        were, are = (set(_entries(experiment, kind)) for experiment in (then, now))
        if not were & are:
            raise InputError(
                f"run folder {store.uri} belongs to another experiment: of its {kind} ({', '.join(sorted(were))}) this "
                f"one has none ({', '.join(sorted(are))}); choose another --run, or repeat its own experiment"
            )
    had, asked = ({(place, entry.label) for place, entry in wanted(experiment)} for experiment in (then, now))
    if not had & asked:
        raise InputError(
            f"run folder {store.uri} belongs to another experiment: this one asks for none of its recoveries; choose "
            "another --run, or repeat its own experiment"
        )


def claim(run: Run) -> None:
    """Make the run's folder this experiment's, as it is now; raises as `continued` does."""
    text = run.experiment.to_yaml().encode()
    if begun(run.store) is None:
        try:
            run.store.write_new(EXPERIMENT, text)
        except StoreError as error:
            raise InputError(f"{run.store.uri} can't be a run's folder: {error}") from error
    continued(run.experiment, run.store)  # another driver may have been first
    if run.store.read(EXPERIMENT) != text:
        run.store.write(EXPERIMENT, text)


def asks_for_the_same(then: Experiment, now: Experiment) -> bool:
    """Whether nothing is to be done for the one that was not done for the other."""
    return _asked(then) == _asked(now)


def _asked(experiment: Experiment) -> dict[str, Any]:
    tree = {kind: _entries(experiment, kind) for kind in ENTRIES}
    return {**tree, "targets": sorted(experiment.training.targets), "pictures": experiment.pictures}


def _labelled_as(then: Experiment, now: Experiment) -> Experiment:
    """The experiment, whose networks are called what the run calls them: where data sets have come or gone, the labels
    that were made for them have another ending."""
    labels = {model.label for model in now.models}
    models = []
    for model in now.models:
        twins = [old.label for old in then.models if _is_same(old, model) and old.label not in labels]
        models.append(replace(model, label=twins[0]) if twins else model)
    return replace(now, models=tuple(models))


def _is_same(old: Model, new: Model) -> bool:
    """Whether two networks differ in nothing but an ending of their labels that names their data set, and in what
    trains them, which `differences` tells."""
    ends = old.label == f"{new.label}-{new.data}" or new.label == f"{old.label}-{old.data}"
    were, are = (
        {key: value for key, value in model.identity().items() if key not in TRAINED_BY}
        for model in (replace(old, label=new.label), new)
    )
    return ends and were == are


def _entries(experiment: Experiment, kind: str) -> dict[str, dict[str, Any]]:
    """The entries of one of the lists by their labels, without what changes no row."""
    tree = experiment.tree()[kind]
    tree = tree if isinstance(tree, list) else [tree]
    labels = [entry.label for entry in getattr(experiment, kind)]
    free = CHANGES_NO_ROW.get(kind, set())
    entries = {
        label: {key: value for key, value in entry.items() if key not in free}
        for label, entry in zip(labels, tree, strict=True)
    }
    for label, entry in zip(labels, tree, strict=True):
        if entry.get("names_key") is not None:  # whatever the key: names that it hides are none
            entries[label]["hash_names"] = True
    return entries


def differences(then: Experiment, now: Experiment) -> Iterator[tuple[str, str, str]]:
    """What both experiments have, and has another value by now: the entry, and its values in words."""
    for kind in ENTRIES:
        were, are = _entries(then, kind), _entries(now, kind)
        for label in were.keys() & are.keys():
            yield from _compared(f"{kind}.{label}", were[label], are[label])
    for old, new in product(then.training.targets, now.training.targets):
        if old != new and loss_label(old) == loss_label(new):  # their checkpoints would have one name
            yield from _compared(f"training.targets.{loss_label(old)}", repr(old), repr(new))
    old, new = then.tree(), now.tree()
    for section, free in (("", CHANGES_NO_ROW[""] | {"training"}), ("training", CHANGES_NO_ROW["training"])):
        pairs = (tree if not section else tree[section] for tree in (old, new))
        were, are = ({key: value for key, value in tree.items() if key not in free} for tree in pairs)
        yield from _compared(section, were, are)


def _compared(where: str, then: Any, now: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in {**then, **now}:
            yield from _compared(f"{where}.{key}".strip("."), then.get(key), now.get(key))
    elif then != now:
        yield where, shown(then), shown(now)
