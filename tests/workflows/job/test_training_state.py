"""The book of a training: what counts as having got further."""

import pytest

from workflows.job.training_state import ATTEMPTS, STARTING, TrainingStanding, TrainingState


@pytest.mark.parametrize(("step", "breaks"), [(10, 3), (20, 3), (21, 0)])
def test_only_a_process_that_gets_further_than_those_before_it_makes_their_breaks_forgotten(step: int, breaks: int):
    training = TrainingState()
    training.note(TrainingStanding(20, 1e-3))
    training.breaks = 3
    training.note(TrainingStanding(step, 1e-3))
    assert (training.breaks, training.standing.step) == (breaks, step)


def test_training_whose_process_dies_again_and_again_at_one_step_is_given_up():
    training, said = TrainingState(), []
    for _ in range(ATTEMPTS):
        training.note(TrainingStanding(20, 1e-3))
        said.append(training.break_off("its process died"))
    assert said == [*[None] * (ATTEMPTS - 1), f"its process died ({ATTEMPTS} attempts)"]


def test_process_that_takes_a_training_up_waits_for_its_place_like_the_first():
    training = TrainingState()
    training.note(TrainingStanding(20, 1e-3))
    assert not training.is_starting
    training.break_off("its process died")
    assert training.is_starting
    assert training.standing == STARTING
