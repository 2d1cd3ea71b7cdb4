"""What the benchmark of training lengths says of sizes that it did not train."""

import numpy as np
import pytest

from benchmarks.curve import expected_epochs

COUNTS = [50, 100, 200, 500, 1000]


def lengths(noise: np.ndarray | float = 0.0) -> list[dict[str, float]]:
    epochs = 3 * np.sqrt(COUNTS) * np.exp(noise)
    return [{"count": count, "epochs": length} for count, length in zip(COUNTS, epochs, strict=True)]


def test_trainings_that_follow_a_power_are_continued_by_it():
    low, middle, high = expected_epochs(lengths(), 25_000)
    assert middle == pytest.approx(3 * 25_000**0.5)
    assert (low, high) == pytest.approx((middle, middle))


def test_interval_holds_another_such_training_in_95_of_100_cases():
    random, held = np.random.default_rng(0), 0
    for _ in range(1000):
        *noise, another = random.normal(0, 0.2, len(COUNTS) + 1)
        low, _, high = expected_epochs(lengths(np.array(noise)), 25_000)
        held += low <= 3 * 25_000**0.5 * np.exp(another) <= high
    assert 930 <= held <= 970
