"""A run: an experiment, and the folder that its results are in."""

from dataclasses import dataclass

from workflows.experiment.resolved import Experiment
from workflows.run.store import Store


@dataclass(frozen=True)
class Run:
    """What is asked for, and where what is found out lies. Where it is sent to, its folder is the same one."""

    experiment: Experiment
    store: Store
