"""What of two runs belongs together: their rates of the same data set, network, training loss, degradation, method and
split."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pandas as pd

from memrec_core.errors import InputError
from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.run.identity import differences
from workflows.run.opened import OpenRun

KEY = ["data_set", "model", "target_loss", "degradation", "method", "split"]
WORDS = dict(zip(KEY, ("data set", "model", "training loss", "degradation", "method", "split"), strict=True))


@dataclass(frozen=True)
class Labels:
    """What the labels of a run's only data set and network are to the run that it is compared with."""

    data_set: tuple[str, str] = ("", "")
    model: tuple[str, str] = ("", "")

    def of_data_set(self, label: str) -> str:
        return self.data_set[1] if label == self.data_set[0] else label

    def of_model(self, label: str) -> str:
        return self.model[1] if label == self.model[0] else label

    def rates(self, rates: pd.DataFrame) -> pd.DataFrame:
        """The rates, by the other run's labels."""
        return rates.assign(data_set=rates["data_set"].map(self.of_data_set), model=rates["model"].map(self.of_model))

    def experiment(self, experiment: Experiment) -> Experiment:
        """The experiment, by the other run's labels."""
        data = tuple(replace(data, label=self.of_data_set(data.label)) for data in experiment.data)
        models = tuple(
            replace(model, label=self.of_model(model.label), data=self.of_data_set(model.data))
            for model in experiment.models
        )
        return replace(experiment, data=data, models=models)


def labels_between(base: Experiment, other: Experiment) -> Labels:
    """Where both runs have one data set, or one network, they are compared whatever they are called."""
    data_sets, models = ([[entry.label for entry in run.data] for run in (base, other)], _networks(base, other))
    return Labels(_pair(*data_sets), _pair(*models))


def _networks(*experiments: Experiment) -> list[list[str]]:
    return [[model.label for model in experiment.models] for experiment in experiments]


def _pair(base: list[str], other: list[str]) -> tuple[str, str]:
    if len(base) == len(other) == 1 and base != other and GENERIC not in (*base, *other):
        return other[0], base[0]
    return "", ""


def remarks_on(base: OpenRun, other: OpenRun, labels: Labels, name: str) -> Iterator[str]:
    """What a reader must know of the two runs, which are called A and `name`: what is compared under another label, and
    which settings differ."""
    for what, (label, compared_as) in (("data set", labels.data_set), ("network", labels.model)):
        if label:
            yield f"The {what} {label} of {name} is compared with {compared_as} of A."
    for where, then, now in differences(base.experiment, labels.experiment(other.experiment)):
        yield f"{where} is {then} in A, and {now} in {name}."


def matched(base: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The rates that both have, side by side, in the order of the first run; those of the other end in _other."""
    both = base.merge(other, on=KEY, suffixes=("", "_other"))  # pandas takes null for null
    if both.empty:
        raise InputError(
            "the runs have no rates in common: none are of the same data set, network, training loss, degradation, "
            f"method and split ({_examples(base)}; {_examples(other)}); compare runs that share some"
        )
    return both


def _examples(rates: pd.DataFrame) -> str:
    return ", ".join(str(rates[column].iloc[0]) for column in KEY[:5])


def unmatched(rates: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The keys of the rates that the other run does not have."""
    found = rates[KEY].merge(other[KEY], "left", on=KEY, indicator=True)
    return found[found["_merge"] == "left_only"][KEY].reset_index(drop=True)


def unmatched_words(keys: pd.DataFrame, other: pd.DataFrame) -> str:
    """What is only there, as a list: the labels that the other run does not have at all, and how many rows else."""
    parts, left = [], keys
    for column in KEY:
        own = keys[~keys[column].isin(other[column]) & keys[column].notna()][column].drop_duplicates()
        parts += [
            f"{WORDS[column]} {value:g}" if column == "target_loss" else f"{WORDS[column]} {value}" for value in own
        ]
        left = left[~left[column].isin(own)]
    if len(left):
        parts.append(f"{len(left)} combinations of what both have")
    return ", ".join(parts)
