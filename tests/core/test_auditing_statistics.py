"""The figures of an audit, beside those of scipy, by hand, and by how often their intervals hold."""

from math import comb

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from memrec_core.auditing.evidence import Comparison, compared, per_cent
from memrec_core.auditing.membership import auc, auc_interval, membership


@pytest.mark.parametrize(
    "counts",
    [(0, 10, 0, 10), (10, 10, 0, 10), (3, 48, 1, 48), (1, 1, 0, 99), (40, 100, 38, 250), (0, 7, 5, 5), (9, 10, 10, 10)],
)
def test_p_is_that_of_fishers_exact_test(counts: tuple[int, int, int, int]):
    a, n, b, m = counts
    as_many = [comb(n, x) * comb(m, a + b - x) for x in range(a, min(n, a + b) + 1)]
    assert Comparison(*counts).p == pytest.approx(sum(as_many) / comb(n + m, a + b), rel=1e-9)


def test_p_of_a_leak_of_many_images_is_a_number():
    assert 0 <= Comparison(3000, 3000, 0, 3000).p < 1e-300
    assert 0 < Comparison(500, 500, 0, 500).p < 1e-200


def test_flags_of_both_sides_are_counted():
    assert compared([True, False, True], [False]) == Comparison(2, 3, 0, 1)


@pytest.mark.parametrize(("p", "q", "n", "m"), [(0.0, 0.0, 50, 80), (0.5, 0.05, 48, 48), (0.02, 0.02, 100, 100)])
def test_interval_of_the_difference_holds_in_about_95_per_cent(p: float, q: float, n: int, m: int):
    source = np.random.default_rng(0)
    held = []
    for a, b in zip(source.binomial(n, p, 1000), source.binomial(m, q, 1000), strict=True):
        value, low, high = Comparison(int(a), n, int(b), m).excess
        assert -1 <= low <= value <= high <= 1
        held.append(low <= p - q <= high)
    assert np.mean(held) >= 0.93


def test_interval_of_the_difference_is_no_point_where_all_or_none_came_back():
    value, low, high = Comparison(48, 48, 0, 48).excess
    assert (value, high) == (1, 1)
    assert 0.85 < low < 0.95
    value, low, high = Comparison(0, 48, 0, 48).excess
    assert value == 0
    assert low == pytest.approx(-high)
    assert 0.05 < high < 0.1


# Membership


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_that_of_mann_and_whitney(ties: bool):
    source = np.random.default_rng(1)
    train, control = source.normal(0, 1, 130), source.normal(0.7, 1, 210)
    if ties:
        train, control = train.round(), control.round()
    expected = mannwhitneyu(control, train).statistic / (130 * 210)
    assert auc(train, control) == pytest.approx(expected, abs=1e-12)


def test_auc_by_hand():
    """Pairs (1, 2) (1, 3) (2, 3) are in order, and (2, 2) is a tie: 3.5 of 4."""
    assert auc(np.array([1.0, 2.0]), np.array([2.0, 3.0])) == 3.5 / 4
    assert auc(np.zeros(5), np.ones(5)) == 1
    assert auc(np.ones(5), np.zeros(5)) == 0
    assert auc(np.zeros(5), np.zeros(5)) == 0.5


@pytest.mark.parametrize("shift", [0.0, 0.7, 2.5])
def test_interval_of_the_auc_holds_in_about_95_per_cent(shift: float):
    """Of two normal distributions it is Phi(shift / sqrt(2))."""
    from scipy.stats import norm

    truth, source = norm.cdf(shift / np.sqrt(2)), np.random.default_rng(2)
    held = 0
    for _ in range(400):
        low, high = auc_interval(auc(source.normal(0, 1, 60), source.normal(shift, 1, 100)), 60, 100)
        held += low <= truth <= high
    assert 0.92 <= held / 400 <= 0.99


def test_interval_of_the_auc_is_no_point_at_its_ends():
    low, high = auc_interval(1.0, 50, 100)
    assert high == 1
    assert 0.9 < low < 0.99
    assert auc_interval(0.0, 50, 100) == pytest.approx((1 - high, 1 - low), abs=1e-4)


def test_true_positives_at_one_per_cent_of_false_ones_by_hand():
    """Of 200 control images two may be below the threshold: it is the third smallest error, 2."""
    control = np.arange(200.0)
    found = membership(np.array([0.5, 1.9, 2.0, 50.0]), control)
    assert (found.threshold, found.true_positives) == (2.0, 0.5)
    assert (control < 2.0).mean() == 0.01
    assert found.true_positives_interval == pytest.approx((0.0676, 0.9324), abs=1e-4)


def test_ties_among_control_images_never_let_more_than_one_per_cent_pass():
    control = np.array([1.0] * 50 + [2.0] * 50)
    found = membership(np.array([1.0, 0.5]), control)
    assert (control < found.threshold).mean() <= 0.01
    assert found.true_positives == 0.5


def test_few_control_images_tell_nothing_and_the_reason_is_given():
    found = membership(np.zeros(50), np.ones(99))
    assert (found.auc, found.auc_interval, found.true_positives, found.threshold) == (None,) * 4
    assert found.reason == "99 control images are too few to tell 1 % of them; give 100 or more"
    assert membership(np.zeros(50), np.ones(100)).reason is None


def test_error_that_is_no_number_counts_as_the_largest():
    control = np.linspace(1, 2, 100)
    assert membership(np.array([np.nan, np.inf]), control).auc == 0
    assert membership(np.array([0.5, 0.5]), np.array([np.nan] * 100)).auc == 1
    assert membership(np.array([np.nan]), np.array([np.nan] * 100)).auc == 0.5


def test_shares_in_words_have_three_digits_and_only_all_is_100_per_cent():
    shares = [0, 0.000417, 1 / 48, 0.9256, 0.9994, 0.9997, 0.99997, 1]
    assert [*map(per_cent, shares)] == ["0 %", "0.0417 %", "2.08 %", "92.6 %", "99.9 %", "99.97 %", "99.997 %", "100 %"]
