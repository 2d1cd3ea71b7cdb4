"""The book of units: what is started next, what counts, and what is given up."""

from dataclasses import replace
from itertools import takewhile
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.job.ledger import ATTEMPTS, LOSSES, Ledger
from workflows.run.unit import Unit


def unit(number: int, method: str = "unknown_mask", images: int = 10) -> Unit:
    bounds = number * images, (number + 1) * images
    return Unit("photos", "fc10", 1e-8, method, ("center",), *bounds, f"images {number}", "settings", 512, "digest")


@pytest.fixture
def ledger() -> Ledger:
    """Four units of which three took a second each; the fourth has been at work since the time 0."""
    ledger = Ledger()
    ledger.add(unit(number) for number in range(4))
    units = [ledger.next(0.0) for _ in range(4)]
    for done in units[:3]:
        ledger.finish(done, 10, 1.0)
    return ledger


def test_units_are_started_in_their_order_and_no_unit_twice():
    ledger = Ledger()
    ledger.add(unit(number) for number in range(3))
    assert [ledger.next(0.0) for _ in range(4)] == [unit(0), unit(1), unit(2), None]


def test_longest_unit_of_a_checkpoint_is_started_first_once_that_is_known():
    def under(mask: str, start: int, checkpoint: str = "digest") -> Unit:
        return replace(unit(start), degradations=(mask,), checkpoint=checkpoint)

    ledger = Ledger()
    ledger.add([under(mask, start) for mask in ("center", "bottom") for start in (0, 1)])
    ledger.add([under("center", 1, "another"), unit(0, "known_mask")])
    for started, seconds in ((under("center", 0), 1.0), (under("center", 1), 5.0)):
        assert ledger.next(0.0) == started
        ledger.finish(started, 10, seconds)
    following = [under("bottom", 1), under("bottom", 0), under("center", 1, "another"), unit(0, "known_mask")]
    assert [ledger.next(0.0) for _ in following] == following


def test_unit_far_slower_than_its_peers_is_started_a_second_time_and_no_third(ledger: Ledger):
    assert ledger.next(29.0) is None
    assert ledger.next(31.0) == unit(3)
    assert ledger.next(1000.0) is None


def test_slow_unit_is_measured_by_its_own_kind_and_size():
    ledger = Ledger()
    ledger.add([*(unit(number) for number in range(3)), unit(9, "known_mask"), unit(1, images=10_000)])
    for _ in range(5):
        ledger.next(0.0)
    for number in range(3):
        ledger.finish(unit(number), 10, 1.0)
    assert ledger.next(900.0) is None  # no peer of the one, and the other has a thousand times the images


def test_first_copy_to_end_counts_and_the_other_is_forgotten(ledger: Ledger):
    ledger.next(31.0)
    ledger.finish(unit(3), 10, 40.0)
    ledger.finish(unit(3), 10, 45.0)
    assert ledger.fail(unit(3), "its actor died") is None
    assert (ledger.images, len(ledger.waiting), len(ledger.at_work)) == (40, 0, 0)


def test_copy_that_fails_leaves_the_other_at_work_and_makes_room_for_another(ledger: Ledger):
    ledger.next(31.0)
    assert ledger.fail(unit(3), "its actor died") is None
    assert unit(3) in ledger.at_work
    assert not ledger.waiting
    assert ledger.next(32.0) == unit(3)


def test_unit_that_always_fails_is_given_up_though_a_copy_of_it_was_at_work_each_time(ledger: Ledger):
    for _ in range(ATTEMPTS):
        assert ledger.next(31.0) == unit(3)
        assert ledger.fail(unit(3), "it is odd") is None
    assert ledger.next(1000.0) is None
    assert ledger.fail(unit(3), "it is odd") == f"it is odd ({ATTEMPTS + 1} attempts)"
    assert (len(ledger.waiting), len(ledger.at_work)) == (0, 0)


def test_unit_is_given_up_after_its_attempts_and_others_go_on():
    ledger = Ledger()
    ledger.add([unit(0), unit(1)])
    said = []
    for _ in range(ATTEMPTS):
        assert unit(0) in (ledger.next(0.0), ledger.next(0.0))
        ledger.finish(unit(1), 10, 1.0)
        said.append(ledger.fail(unit(0), "it is odd"))
    assert said == [*[None] * (ATTEMPTS - 1), f"it is odd ({ATTEMPTS} attempts)"]
    assert ledger.done == {unit(1).name}
    assert ledger.next(0.0) is None


def test_node_that_goes_away_is_not_the_units_fault_unless_it_happens_again_and_again():
    ledger = Ledger()
    ledger.add([unit(0)])
    for _ in range(4 * ATTEMPTS):
        assert ledger.fail(ledger.next(0.0), "its node died", charged=False) is None
    assert len(ledger.waiting) == 1
    said = None
    while said is None:
        said = ledger.fail(ledger.next(0.0), "its node died", charged=False)
    assert said == f"its node died ({LOSSES} attempts)"


def test_time_left_is_what_the_units_usually_take(ledger: Ledger):
    assert Ledger().seconds_left({unit(0).kind: 10}) is None
    assert ledger.seconds_left({}) == pytest.approx(1.0)
    assert ledger.seconds_left({unit(0).kind: 100}) == pytest.approx(11.0)


class PlainRule:
    """The order in which units are started, as it is said: of those with the first one's checkpoint the longest, of
    equals the first, by the last pace of the same images, or else by what is usual for the kind."""

    def __init__(self) -> None:
        self.waiting: list[Unit] = []
        self.paces: dict[tuple, list[float]] = {}

    def next(self) -> Unit | None:
        if not self.waiting:
            return None
        together = takewhile(lambda unit: unit.checkpoint == self.waiting[0].checkpoint, self.waiting)
        unit = max(together, key=self.seconds)
        self.waiting.remove(unit)
        return unit

    def seconds(self, unit: Unit) -> float:
        of_images, of_kind = (self.paces.get(what, []) for what in ((unit.kind, unit.start), unit.kind))
        return len(unit) * (of_images[-1] if of_images else median(of_kind) if of_kind else 0.0)

    def finish(self, unit: Unit, seconds: float) -> None:
        for what in ((unit.kind, unit.start), unit.kind):
            self.paces.setdefault(what, []).append(seconds / len(unit))


UNITS = st.builds(
    lambda number, method, masks, checkpoint: replace(
        unit(number, method), degradations=tuple(f"mask {mask}" for mask in masks), checkpoint=checkpoint
    ),
    st.integers(0, 3),
    st.sampled_from(["unknown_mask", "known_mask"]),
    st.lists(st.integers(0, 4), min_size=1, max_size=2, unique=True),
    st.sampled_from(["first", "second"]),
)
ENDS = st.lists(st.tuples(st.sampled_from(["start", "finish", "fail"]), st.integers(1, 4)), max_size=60)


@given(units=st.lists(UNITS, unique=True, min_size=1, max_size=20), ends=ENDS)
def test_units_are_started_in_the_order_that_the_plain_rule_gives(units: list[Unit], ends: list[tuple[str, int]]):
    ledger, rule, at_work = Ledger(), PlainRule(), []
    ledger.add(units)
    rule.waiting += units
    for what, seconds in [*ends, *[("start", 1)] * len(units)]:
        if what == "start":
            expected = rule.next()
            assert ledger.next(0.0) == expected
            at_work += [] if expected is None else [expected]
        elif at_work:
            ended = at_work.pop(0)
            if what == "finish":
                ledger.finish(ended, len(ended), float(seconds))
                rule.finish(ended, float(seconds))
            elif ledger.fail(ended, "odd") is None:
                rule.waiting.append(ended)
