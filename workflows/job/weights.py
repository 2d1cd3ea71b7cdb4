"""The checkpoints of a job in the nodes' shared memory."""

from functools import partial

import ray

from workflows.job.tasks import Task, start, wait_for
from workflows.job.worker import read_weights
from workflows.run.checkpoint_files import loss_label
from workflows.run.run import Run
from workflows.run.unit import Network, Unit

HELD = 4
"""How many checkpoints stay there, ready for the next unit."""


class WeightsInMemory:
    """Each checkpoint is read once, by a task, and lies there for the actors that come to need it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.held: dict[Network, ray.ObjectRef] = {}
        """By its network the Weights of a checkpoint, there or on their way."""
        self.soundness: dict[ray.ObjectRef, Task] = {}
        """For each checkpoint that is being read, what will tell that it is sound."""

    def refs(self) -> list[ray.ObjectRef]:
        return list(self.soundness)

    def of(self, unit: Unit) -> list[ray.ObjectRef]:
        """What the unit's actor is given; nothing for a method that uses no network."""
        if not unit.uses_network:
            return []
        if unit.network not in self.held:
            while len(self.held) >= HELD:
                del self.held[next(iter(self.held))]
            what = f"reading the checkpoint {unit.model} {loss_label(unit.target_loss)}"
            task = start(what, partial(read_weights, self.run, unit), num_returns=2, num_cpus=0)
            sound, self.held[unit.network] = task.refs
            self.soundness[sound] = task
        return [self.held[unit.network]]

    def settle(self, ref: ray.ObjectRef) -> None:
        """Take note that a checkpoint was read. Raises CheckpointError where it is not sound."""
        wait_for([self.soundness.pop(ref)])

    def drop(self, unit: Unit) -> None:
        """Should the unit's checkpoint be why it failed, it is read anew."""
        self.held.pop(unit.network, None)
