"""From an experiment to work units: deterministic, small, and such that what was planned before stays."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from workflows.experiment.methods import MethodEntry
from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.run.catalogue import Catalogue
from workflows.run.unit import Kind, Place, Unit, settings_of_unit


class Size(NamedTuple):
    """How many recoveries a unit holds, about, and how many of them are side by side on the device."""

    recoveries: int
    batch_size: int


Sizes = Callable[[Kind], Size]


def wanted(experiment: Experiment) -> Iterator[tuple[Place, MethodEntry]]:
    """Each method at each place that it works on: side by side at one checkpoint, the slow ones first."""
    networked, generic = (sorted(some, key=_slow_first) for some in (experiment.networked, experiment.generic))
    for data in experiment.data:
        for entry in generic:
            yield Place(data.label, GENERIC, None), entry
    for model in experiment.models:
        for target in model.ladder(experiment.training.targets):
            for entry in networked:
                yield Place(model.data, model.label, target), entry


def _slow_first(entry: MethodEntry) -> int:
    return -entry.method.evaluations()


def make_plan(
    experiment: Experiment,
    catalogues: Mapping[str, Catalogue],
    sizes: Sizes,
    priors: Mapping[str, str] | None = None,
    kept: Iterable[Unit] = (),
) -> list[Unit]:
    """All units of an experiment, those that are `kept` and new ones for what these leave open.

    Args:
        experiment: which networks, methods and degradations there are.
        catalogues: the images of each data set, by its label.
        sizes: of the new units, by their kind; asked for where there are some alone.
        priors: the digest of each generic prior, by its source.
        kept: units that the experiment asks for, planned before.
    """
    there = by_place(kept)
    units = []
    for place, entry, labels in left_open(experiment, there):
        units += there.get((place, entry.label), [])
        if labels:
            checkpoint = ((priors or {}).get(entry.prior) if entry.prior else "") if place.model == GENERIC else None
            units += _units(experiment, catalogues[place.data_set], sizes, place, entry, labels, checkpoint)
    return units


def by_place(units: Iterable[Unit]) -> dict[tuple[Place, str], list[Unit]]:
    """The units by their place and their method."""
    found: dict[tuple[Place, str], list[Unit]] = defaultdict(list)
    for unit in units:
        found[unit.place, unit.method].append(unit)
    return dict(found)


def left_open(
    experiment: Experiment, there: Mapping[tuple[Place, str], Sequence[Unit]]
) -> Iterator[tuple[Place, MethodEntry, list[str]]]:
    """For each method at each place the degradations that no unit has that is `there`."""
    for place, entry in wanted(experiment):
        covered = {label for unit in there.get((place, entry.label), ()) for label in unit.degradations}
        labels = [degradation.label for degradation in experiment.under(entry.label)]
        yield place, entry, [label for label in labels if label not in covered]


def _units(
    experiment: Experiment,
    catalogue: Catalogue,
    sizes: Sizes,
    place: Place,
    entry: MethodEntry,
    labels: list[str],
    checkpoint: str | None,
) -> Iterator[Unit]:
    """The units of one method at one place, under the degradations of those labels."""
    size = sizes((place.data_set, place.model, entry.label))
    digest = cache(catalogue.digest)
    settings = cache(lambda together: settings_of_unit(experiment, place.model, entry.label, together))
    for together, start, stop in shards(labels, len(catalogue), size.recoveries):
        images = digest(start, stop)
        yield Unit(
            place.data_set,
            place.model,
            place.target_loss,
            entry.label,
            together,
            start,
            stop,
            images,
            settings(together),
            size.batch_size,
            checkpoint,
            experiment.pictures,
        )


def shards(degradations: list[str], images: int, size: int) -> list[tuple[tuple[str, ...], int, int]]:
    """Some degradations, start and stop, for each unit of about `size` recoveries: a part of the images under one
    degradation, or all of them under several."""
    if size < 2 * images:
        bounds = [(start, min(start + size, images)) for start in range(0, images, size)]
        return [((label,), *pair) for label in degradations for pair in bounds]
    together = size // images
    groups = [tuple(degradations[i : i + together]) for i in range(0, len(degradations), together)]
    return [(group, 0, images) for group in groups]


def asked_for(experiment: Experiment, units: Iterable[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Of units that were planned once, those that the experiment asks for as they are, and the others."""
    under = {
        (place, entry.label): {degradation.label for degradation in experiment.under(entry.label)}
        for place, entry in wanted(experiment)
    }
    settings = cache(lambda *labels: settings_of_unit(experiment, *labels))
    asked, others = [], []
    for unit in units:
        fits = set(unit.degradations) <= under.get((unit.place, unit.method), set())
        fits = fits and settings(unit.model, unit.method, unit.degradations) == unit.settings
        (asked if fits else others).append(unit)
    return asked, others


def split_up(then: Experiment, units: Iterable[Unit]) -> dict[Unit, list[Unit]]:
    """For each unit of several degradations a unit of each of them, so that they can be asked for one by one; `then` is
    the run's experiment as it was, which asked for them all."""
    several = [unit for unit in units if len(unit.degradations) > 1]
    settings = cache(lambda *labels: settings_of_unit(then, *labels))
    return {
        unit: [
            replace(unit, degradations=(label,), settings=settings(unit.model, unit.method, (label,)))
            for label in unit.degradations
        ]
        for unit in asked_for(then, several)[0]
    }


def with_pictures(unit: Unit, pictures: int, catalogue: Catalogue) -> Unit:
    """The unit, or one in its place where pictures of more of its images are asked for than it keeps."""
    kept = unit.pictures or 0
    if pictures <= kept or pictured(catalogue, unit, pictures) <= pictured(catalogue, unit, kept):
        return unit
    return replace(unit, pictures=pictures, raised=True)


def pictured(catalogue: Catalogue, unit: Unit, pictures: int) -> set[int]:
    """The places of the unit's images among the first few of each split."""
    images, first = catalogue.audited, catalogue.first_of_split
    return {place for place in range(unit.start, unit.stop) if place - first[images[place].split] < pictures}
