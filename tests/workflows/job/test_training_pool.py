"""The book of a training: what counts as having got further."""

import pytest

from workflows.experiment.resolved import Experiment
from workflows.job.training_pool import TrainingStanding, _Training


@pytest.mark.parametrize(("step", "breaks"), [(10, 3), (20, 3), (21, 0)])
def test_only_a_process_that_gets_further_than_those_before_it_makes_their_breaks_forgotten(
    small: Experiment, step: int, breaks: int
):
    training = _Training(small.trained_models[0])
    training.note(TrainingStanding(20, 1e-3))
    training.breaks = 3
    training.note(TrainingStanding(step, 1e-3))
    assert (training.breaks, training.standing.step) == (breaks, step)
