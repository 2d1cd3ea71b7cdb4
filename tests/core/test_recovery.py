"""The recovery methods, as a user of memrec_core calls them."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from memrec_core import degradations, metrics, recovery
from memrec_core.errors import InputError
from memrec_core.recovery.mask_estimate import estimate_mask
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE
from tests.core.conftest import SHAPE, Trained

CENTER = degradations.mask("center", SHAPE)


def rate(found: recovery.Recovery, images: Tensor, threshold: float = 1e-7) -> float:
    return metrics.recovery_rate(metrics.mse(found.images, images), threshold).value


def unknown_mask(model, degraded: Tensor, **options) -> recovery.Recovery:
    return recovery.recover_unknown_mask(model, degraded, **{"gamma": 0.5, **options})


@pytest.fixture
def degraded(trained: Trained) -> Tensor:
    return degradations.degrade(trained.train.images, CENTER)


@pytest.mark.parametrize(
    "name",
    [
        "center",
        "random_50",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("bottom", "stripes", "checkerboard")),
    ],
)
def test_training_images_come_back_and_control_images_do_not(trained: Trained, name: str):
    mask = degradations.mask(name, SHAPE)
    for images, least, most in ((trained.train, 0.75, 1.0), (trained.control, 0.0, 0.0)):
        y = degradations.degrade(images.images, mask)
        unknown = unknown_mask(trained.model, y, ids=images.ids)
        known = recovery.recover_known_mask(trained.model, y, mask, gamma=0.5)
        assert least <= rate(unknown, images.images) <= most
        assert rate(unknown, images.images) - 0.1 <= rate(known, images.images) <= most
        assert rate(recovery.iterate_autoencoder(trained.model, y), images.images) <= 0.7 * most


@torch.no_grad()
def plain_loop(model, degraded: Tensor, theta: Tensor, gamma: float) -> Tensor:
    """The alternation in float64 as the paper states it, one image at a time, without a short cut."""
    model, ends = copy.deepcopy(model).double(), []
    for y, mask in zip(degraded.double().split(1), theta.double().split(1), strict=True):
        x, calm = y, 0
        while calm < 3:
            v, u = torch.zeros_like(y), torch.zeros_like(y)
            for _ in range(40):
                xi = torch.where(mask == 1, (y + gamma / 2 * (v - u)) / (1 + gamma / 2), v - u)
                v = model(xi + u)
                u = u + xi - v
            calm = calm + 1 if (xi - x).square().mean() < 1e-9 else 0
            x, mask = xi, torch.where(xi * (xi - 2 * y) > 0, 0.0, 1.0)
        ends.append(x)
    return torch.cat(ends)


@pytest.mark.parametrize(
    "name", ["center", *(pytest.param(name, marks=pytest.mark.long) for name in ("random_50", "stripes"))]
)
def test_recovered_set_is_that_of_the_plain_float64_loop(trained: Trained, name: str):
    images, mask = trained.train.images, degradations.mask(name, SHAPE)
    y = degradations.degrade(images, mask)
    found = unknown_mask(trained.model, y, first_mask="zeros", max_iterations=200, batch_size=5)
    plain = plain_loop(trained.model, y, torch.zeros_like(y), 0.5)
    ours, theirs = metrics.mse(found.images, images), metrics.mse(plain, images.double())
    assert set(found.status) == {CONVERGED}
    assert torch.equal(ours < 1e-7, theirs < 1e-7)
    assert (ours - theirs)[theirs < 1e-7].max() < 1e-9


def test_mask_of_a_recovered_image_is_found(trained: Trained, degraded: Tensor):
    found = unknown_mask(trained.model, degraded)
    back = metrics.mse(found.images, trained.train.images) < 1e-7
    assert (found.mask != CENTER).double().mean((1, 2, 3))[back].max() < 0.05


def test_image_is_recovered_alone_as_in_a_batch_and_in_any_order(trained: Trained, degraded: Tensor):
    ids = trained.train.ids
    together = unknown_mask(trained.model, degraded, ids=ids)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = unknown_mask(trained.model, degraded[order], ids=[ids[i] for i in order])
    for place, i in enumerate(order):
        alone = unknown_mask(trained.model, degraded[i : i + 1], ids=[ids[i]])
        for other, row in ((alone, 0), (shuffled, place)):
            assert metrics.mse(other.images[row : row + 1], together.images[i : i + 1]) < 1e-10
            assert abs(int(other.iterations[row]) - int(together.iterations[i])) <= 1
            assert other.status[row] == together.status[i]


def test_same_call_gives_the_same_bits(trained: Trained, degraded: Tensor):
    first, second = (unknown_mask(trained.model, degraded) for _ in range(2))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.mask, second.mask)


def test_first_mask_depends_on_seed_and_id(trained: Trained, degraded: Tensor):
    y = degraded[:1]
    options = {"max_iterations": 1}
    one = unknown_mask(trained.model, y, ids=["a"], **options).images
    assert torch.equal(one, unknown_mask(trained.model, y, ids=["a"], **options).images)
    assert not torch.equal(one, unknown_mask(trained.model, y, ids=["b"], **options).images)
    assert not torch.equal(one, unknown_mask(trained.model, y, ids=["a"], seed=7, **options).images)


class Counting:
    """An autoencoder that counts the images it was applied to, and may be told what to return for some."""

    def __init__(self, model, wrong: float | None = None, when=None) -> None:
        self.model, self.wrong, self.when, self.batches = model, wrong, when, []

    def __call__(self, x: Tensor) -> Tensor:
        self.batches.append(len(x))
        out = self.model(x)
        if self.when is not None:
            out[self.when(x)] = self.wrong
        return out


@pytest.mark.parametrize("method", ["unknown_mask", "known_mask", "autoencoder_iterations"])
def test_evaluations_are_those_that_were_made_and_stopped_images_make_none(trained: Trained, method: str):
    images = torch.cat([trained.train.images, trained.control.images])
    y, counting = degradations.degrade(images, CENTER), Counting(trained.model)
    if method == "unknown_mask":
        found = unknown_mask(counting, y)
        assert torch.equal(found.evaluations, 39 * found.iterations)  # the last of 40 needs no autoencoder
    elif method == "known_mask":
        found = recovery.recover_known_mask(counting, y, CENTER, gamma=0.5)
    else:
        found = recovery.iterate_autoencoder(counting, y)
    assert sum(counting.batches) == found.evaluations.sum()
    if method != "known_mask":
        assert counting.batches[-1] < len(y)


METHODS = {
    "unknown_mask": lambda model, y, **options: unknown_mask(model, y, **options),
    "known_mask": lambda model, y, **options: recovery.recover_known_mask(model, y, CENTER, gamma=0.5, **options),
    "autoencoder_iterations": recovery.iterate_autoencoder,
}


@pytest.mark.parametrize("method", METHODS)
def test_batches_of_any_size_recover_the_same_and_count_the_same(trained: Trained, method: str):
    images = torch.cat([trained.train.images[:5], trained.control.images[:3]])
    y, recover = degradations.degrade(images, CENTER), METHODS[method]
    whole = recover(trained.model, y)
    for size in (1, 3, 100):
        counting = Counting(trained.model)
        parts = recover(counting, y, batch_size=size)
        assert max(counting.batches) == min(size, len(y))
        assert sum(counting.batches) == parts.evaluations.sum()
        assert metrics.mse(parts.images, whole.images).max() < 1e-9
        assert torch.equal(metrics.mse(parts.images, images) < 1e-7, metrics.mse(whole.images, images) < 1e-7)
        assert list(parts.status) == list(whole.status)
        if whole.mask is not None:
            assert (parts.mask != whole.mask).double().mean() < 1e-3


def test_batch_stays_full_as_long_as_images_wait(trained: Trained):
    images = torch.cat([trained.train.images, trained.control.images])
    counting = Counting(trained.model)
    found = unknown_mask(counting, degradations.degrade(images, CENTER), batch_size=4)
    assert len(set(found.iterations.tolist())) > 2  # they stop at different times
    partial = [size for size in counting.batches if size < 4]
    assert counting.batches == [4] * (len(counting.batches) - len(partial)) + partial  # only at the end
    assert partial == sorted(partial, reverse=True)


def test_image_stops_after_patience_calm_iterations_of_its_own():
    """Images that halve their distance to zero: each must stop at the step that arithmetic says."""
    starts = torch.tensor([1.0, 1e-2, 1e-4])
    y = starts[:, None, None, None].expand(3, 1, 2, 2).clone()
    found = recovery.iterate_autoencoder(lambda x: x / 2, y, tolerance=1e-9, patience=3)
    # Step k moves an entry by start / 2^k, so its MSE is under 1e-9 from k > log2(start / 1e-4.5) on; then two more.
    first = np.floor(np.log2(starts.numpy() / 10**-4.5)).clip(min=0) + 1
    assert found.iterations.tolist() == (first + 2).tolist()
    assert set(found.status) == {CONVERGED}


def test_calm_iterations_count_only_in_a_row():
    """The autoencoder's outputs move, rest twice, move, and rest for good."""
    outputs = iter([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    found = recovery.iterate_autoencoder(lambda x: torch.full_like(x, next(outputs)), torch.zeros(1, 1, 2, 2))
    assert found.iterations.tolist() == [7]


def test_image_that_meets_the_cap_says_so_and_keeps_its_last_estimate(trained: Trained, degraded: Tensor):
    found = recovery.iterate_autoencoder(trained.model, degraded, max_iterations=2)
    with torch.no_grad():
        expected = trained.model(trained.model(degraded))
    assert set(found.status) == {MAX_ITERATIONS}
    assert found.iterations.tolist() == [2] * len(degraded)
    assert torch.allclose(found.images, expected, atol=1e-6)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e30])
def test_image_that_leaves_the_finite_numbers_is_marked_and_harms_no_other(trained, degraded, wrong: float):
    """The autoencoder breaks on one image, which it knows by a value that no other has."""
    y = torch.cat([degraded[:4], torch.full_like(degraded[:1], -9.0)])
    broken = Counting(trained.model, wrong, when=lambda x: x.flatten(1).amin(1) < -3)
    found = unknown_mask(broken, y, max_iterations=10)
    alone = unknown_mask(trained.model, degraded[:4], max_iterations=10)
    assert found.images.isfinite().all()
    if not np.isfinite(wrong):
        assert found.status[4] == NON_FINITE
    assert list(found.status[:4]) == list(alone.status)
    assert metrics.mse(found.images[:4], alone.images).max() < 1e-10


def test_mask_of_an_image_that_leaves_the_finite_numbers_is_that_of_its_last_estimate(trained, degraded):
    calls = 0

    def broken(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return trained.model(x) * (1.0 if calls <= 39 else float("nan"))

    found = unknown_mask(broken, degraded)
    assert set(found.status) == {NON_FINITE}
    assert found.images.isfinite().all()
    assert torch.equal(found.mask, estimate_mask(found.images, degraded))


def test_known_mask_marks_an_image_that_leaves_the_finite_numbers(degraded: Tensor):
    found = recovery.recover_known_mask(lambda x: x * float("nan"), degraded, CENTER, gamma=0.5)
    assert set(found.status) == {NON_FINITE}
    assert torch.equal(found.images, degraded)


@pytest.mark.parametrize(
    "change",
    [
        {"gamma": 0.1},
        {"inner_iterations": 5},
        {"max_iterations": 2},
        {"tolerance": 1.0},
        {"patience": 1},
    ],
)
def test_every_option_of_the_unknown_mask_method_matters(trained: Trained, degraded: Tensor, change: dict):
    default, changed = (unknown_mask(trained.model, degraded[:4], **options) for options in ({}, change))
    assert not (torch.equal(default.images, changed.images) and torch.equal(default.iterations, changed.iterations))


@pytest.mark.parametrize("change", [{"seed": 1}, {"first_mask": "zeros"}])
def test_first_mask_is_the_seeds_or_the_one_asked_for(trained: Trained, degraded: Tensor, change: dict):
    """After one outer iteration; later ones may forget where they began."""
    one, other = (unknown_mask(trained.model, degraded, max_iterations=1, **options) for options in ({}, change))
    assert not torch.equal(one.images, other.images)


@pytest.mark.parametrize("change", [{"gamma": 0.1}, {"inner_iterations": 5}, {"noise_std": 0.1}])
def test_every_option_of_the_known_mask_method_matters(trained: Trained, degraded: Tensor, change: dict):
    default = recovery.recover_known_mask(trained.model, degraded, CENTER, gamma=0.5)
    changed = recovery.recover_known_mask(trained.model, degraded, CENTER, **{"gamma": 0.5, **change})
    assert not torch.equal(default.images, changed.images)


def test_known_pixels_are_exact_without_noise_and_estimated_with_it(trained: Trained):
    y = degradations.degrade(trained.train.images, CENTER, noise_std=0.05)
    kept = CENTER.bool().expand_as(y)
    exact = recovery.recover_known_mask(trained.model, y, CENTER, gamma=0.5)
    denoised = recovery.recover_known_mask(trained.model, y, CENTER, gamma=0.5, noise_std=0.05)
    assert torch.equal(exact.images[kept], y[kept])  # (31)
    assert not torch.equal(denoised.images[kept], y[kept])


def test_known_mask_may_be_one_for_each_image(trained: Trained):
    images = trained.train.images[:2]
    masks = torch.stack([CENTER, degradations.mask("bottom", SHAPE)])
    found = recovery.recover_known_mask(trained.model, degradations.degrade(images, masks), masks, gamma=0.5)
    for i in range(2):
        y = degradations.degrade(images[i : i + 1], masks[i])
        alone = recovery.recover_known_mask(trained.model, y, masks[i], gamma=0.5)
        assert torch.allclose(found.images[i : i + 1], alone.images, atol=1e-5)


def test_arguments_are_left_as_they_were(trained: Trained, degraded: Tensor):
    weights = {name: value.clone() for name, value in trained.model.state_dict().items()}
    y, mask = degraded.clone(), CENTER.clone()
    unknown_mask(trained.model, y, max_iterations=2)
    recovery.recover_known_mask(trained.model, y, mask, gamma=0.5)
    recovery.iterate_autoencoder(trained.model, y, max_iterations=2)
    assert torch.equal(y, degraded)
    assert torch.equal(mask, CENTER)
    assert all(torch.equal(value, weights[name]) for name, value in trained.model.state_dict().items())


def test_float32_is_not_reduced_inside_and_the_setting_comes_back(degraded: Tensor):
    seen = set()

    def watching(x: Tensor) -> Tensor:
        seen.add((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return x

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        unknown_mask(watching, degraded, max_iterations=1)
        recovery.recover_known_mask(watching, degraded, CENTER, gamma=0.5)
        recovery.iterate_autoencoder(watching, degraded, max_iterations=1)
        recovery.recover_adaptive(watching, degraded, restarts=0)
        assert seen == {("highest", False)}
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda y: unknown_mask(None, y, gamma=0.0), "gamma 0.0"),
        (lambda y: unknown_mask(None, y, gamma=float("nan")), "gamma nan"),
        (lambda y: unknown_mask(None, y, first_mask="ones"), "coin_flips, zeros"),
        (lambda y: unknown_mask(None, y, max_iterations=0), "at least 1"),
        (lambda y: unknown_mask(None, y[0]), r"\(N, C, H, W\)"),
        (lambda y: unknown_mask(None, y.byte()), "floats"),
        (lambda y: recovery.recover_known_mask(None, y, CENTER[:, :8], gamma=0.5), r"size \(3, 8, 16\)"),
        (lambda y: recovery.iterate_autoencoder(None, y, max_iterations=0), "at least 1"),
    ],
)
def test_wrong_argument_is_named(degraded: Tensor, call, words: str):
    with pytest.raises(InputError, match=words):
        call(degraded)
