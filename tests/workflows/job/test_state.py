"""Where a job stands: what waits for what, what is put on record, and what is said of it."""

from dataclasses import replace

import pytest

from tests.workflows.job.test_ledger import unit
from workflows.job.ledger import ATTEMPTS
from workflows.job.state import TRAINING, Crew, JobState, Outcome
from workflows.job.training_state import TrainingStanding

CHECKPOINTS = [("fc10", 1e-3), ("fc10", 1e-8)]
DIGESTS = dict(zip(CHECKPOINTS, ("first", "second"), strict=True))
LADDERS = {"fc10": CHECKPOINTS}
PLANNED = [replace(unit(number), target_loss=loss, checkpoint=None) for loss in (1e-3, 1e-8) for number in range(2)]
GENERIC = replace(unit(0, "biharmonic"), model="generic", target_loss=None, checkpoint="")


def begun(*planned, digests=DIGESTS, **options) -> JobState:
    """A job whose units wait for actors, as far as their checkpoints are there."""
    state = JobState(planned or PLANNED, **options)
    state.take_up([], state.unblock(digests))
    return state


def test_unit_waits_for_its_checkpoint_alone_and_then_has_its_digest():
    state = JobState([GENERIC, *PLANNED])
    assert state.unblock({}) == [GENERIC]
    first = state.unblock({CHECKPOINTS[0]: "first"})
    assert first == [replace(unit, checkpoint="first") for unit in PLANNED[:2]]
    assert state.unblock({CHECKPOINTS[0]: "first"}) == []
    assert [unit.checkpoint for unit in state.unblock(DIGESTS)] == ["second", "second"]
    assert not state.blocked


def test_job_is_over_once_nothing_is_under_way_even_if_units_are_blocked_for_ever():
    state = begun(*PLANNED, digests={CHECKPOINTS[0]: "first"}, ladders=LADDERS)
    state.start_trainings()
    for _ in range(2):
        state.finish(state.next(0.0), 10, 1.0)
    assert not state.is_over
    state.end_training("fc10", "it diverged")
    assert state.is_over
    assert state.outcome(5.0) == Outcome(
        2, 4, {"training-fc10": "it diverged (checkpoints already reached are kept)"}, seconds=5.0
    )


def test_unit_that_is_given_up_is_put_on_record_once_and_not_taken_up_again():
    state, name = begun(PLANNED[0]), JobState(PLANNED[:1]).unblock(DIGESTS)[0].name
    for _ in range(ATTEMPTS):
        assert state.changed_failures() == {}
        state.fail(state.next(0.0), "it is odd")
    assert state.next(0.0) is None
    assert state.changed_failures() == {name: f"it is odd ({ATTEMPTS} attempts)"}
    assert state.changed_failures() == {}
    again = begun(failures=state.failures)
    assert name not in [again.next(0.0).name for _ in range(3)]
    assert again.next(0.0) is None
    assert again.outcome(0.0).failed.keys() == {name}
    assert again.outcome(0.0, TRAINING).failed == {}


def test_failure_of_a_unit_that_another_driver_has_done_is_taken_off_the_record():
    named = JobState(PLANNED).unblock(DIGESTS)
    state = JobState(PLANNED, {named[0].name: "it is odd", named[1].name: "it is odd"})
    units = state.unblock(DIGESTS)
    state.take_up(units[:1], units[1:])
    assert state.changed_failures() == {named[0].name: None}
    assert (state.already_done, state.failures.keys()) == (1, {named[1].name})


def test_failures_of_a_checkpoint_that_was_trained_anew_mean_nothing_once_all_checkpoints_are_there():
    mine = JobState(PLANNED).unblock(DIGESTS)[0].name
    failures = {"0123456789abcdef": "spoiled", mine: "odd", "training-fc10": "no"}
    state = begun(digests={CHECKPOINTS[0]: "first"}, failures=failures, ladders=LADDERS)
    assert state.changed_failures() == {}  # it may be of the checkpoint that is still to come
    state.take_up([], state.unblock(DIGESTS))
    assert state.changed_failures() == {"0123456789abcdef": None}
    assert begun(failures=failures, ladders=LADDERS).changed_failures() == {"0123456789abcdef": None}


@pytest.mark.parametrize(
    ("digests", "failures", "wanted", "done", "changed"),
    [
        ({}, {}, ["fc10"], [], {}),
        ({CHECKPOINTS[0]: "first"}, {}, ["fc10"], [], {}),
        ({}, {"training-fc10": "it diverged"}, [], [], {}),
        (DIGESTS, {"training-fc10": "it diverged"}, [], ["fc10"], {"training-fc10": None}),
    ],
    ids=["new", "half", "given up", "done under another driver"],
)
def test_training_is_begun_unless_it_is_done_or_was_given_up(digests, failures, wanted, done, changed):
    state = JobState(PLANNED, failures, LADDERS)
    state.unblock(digests)
    assert state.start_trainings() == (wanted, done)
    assert list(state.trainings) == wanted
    assert state.changed_failures() == changed


def test_there_are_no_more_actors_than_units_unless_a_training_is_about_to_bring_some():
    state = begun(ladders=LADDERS)
    assert state.wanted_actors(100) == 4
    assert state.wanted_actors(3) == 3
    state.next(0.0)
    assert state.wanted_actors(100) == 3 + 2
    assert JobState([]).wanted_actors(100) == 0
    state = begun(digests={}, ladders=LADDERS)
    state.start_trainings()
    assert state.wanted_actors(100) == 0  # they would take the training's place
    state.trainings["fc10"].note(TrainingStanding(1, 0.1))
    assert state.wanted_actors(100) == 100


NO_ROOM = "a node with room for 1 CPU"


@pytest.mark.parametrize(
    ("digests", "trains", "crew", "words"),
    [
        (DIGESTS, False, Crew(ready=1, missing=NO_ROOM), ""),
        (DIGESTS, False, Crew(missing=NO_ROOM), NO_ROOM),
        (DIGESTS, False, Crew(), "one to start"),
        ({}, True, Crew(), "a checkpoint"),
        ({CHECKPOINTS[0]: "first"}, True, Crew(), "the trainings to leave room"),
        ({CHECKPOINTS[0]: "first"}, True, Crew(starting=1), "one to start"),
    ],
)
def test_standing_says_what_the_job_lacks_an_actor_for(digests, trains: bool, crew: Crew, words: str):
    state = begun(digests=digests, ladders=LADDERS)
    if trains:
        state.start_trainings()
    assert state.standing(0.0, crew).waiting == words


def test_standing_counts_what_was_done_before_and_tells_the_time_of_what_is_left():
    state = JobState(PLANNED, ladders=LADDERS)
    units = state.unblock({CHECKPOINTS[0]: "first"})
    state.take_up(units[:1], units[1:])
    state.finish(state.next(10.0), 10, 4.0)
    standing = state.standing(20.0, Crew(ready=2))
    assert (standing.units_done, standing.units_planned, standing.images_recovered) == (2, 4, 10)
    assert standing.images_per_second == pytest.approx(1.0)
    assert standing.seconds_left == pytest.approx(2 * 10 * 0.4 / 2)  # the two that are blocked
    assert state.standing(20.0, Crew()).seconds_left is None
