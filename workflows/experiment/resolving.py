"""From what is written to what it means: what was left open is filled in, and what makes no sense together refused."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from memrec_core.degradations import Degradation
from memrec_core.errors import InputError, in_a_line, shown, unknown
from memrec_core.recovery import METHODS, Basis
from workflows.experiment.data import Data
from workflows.experiment.file import PRIORS
from workflows.experiment.invalid import sentence
from workflows.experiment.methods import MethodEntry
from workflows.experiment.models import Model
from workflows.experiment.plain import settings_of
from workflows.experiment.resolved import Experiment, Training
from workflows.experiment.settings import arguments_of, of_somebody
from workflows.experiment.written import WrittenData, WrittenExperiment, WrittenTraining
from workflows.experiment.written_methods import SharedSettings, WrittenMethod
from workflows.experiment.written_models import TrainedBy, WrittenModel

USUAL_METHODS = ["unknown_mask", "known_mask", "autoencoder_iterations"]
"""Those of an experiment that names none."""


def resolve(written: WrittenExperiment, elsewhere: bool = False) -> Experiment:
    """What an experiment means, here or on other machines. Raises InputError, with the place, for what makes no sense
    together."""
    data = tuple(map(_data, written.data))
    methods = tuple(_fitting(_methods(written, elsewhere), written.degradations))
    found = Experiment(
        name=written.name,
        description=written.description,
        imports=tuple(written.imports),
        seed=written.seed,
        data=data,
        models=tuple(_models(written.models, data, written.training)),
        training=_training(written.training),
        degradations=tuple(written.degradations),
        methods=methods,
        images_per_unit=written.images_per_unit,
        pictures=written.pictures,
        attractors=_attractors(written.attractors, methods),
    )
    _check_distinct(found)
    return found


@contextmanager
def _told_at(place: str) -> Iterator[None]:
    """What is refused meanwhile is told with its place in the file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
    except (ValueError, AssertionError) as error:  # of what a user added
        raise InputError(f"{place}: {in_a_line(error)}") from error


def _data(written: WrittenData) -> Data:
    return Data(
        name=written.name,
        label=written.label or written.name,
        count=written.count,
        size=written.size if isinstance(written.size, int) else (written.size[0], written.size[1]),
        channels=written.channels,
        root=written.root,
        control_root=written.control_root,
        control_count=written.control_count,
        recover_count=written.recover_count,
        keep_duplicates=written.keep_duplicates,
        options=written.options,
    )


def _training(written: WrittenTraining) -> Training:
    return Training(
        targets=tuple(written.targets),
        batch_size=written.batch_size,
        max_steps=written.max_steps,
    )


def _models(written: Sequence[WrittenModel], data: Sequence[Data], training: TrainedBy) -> Iterator[Model]:
    """Each network on each of the data sets, or on the one that it names, where it can be built."""
    by_label = {entry.label: entry for entry in data}
    for number, entry in enumerate(written):
        if entry.data and entry.data not in by_label:
            raise InputError(f"models.{number}.data: {unknown('data set', entry.data, by_label)}")
        for label in [entry.data] if entry.data else by_label:
            with _told_at(f"models.{number}"):
                model = entry.on(label, entry.label_on(label, several=len(by_label) > 1), training)
                model.check_options(by_label[label].image_shape)
            yield model


def _methods(written: WrittenExperiment, elsewhere: bool) -> Iterator[MethodEntry]:
    """Each method with the settings that stand elsewhere: in the section of its name, or among the shared ones."""
    shared = written.recovery or SharedSettings()
    usual = [WrittenMethod.model_validate(name) for name in _usual_methods(written.degradations)]
    entries = written.methods or usual
    _check_effect(shared, written.sections, entries)
    for number, entry in enumerate(entries):
        section = written.sections.get(entry.name, {})
        with _told_at(f"methods.{number}"):
            settings = {**shared.settings_for(METHODS[entry.name]), **section, **entry.settings}
            yield _method(entry, settings, elsewhere)


def _method(entry: WrittenMethod, settings: dict[str, Any], elsewhere: bool) -> MethodEntry:
    kind = METHODS[entry.name]
    if kind.rests_on is Basis.PRIOR and isinstance(prior := settings.get("prior"), str):
        settings["prior"] = _place_of_prior(prior, elsewhere)
    try:
        made = MethodEntry(entry.label or entry.name, kind(**arguments_of(kind, settings)))
    except ValidationError as error:
        for detail in error.errors():
            if detail["type"] == "missing":
                setting = f"{kind.name}.{detail['loc'][0]}"
                raise InputError(f"method {kind.name} needs {setting}; README.md tells what it is") from error
        raise InputError(sentence(error, settings)) from error  # of a shared setting, of which this method wants less
    made.tree()  # raises where a file could not hold it
    return made


def _place_of_prior(prior: str, elsewhere: bool) -> str:
    """A folder's path, without a ~; the name of a shipped prior, or one on the hub, as it is."""
    path = Path(of_somebody(prior)).expanduser()
    here = prior.startswith(("~", ".")) or (path.is_dir() and not (PRIORS / prior).is_dir())
    if elsewhere and here and not Path(prior).is_absolute():
        raise InputError(
            f"{shown(prior)} is a path of this machine, and the prior is read on the cluster; give the absolute "
            "path there"
        )
    return str(path) if prior.startswith("~") else prior


def _check_effect(
    shared: SharedSettings, sections: Mapping[str, Mapping[str, Any]], methods: Sequence[WrittenMethod]
) -> None:
    """Raises InputError for a setting in a section that changes none of the methods, since each gives its own."""
    names = {entry.name for entry in methods}
    for name, section in sections.items():
        twin = METHODS[name].other_form
        if name not in names and twin in names:
            raise InputError(f"{name}: it does nothing, since methods names {twin}; name both there")
        for setting in section:
            _check_taken(f"{name}.{setting}", [setting in entry.settings for entry in methods if entry.name == name])
    for setting in shared.model_fields_set:
        only = SharedSettings.model_validate({setting: getattr(shared, setting)})
        given = []
        for entry in methods:
            if taken := only.settings_for(METHODS[entry.name]):
                given.append(taken.keys() <= {**sections.get(entry.name, {}), **entry.settings}.keys())
        _check_taken(f"recovery.{setting}", given)


def _check_taken(setting: str, given: list[bool]) -> None:
    """`given` says of each method that has the setting whether it gives its own."""
    if given and all(given):
        raise InputError(f"{setting} does nothing: each method gives its own, under methods; change that instead")


def _fitting(methods: Iterable[MethodEntry], degradations: Sequence[Degradation]) -> Iterator[MethodEntry]:
    """The methods that accept some of the degradations. Where one has another form for the rest, that stands beside it.

    Raises InputError for a method that accepts none, in whatever form.
    """
    methods = list(methods)
    given = {type(entry.method) for entry in methods}
    for number, entry in enumerate(methods):
        kind, other = type(entry.method), METHODS.get(entry.method.other_form or "")
        fits = any(map(kind.accepts, degradations))
        if fits:
            yield entry
        if other is not None and other not in given and any(map(other.accepts, degradations)):
            label = other.name if entry.label == kind.name else f"{entry.label}-{other.name}" if fits else entry.label
            yield MethodEntry(label, other(**settings_of(entry.method)))
        elif not fits:
            would = [name for name, method in METHODS.items() if any(map(method.accepts, degradations))]
            labels = ", ".join(degradation.label for degradation in degradations)
            raise InputError(
                f"methods.{number}: {kind.name} accepts none of the degradations ({labels}); choose among "
                f"{', '.join(would)}, or add a degradation that it accepts, such as {{mask: center}}"
            )


def _attractors(asked: bool | str, methods: Iterable[MethodEntry]) -> str:
    """The label of the method whose rows have the attractor figures. Raises InputError for one that uses no network."""
    labels = [entry.label for entry in methods if entry.method.rests_on is Basis.NETWORK]
    if asked is False:
        return ""
    if not labels:
        raise InputError("attractors: they are figures of a network, and none of the methods uses one; leave it out")
    if asked is True:
        return labels[0]
    if asked not in labels:
        raise InputError(f"attractors: {unknown('method with a network', asked, labels)}")
    return asked


def _usual_methods(degradations: Sequence[Degradation]) -> list[str]:
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


def _check_distinct(experiment: Experiment) -> None:
    """Raises InputError where two entries of a kind have one label."""
    for what, labels in (
        ("data", [data.label for data in experiment.data]),
        ("models", [model.label for model in experiment.models]),
        ("degradations", [degradation.label for degradation in experiment.degradations]),
        ("methods", [entry.label for entry in experiment.methods]),
        ("training.targets", [f"{target:g}" for target in experiment.training.targets]),
    ):
        if twice := [label for label, times in Counter(labels).items() if times > 1]:
            remedy = "" if what in ("degradations", "training.targets") else ", or its own label"
            raise InputError(f"{what} has an entry twice ({shown(twice[0])}); give each once{remedy}")
