"""When a training is expected to come to its target."""

import math

import pytest
import torch

from memrec_core import autoencoders, datasets, training
from memrec_core.training import expected_step


def course(power: float, until: int) -> list[tuple[int, float]]:
    return [(step, 0.1 * (step / 100) ** -power) for step in range(100, until + 1, 100)]


@pytest.mark.parametrize(("power", "until"), [(2.0, 2000), (4.0, 1000)])
def test_loss_that_falls_as_a_power_of_the_step_is_foreseen(power: float, until: int):
    expected = 100 * (0.1 / 1e-8) ** (1 / power)
    assert expected_step(course(power, until), 1e-8) == pytest.approx(expected, rel=1e-6)


def test_plateau_that_lies_behind_does_not_count():
    plateau = [(step, 0.5) for step in range(10, 400, 10)]
    falling = [(step, 0.1 * (step / 400) ** -4) for step in range(1000, 3001, 100)]
    assert expected_step(plateau + falling, 1e-6) == pytest.approx(400 * (0.1 / 1e-6) ** 0.25, rel=1e-6)


def test_loss_that_rises_or_stands_is_never_there():
    assert expected_step([(step, 0.1) for step in range(100, 2000, 100)], 1e-3) == math.inf
    assert expected_step([(step, 0.1 * step) for step in range(100, 2000, 100)], 1e-3) == math.inf


def test_target_that_is_reached_is_there():
    assert expected_step(course(8.0, 2000), 1.0) == 2000


def test_nothing_is_said_while_the_learning_rate_rises():
    flat = [(step, 0.1) for step in range(1, 130)]
    assert expected_step(flat[:99], 1e-3) is None
    assert expected_step(flat[:100], 1e-3) == math.inf


def test_nothing_is_said_while_the_loss_falls_faster_and_faster():
    """So do deep networks by SOAP in their first hundreds of steps."""
    falling = [(step, 0.07 * math.exp(-((step / 100) ** 3))) for step in range(10, 201, 10)]
    assert expected_step(falling[:13], 1e-4) is None
    assert expected_step([(step, 0.07 / step) for step in range(10, 131, 10)], 1e-4) == pytest.approx(700, rel=1e-6)


def test_nothing_is_said_of_a_few_looks_nor_of_losses_that_are_none():
    assert expected_step([], 1e-3) is None
    assert expected_step(course(2.0, 400), 1e-3) is None
    assert expected_step([(step, math.inf) for step in range(100, 2000, 100)], 1e-3) is None


def test_real_training_is_foreseen_within_half_of_its_steps():
    """Two decades ahead."""
    images = datasets.load("photos", count=6, size=8, seed=42).images
    torch.manual_seed(0)
    losses: list[tuple[int, float]] = []
    model = autoencoders.build("fc10", (3, 8, 8), width=64)
    told = training.train(model, images, [1e-3, 1e-5], on_step=lambda step, loss: losses.append((step, loss))).reached
    there, end = (reached.step for reached in told)
    expected = expected_step([(step, loss) for step, loss in losses if step <= there], 1e-5)
    assert expected is not None
    assert end / 1.5 < expected < 1.5 * end
