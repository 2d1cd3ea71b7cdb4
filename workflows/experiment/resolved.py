"""What an experiment means: nothing in it is left open, and nothing of it changes."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from memrec_core.degradations import Degradation
from memrec_core.recovery import Basis, Method
from workflows.experiment import yaml_reading
from workflows.experiment.data import Data
from workflows.experiment.imports import import_all
from workflows.experiment.methods import MethodEntry
from workflows.experiment.models import GivenModel, Model, TrainedModel
from workflows.experiment.plain import as_written, settings_of


@dataclass(frozen=True)
class Training:
    """How the networks are trained, but for what each TrainedModel says itself.

    Args:
        targets: a checkpoint is kept at the first step that reaches each of these losses (MSE).
        batch_size: how many images a step is of; all where it is None.
        max_steps: after so many a training is given up.
    """

    targets: tuple[float, ...]
    batch_size: int | None
    max_steps: int

    def tree(self) -> dict[str, Any]:
        """Its section, as YAML and JSON have it."""
        return {**settings_of(self), "targets": [*self.targets]}


def written_degradation(degradation: Degradation) -> dict[str, Any]:
    """Its entry, as YAML and JSON have it."""
    return as_written(degradation.key, degradation)


@dataclass(frozen=True)
class Experiment:
    """One experiment; a run's folder has one at a time.

    Args:
        name: what it and, unless another is given, its run's folder are called.
        description: what it is, in words.
        imports: modules to import first, which add to the registries.
        seed: what all random numbers follow from.
        data: the data sets.
        models: the networks, one for each data set that it is trained on or asked of.
        training: how those that are trained here are trained.
        degradations: what is done to the images.
        methods: how they are recovered.
        images_per_unit: how many recoveries a work unit does; as many as take two minutes where it is None, as measured
            on the cluster.
        pictures: of how many images of each split the results keep pictures.
        attractors: the label of the method whose rows have the attractor figures; none have where it is empty.
    """

    name: str
    description: str
    imports: tuple[str, ...]
    seed: int
    data: tuple[Data, ...]
    models: tuple[Model, ...]
    training: Training
    degradations: tuple[Degradation, ...]
    methods: tuple[MethodEntry, ...]
    images_per_unit: int | None
    pictures: int
    attractors: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """What it imports is there wherever it arrives."""
        return _arrived, (self.imports, settings_of(self))

    def tree(self) -> dict[str, Any]:
        """All of it, as YAML and JSON have it: read as an experiment, it is this one."""
        data = [data.tree() for data in self.data]
        return {
            "name": self.name,
            "description": self.description,
            "imports": [*self.imports],
            "seed": self.seed,
            "data": data if len(data) > 1 else data[0],
            "models": [model.tree() for model in self.models],
            "training": self.training.tree(),
            "degradations": [written_degradation(degradation) for degradation in self.degradations],
            "methods": [entry.tree() for entry in self.methods],
            "images_per_unit": self.images_per_unit,
            "pictures": self.pictures,
            "attractors": self.attractors or False,
        }

    def to_yaml(self) -> str:
        return yaml_reading.write(self.tree())

    def data_set(self, label: str) -> Data:
        return next(data for data in self.data if data.label == label)

    def model(self, label: str) -> Model:
        return next(model for model in self.models if model.label == label)

    def degradation(self, label: str) -> Degradation:
        return next(degradation for degradation in self.degradations if degradation.label == label)

    def method(self, label: str) -> Method:
        return next(entry.method for entry in self.methods if entry.label == label)

    @property
    def titles(self) -> dict[str, str]:
        """What tables and pages call its methods, by their labels, in their order there."""
        titles = Counter(entry.title for entry in self.methods)
        return {
            entry.label: entry.title if titles[entry.title] == 1 else f"{entry.title} ({entry.label})"
            for entry in self.methods
        }

    @property
    def networked(self) -> list[MethodEntry]:
        """The methods that use a network: done for each of its checkpoints."""
        return [entry for entry in self.methods if entry.method.rests_on is Basis.NETWORK]

    @property
    def generic(self) -> list[MethodEntry]:
        """The methods that use none: done once for each data set."""
        return [entry for entry in self.methods if entry.method.rests_on is not Basis.NETWORK]

    @property
    def trained_models(self) -> list[TrainedModel]:
        """The networks that are trained here."""
        return [model for model in self.models if isinstance(model, TrainedModel)]

    @property
    def given_models(self) -> list[GivenModel]:
        """The networks from outside."""
        return [model for model in self.models if isinstance(model, GivenModel)]

    @property
    def priors(self) -> list[str]:
        """The generic priors that its methods rest on, each once."""
        return list(dict.fromkeys(entry.prior for entry in self.methods if entry.prior))

    def under(self, label: str) -> list[Degradation]:
        """The degradations that a method accepts."""
        return [degradation for degradation in self.degradations if self.method(label).accepts(degradation)]

    def left_out(self) -> list[str]:
        """A sentence for each group of degradations that some methods do not accept."""
        without: dict[tuple[str, ...], list[str]] = {}
        for entry in self.methods:
            labels = tuple(
                degradation.label for degradation in self.degradations if not self._is_tried(entry, degradation)
            )
            without.setdefault(labels, []).append(entry.label)
        return [
            f"not applicable, and left out: {', '.join(methods)} under {', '.join(labels)}"
            for labels, methods in without.items()
            if labels
        ]

    def _is_tried(self, entry: MethodEntry, degradation: Degradation) -> bool:
        """Whether a method, or its form for other degradations, is tried under a degradation."""
        others = [other.method for other in self.methods if other.method.name == entry.method.other_form]
        twins = [method for method in others if settings_of(method) == settings_of(entry.method)]
        return any(method.accepts(degradation) for method in (entry.method, *twins))

    def keeping_duplicates(self) -> "Experiment":
        """The same, with control images that are near-duplicates of training images."""
        return replace(self, data=tuple(replace(data, keep_duplicates=True) for data in self.data))

    def allowing_torch_weights(self) -> "Experiment":
        """The same, with weights of given networks that torch may have saved."""
        models = (model.allowing_torch_weights() if isinstance(model, GivenModel) else model for model in self.models)
        return replace(self, models=tuple(models))

    def trusting_code(self) -> "Experiment":
        """The same, with given networks that may be programs of torch's, which are run."""
        models = (model.trusting_code() if isinstance(model, GivenModel) else model for model in self.models)
        return replace(self, models=tuple(models))


def _arrived(imports: tuple[str, ...], fields: dict[str, Any]) -> Experiment:
    """An experiment in another process."""
    import_all(imports)
    return Experiment(**fields)
