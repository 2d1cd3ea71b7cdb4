"""What the figures of a run are made of, and what a figure says where a run has nothing for it."""

from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd
from matplotlib.figure import Figure

from workflows.experiment.models import GENERIC
from workflows.figures.style import WIDTH_MM, Look, looks_of
from workflows.report.course import Walk, walk_of
from workflows.run.images import samples_of
from workflows.run.opened import OpenRun


class NothingToDrawError(Exception):
    """The run has not the data of a figure: says what is missing, as a sentence goes on after `is not drawn: `."""


@dataclass(frozen=True)
class Source:
    """A run, its rates and thresholds, as they were read once; the width of the figures, and the image of figures 1 and
    2."""

    run: OpenRun
    rates: pd.DataFrame
    thresholds: pd.DataFrame
    width_mm: float = WIDTH_MM
    image: str = "0"
    looks: dict[str, Look] = field(default_factory=dict)

    @classmethod
    def of(cls, run: OpenRun, width_mm: float = WIDTH_MM, image: str = "0") -> "Source":
        return cls(run, run.rates(), run.thresholds(), width_mm, image, looks_of(run.experiment.methods))

    @cached_property
    def walk(self) -> Walk:
        """The course of the recovery of the image; raises as `walk_of` does."""
        return walk_of(self.run, image=self.image)

    @cached_property
    def samples(self) -> dict[str, str]:
        """What to say of the data sets of which a sample alone is recovered, by their labels."""
        return samples_of(self.run)

    def degradations(self, noisy: bool) -> list[str]:
        """The labels of the degradations with noise, or those without."""
        return [one.label for one in self.run.experiment.degradations if (one.noise_std > 0) is noisy]

    def of_training_images(self, table: pd.DataFrame, model: str) -> pd.DataFrame:
        """Of rates or thresholds, those of a network's training images; at each of its losses those of the methods
        without a network, which are the same at all."""
        table = table[table["split"] == "train"]
        own = table[table["model"] == model]
        generic = table[(table["model"] == GENERIC) & table["data_set"].isin(own["data_set"])]
        losses = own[["target_loss"]].drop_duplicates()
        return pd.concat([own, generic.drop(columns="target_loss").merge(losses, "cross")], ignore_index=True)

    def models(self) -> list[str]:
        """The labels of the networks that have rates."""
        there = set(self.rates["model"])
        return [model.label for model in self.run.experiment.models if model.label in there]

    def models_to_draw(self, trained: bool = False) -> list[str]:
        """The same; of those that were `trained` here alone. Raises NothingToDrawError where there are none."""
        own = {model.label for model in self.run.experiment.trained_models}
        labels = [label for label in self.models() if not trained or label in own]
        if trained and not own:
            raise NothingToDrawError("the run's networks were not trained here, so there is no course of their loss")
        if not labels:
            raise NothingToDrawError("no network of the run has rates")
        return labels


@dataclass(frozen=True)
class Drawing:
    """A figure, and the name of its files."""

    name: str
    figure: Figure
