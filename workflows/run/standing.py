"""Where a job stands, and how that is said."""

from dataclasses import dataclass, field

from workflows.duration import duration


@dataclass(frozen=True)
class Standing:
    """Where a job stands. `doing` says what it is at before it recovers, `waiting` what it lacks an actor for;
    `trainings` has by the networks that are trained the course of each, its steps with their losses."""

    doing: str = ""
    waiting: str = ""
    units_done: int = 0
    units_planned: int = 0
    images_recovered: int = 0
    images_per_second: float = 0.0
    seconds_left: float | None = None
    actors: int = 0
    failed: int = 0
    trainings: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def in_words(standing: Standing) -> str:
    """What it is at before there are units, and afterwards how far it is with them."""
    if standing.units_planned:
        return standing_note(standing)
    return (standing.doing or "training") + (f", waiting for {standing.waiting}" if standing.waiting else "")


def standing_note(standing: Standing) -> str:
    """Units, actors or what it waits for without any, images a second, time left and failures in a line."""
    parts = [f"{standing.units_done}/{standing.units_planned} units"]
    if standing.actors or not standing.waiting:
        parts += [f"{standing.actors} actor{'' if standing.actors == 1 else 's'}"]
    else:
        parts += [f"no actor is there, waiting for {standing.waiting}"]
    if standing.actors and standing.seconds_left is not None:
        parts += [f"{standing.images_per_second:.3g} images/s", f"{duration(standing.seconds_left)} left"]
    return ", ".join(parts + ([f"{standing.failed} failed"] if standing.failed else []))
