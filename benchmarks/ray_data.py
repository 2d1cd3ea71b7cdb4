"""memrec's job against a pipeline of Ray Data: the same recoveries by the same actors, as whole commands, and without
what comes before and after."""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ray_data_jobs import LIMIT_S, RECOVERIES, Job, memrec, ray_data, train
from benchmarks.rows import Row, seconds
from benchmarks.watched import Call

ROUNDS = 5


@dataclass(frozen=True)
class Times:
    """The seconds of a whole command; those from its first recovery's begin to the last one's end; and those that its
    actors, all together, recovered in."""

    whole: float
    recoveries: float
    at_work: float


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        trained = train(Path(folder))
        rivals: list[Callable[[Path], Job]] = [
            lambda place: memrec(trained, place),
            lambda place: ray_data(trained, place),
            lambda place: ray_data(trained, place, "--one-block"),
        ]
        taken: list[list[Times]] = []
        for number in range(ROUNDS + 1):  # the first does not count
            places = [Path(folder, f"{number}-{i}") for i in range(len(rivals))]
            turn = [*zip(rivals, places, strict=True)][:: 1 if number % 2 else -1]
            taken.append([timed(job, place) for job, place in turn][:: 1 if number % 2 else -1])
    ours, divided, plain = ([*column] for column in zip(*taken[1:], strict=True))
    shares = f"actors at work {share(ours):.0%} of ours, {{:.0%}} of the rival's; "
    return [
        compared("Ray Data, plain: whole commands", ours, plain, "whole", 1.0),
        compared("Ray Data, plain: the recoveries alone", ours, plain, "recoveries", 1.5, shares.format(share(plain))),
        compared("Ray Data, rows divided by hand: whole commands", ours, divided, "whole", 1.0),
        compared(
            "Ray Data, rows divided by hand: the recoveries alone",
            ours,
            divided,
            "recoveries",
            note=shares.format(share(divided)),
        ),
    ]


def timed(job_in: Callable[[Path], Job], place: Path) -> Times:
    place.mkdir()
    job = job_in(place)
    whole = seconds(lambda: job.start().wait(LIMIT_S))
    counts, made = job.rows(), job.calls()
    if len(counts) != RECOVERIES or counts.max() != 1:
        raise AssertionError(f"{len(counts)} of {RECOVERIES} recoveries: {job.log.with_suffix('.out').read_text()}")
    return Times(whole, ended(made) - min(call.began for call in made), sum(lengths(made)))


def lengths(made: list[Call]) -> list[float]:
    return [call.ended - call.began for call in made if call.ended is not None]


def ended(made: list[Call]) -> float:
    return max(call.ended for call in made if call.ended is not None)


def share(times: list[Times]) -> float:
    """Of two actors' time from the first recovery to the last, how much they recover in."""
    return statistics.median(t.at_work / (2 * t.recoveries) for t in times)


def compared(
    what: str, ours: list[Times], theirs: list[Times], measure: str, target: float | None = None, note: str = ""
) -> Row:
    pairs = [(getattr(mine, measure), getattr(other, measure)) for mine, other in zip(ours, theirs, strict=True)]
    ratios = [theirs / ours for ours, theirs in pairs]
    note += f"ratios from {min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds"
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(what, mine, other, statistics.median(ratios), target, note=note)


if __name__ == "__main__":
    for row in rows():
        print(row)
