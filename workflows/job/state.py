"""Where a job stands, and what it does next: without Ray, a console or a clock. Times are arguments."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workflows.job.ledger import Ledger
from workflows.job.training_state import TrainingState
from workflows.run.checkpoint_files import Checkpoint
from workflows.run.plan import with_checkpoints
from workflows.run.standing import Standing
from workflows.run.unit import Kind, Unit

TRAINING = "training-"
"""How the names of failed trainings begin; those of units are hexadecimal."""


def training_name(model: str) -> str:
    """What the training of a model, by its label, is called among the failures."""
    return f"{TRAINING}{model}"


@dataclass(frozen=True)
class Crew:
    """The actors that are `ready`, those that are `starting`, and what is `missing`, in words, where no node has room
    for any."""

    ready: int = 0
    starting: int = 0
    missing: str = ""


@dataclass(frozen=True)
class Outcome:
    """Units with results, of how many in the plan; by name the reason of each unit or training that failed; and how
    long the recovery took, in seconds from its first unit to its end."""

    done: int
    planned: int
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        return not self.failed and self.done == self.planned


class JobState:
    """A unit is blocked until its checkpoint is there. Then it is done already, or was given up before, or the ledger
    has it. A training is under way, or at its end, or given up."""

    def __init__(
        self,
        planned: Sequence[Unit],
        failures: Mapping[str, str] | None = None,
        ladders: Mapping[str, Sequence[Checkpoint]] | None = None,
    ) -> None:
        """
        Args:
            planned: the units to do, all of them blocked at first.
            failures: the reasons on record, by the name of the unit or the training.
            ladders: the checkpoints that each training makes, by its model's label.
        """
        self.planned, self.already_done = len(planned), 0
        self.failures, self.ladders = dict(failures or {}), dict(ladders or {})
        self.unrecorded: dict[str, str | None] = {}
        self.digests: dict[Checkpoint, str] = {}
        self.blocked: dict[Checkpoint, list[Unit]] = defaultdict(list)
        self.recoveries_blocked: Counter[Kind] = Counter()
        for unit in planned:
            self.blocked[unit.model, unit.target_loss].append(unit)
            self.recoveries_blocked[unit.kind] += len(unit)
        self.taken_up: set[str] = set()
        self.ledger, self.trainings = Ledger(), dict[str, TrainingState]()
        self.recovering_since: float | None = None
        self.most_actors = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way, and nothing waits for an actor."""
        return not (self.trainings or self.ledger.waiting or self.ledger.at_work)

    # Checkpoints, and the trainings that make them.

    def unblock(self, digests: Mapping[Checkpoint, str]) -> list[Unit]:
        """The checkpoints with these digests are there. Returns the units that waited for one of them, or need none."""
        self.digests = dict(digests)
        there = [
            checkpoint
            for checkpoint, units in self.blocked.items()
            if checkpoint in self.digests or not units[0].uses_network
        ]
        come, _ = with_checkpoints([unit for key in there for unit in self.blocked.pop(key)], self.digests)
        for unit in come:
            self.recoveries_blocked[unit.kind] -= len(unit)
        return come

    def start_trainings(self) -> tuple[list[str], list[str]]:
        """The models whose training is under way from now on, and those that are trained already."""
        done = [model for model, ladder in self.ladders.items() if all(key in self.digests for key in ladder)]
        for model in done:
            self._forget_failure(training_name(model))
        wanted = [m for m in self.ladders if m not in done and training_name(m) not in self.failures]
        self.trainings = {model: TrainingState() for model in wanted}
        return wanted, done

    def end_training(self, model: str, reason: str | None = None) -> None:
        """It is at its end, or given up for a `reason`."""
        del self.trainings[model]
        if reason is not None:
            self._give_up(training_name(model), f"{reason} (checkpoints already reached are kept)")

    @property
    def is_training_starting(self) -> bool:
        """Whether a training still waits for its place on the cluster."""
        return any(training.is_starting for training in self.trainings.values())

    # Units.

    def take_up(self, done: Sequence[Unit], left: Sequence[Unit]) -> None:
        """Of units that are no longer blocked, these are done already; those that are left wait, unless given up."""
        self.already_done += len(done)
        for unit in done:
            self._forget_failure(unit.name)
        self.taken_up |= {unit.name for units in (done, left) for unit in units}
        if not self.blocked:
            self._forget_strangers()
        self.ledger.add(unit for unit in left if unit.name not in self.failures)

    def next(self, now: float) -> Unit | None:
        """The unit that an idle actor begins at the time `now`; None where there is none for it."""
        unit = self.ledger.next(now)
        if unit is not None and self.recovering_since is None:
            self.recovering_since = now
        return unit

    @property
    def following(self) -> Unit | None:
        """The unit that will be next, if one waits."""
        return self.ledger.waiting.peek() if self.ledger.waiting else None

    def finish(self, unit: Unit, images: int, seconds: float) -> None:
        """The unit has its file, by this attempt or another one."""
        self.ledger.finish(unit, images, seconds)
        self._forget_failure(unit.name)

    def fail(self, unit: Unit, reason: str, charged: bool = True) -> None:
        """An attempt failed, by the unit's fault where it is `charged`. The unit waits again, or is given up."""
        if (why := self.ledger.fail(unit, reason, charged)) is not None:
            self._give_up(unit.name, why)

    def wanted_actors(self, room: int) -> int:
        """How many actors there should be where there is room for so many."""
        if not self.planned:
            return 0
        if self.trainings and not self.is_training_starting:
            return room  # idle actors wait for the next checkpoint
        return min(room, len(self.ledger.waiting) + 2 * len(self.ledger.at_work))  # two: for slow ones' copies

    # What is known of it outside.

    def changed_failures(self) -> dict[str, str | None]:
        """The failures to put on record since this was last asked: by name a reason, or None for one that is gone."""
        changed, self.unrecorded = self.unrecorded, {}
        return changed

    def standing(self, now: float, crew: Crew) -> Standing:
        """For the display and for `memrec status`."""
        left, seconds = self.ledger.seconds_left(self.recoveries_blocked), self._recovery_seconds(now)
        return Standing(
            doing="training",
            waiting=self._lack(crew),
            units_done=self.already_done + len(self.ledger.done),
            units_planned=self.planned,
            images_recovered=self.ledger.images,
            images_per_second=self.ledger.images / seconds if seconds else 0.0,
            seconds_left=None if left is None or not crew.ready else left / crew.ready,
            actors=crew.ready,
            failed=len(self.failures),
            trainings={name: [*training.course] for name, training in self.trainings.items()},
        )

    def outcome(self, now: float, failures: str = "") -> Outcome:
        """As it ends at the time `now`, with the failures whose names begin so."""
        failed = {what: why for what, why in self.failures.items() if what.startswith(failures)}
        done = self.already_done + len(self.ledger.done)
        return Outcome(done, self.planned, failed, self._recovery_seconds(now))

    def _lack(self, crew: Crew) -> str:
        """What keeps the job from having an actor for its units, or a training at work; nothing where nothing does."""
        if crew.ready or not (self.ledger.waiting or self.trainings):
            return ""
        if crew.missing:
            return crew.missing
        if not self.ledger.waiting:
            return "a checkpoint" if self.planned else ""
        return "the trainings to leave room" if self.trainings and not crew.starting else "one to start"

    def _recovery_seconds(self, now: float) -> float:
        return 0.0 if self.recovering_since is None else now - self.recovering_since

    def _give_up(self, what: str, reason: str) -> None:
        self.failures[what] = self.unrecorded[what] = reason

    def _forget_strangers(self) -> None:
        """Failures of units that are the plan's no more, since their checkpoint is another one by now."""
        for what in self.failures.keys() - self.taken_up - set(map(training_name, self.ladders)):
            self._forget_failure(what)

    def _forget_failure(self, what: str) -> None:
        """It has succeeded since, here or under another driver, or matters no more."""
        if self.failures.pop(what, None) is not None:
            self.unrecorded[what] = None
