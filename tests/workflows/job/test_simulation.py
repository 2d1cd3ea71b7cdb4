"""A job on made-up workers that come, die and straggle at random: no unit is lost, and hardly any done twice."""

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from benchmarks.simulation import Simulation

UNITS, WORKERS = 10_000, 50


def check(seed: int) -> None:
    course = Simulation(UNITS, WORKERS, seed).run()  # which asserts that each ends once
    assert course.done + course.given_up == UNITS
    assert course.deaths > 0
    assert course.copies > 0
    assert course.copies + course.twice < 0.02 * UNITS


def test_every_unit_ends_once_whatever_becomes_of_the_workers_and_hardly_any_is_worked_on_twice():
    check(seed=0)


@pytest.mark.long
@settings(max_examples=10, deadline=None, phases=[Phase.generate])  # no seed is simpler than another
@given(seed=st.integers(0, 2**32))
def test_every_unit_ends_once_by_other_seeds(seed: int):
    check(seed)
