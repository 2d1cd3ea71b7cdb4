import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from skimage.metrics import peak_signal_noise_ratio

from memrec_core import metrics
from memrec_core.errors import InputError

ESTIMATE, TRUTH = torch.rand(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_mse_is_of_each_image_and_in_double_precision():
    expected = ((ESTIMATE.numpy() - TRUTH.numpy()).astype(np.float64) ** 2).mean((1, 2, 3))
    assert metrics.mse(ESTIMATE, TRUTH).dtype == torch.float64
    assert np.allclose(metrics.mse(ESTIMATE, TRUTH), expected, rtol=1e-12)


def test_mse_of_missing_pixels_leaves_out_the_kept_ones():
    mask = torch.ones(3, 8, 8)
    mask[:, 2:5] = 0
    expected = ((ESTIMATE - TRUTH).double().numpy()[:, :, 2:5] ** 2).mean((1, 2, 3))
    assert np.allclose(metrics.missing_mse(ESTIMATE, TRUTH, mask), expected, rtol=1e-6)


def test_psnr_is_that_of_scikit_image():
    ours = metrics.psnr(metrics.mse(ESTIMATE, TRUTH))
    theirs = [
        peak_signal_noise_ratio(t.double().numpy(), e.double().numpy(), data_range=1)
        for e, t in zip(ESTIMATE, TRUTH, strict=True)
    ]
    assert np.allclose(ours, theirs)
    assert np.allclose(metrics.psnr(np.array([1e-7, 5e-4])), [70, 33.0103], atol=1e-4)
    assert metrics.psnr(0.0) == np.inf


@pytest.mark.parametrize("count", [1, 7, 100])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_is_the_exact_one(count: int, confidence: float):
    successes = np.arange(count + 1)
    low, high = metrics.clopper_pearson(successes, np.full(count + 1, count), confidence)
    for k in successes:
        theirs = binomtest(int(k), count).proportion_ci(confidence, method="exact")
        assert np.isclose(low[k], theirs.low)
        assert np.isclose(high[k], theirs.high)


def test_rate_counts_images_strictly_under_the_threshold():
    rate = metrics.recovery_rate(torch.tensor([1e-8, 1e-7, 9e-8, 1.0], dtype=torch.float64), threshold=1e-7)
    assert (rate.value, rate.count) == (0.5, 4)
    assert 0 < rate.low < 0.5 < rate.high < 1
    assert metrics.recovery_rate([1e-8, 1e-6], threshold=1e-5).value == 1.0


def test_image_that_is_not_a_number_is_not_recovered():
    assert metrics.recovery_rate([float("nan"), 1e-9]).value == 0.5


def test_wrong_input_is_named():
    with pytest.raises(InputError, match="at least one image"):
        metrics.recovery_rate([])
    with pytest.raises(InputError, match=r"\(4, 3, 8, 8\)"):
        metrics.mse(ESTIMATE, TRUTH[:2])


def test_difference_of_rates_is_newcombes():
    """His examples: 56/70 - 48/80, and the extreme 10/10 - 0/10 (1998, table II, method 10)."""
    assert metrics.rate_difference(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    assert metrics.rate_difference(10, 10, 0, 10) == pytest.approx((1.0, 0.6075, 1.0), abs=5e-5)


def test_difference_of_pairs_is_newcombes():
    """His example (1998, Statistics in Medicine 17, 2635-2650, method 10); where nothing varies together it is that of
    independent rates."""
    assert metrics.paired_difference(36, 12, 2, 0) == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)
    assert metrics.paired_difference(0, 5, 0, 5) == pytest.approx(metrics.rate_difference(5, 10, 0, 10))
    assert np.isnan(metrics.paired_difference(0, 0, 0, 0)).all()


def test_difference_of_pairs_is_covered_nineteen_times_in_twenty_and_is_shorter_than_of_independent_images():
    random, count, outcomes = np.random.default_rng(0), 60, [0.55, 0.15, 0.05, 0.25]
    both, first, second, neither = random.multinomial(count, outcomes, size=20_000).T
    _, low, high = metrics.paired_difference(both, first, second, neither)
    assert 0.94 < ((low <= 0.1) & (high >= 0.1)).mean() < 0.97
    _, low_apart, high_apart = metrics.rate_difference(both + first, [count] * 20_000, both + second, [count] * 20_000)
    assert ((high - low) < (high_apart - low_apart)).mean() > 0.99
