"""Recovery from any known operator, as a user of memrec_core calls it."""

import copy

import pytest
import torch
from torch import Tensor

from memrec_core import degradations, metrics, recovery
from memrec_core.degradations import Blur, Custom, Degradation, Downsample, Erasure, Masking, joined
from memrec_core.errors import InputError
from memrec_core.recovery.admm import solve, solve_operator
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE
from tests.core.conftest import SHAPE, Trained


class Unmasked(Masking):
    """A mask that does not say so, and so takes the path of any operator."""

    kept = None

    def part(self, rows: Tensor, device: torch.device | str) -> "Unmasked":
        return Unmasked(self.theta[rows].to(device))


def mixed_channels(x: Tensor) -> Tensor:
    """Grey at three quarters, and each pixel's mean with the one below it."""
    grey = 0.25 * x + 0.75 * x.mean(1, keepdim=True)
    return (grey + grey.roll(1, 2)) / 2


KNOWN: dict[str, Degradation] = {
    "Gaussian": Blur(std=1.0),
    "motion": Blur(length=5, angle=45.0),
    "downsample": Downsample(2),
    "by four": Downsample(4),
    "custom": Custom(mixed_channels),
}


def known(trained: Trained, degradation: Degradation, split: str = "train", **options) -> recovery.Recovery:
    images = getattr(trained, split)
    y = degradation.degrade(images.images, images.ids)
    operator = degradation.operator(SHAPE, images.ids, 42)
    return recovery.recover_known_operator(trained.model, y, operator, **{"gamma": 0.5, **options})


def rate(found: recovery.Recovery, images: Tensor) -> float:
    return metrics.recovery_rate(metrics.mse(found.images, images)).value


@pytest.mark.parametrize("degradation", KNOWN.values(), ids=KNOWN)
def test_training_images_come_back_and_control_images_do_not(trained: Trained, degradation: Degradation):
    found = known(trained, degradation)
    assert rate(found, trained.train.images) >= 0.75
    assert found.mask is None
    assert rate(known(trained, degradation, "control"), trained.control.images) == 0


def test_recovered_set_is_that_of_the_plain_float64_loop(trained: Trained):
    """Algorithm 1 as it is written, with the blur as a dense matrix."""
    images, blur = trained.train.images, Blur(std=1.0)
    operator = blur.operator(SHAPE, trained.train.ids, 42)
    y = blur.degrade(images).double()
    units = torch.eye(256, dtype=torch.float64).view(256, 1, 16, 16)
    h = operator.forward(units).flatten(1).T
    left = torch.linalg.inv(h.T @ h + 0.25 * torch.eye(256))
    model, v, u = copy.deepcopy(trained.model).double(), torch.zeros_like(y), torch.zeros_like(y)
    with torch.no_grad():
        for _ in range(40):
            xi = ((y.flatten(2) @ h + 0.25 * (v - u).flatten(2)) @ left.T).view_as(y)
            v = model(xi + u)
            u = u + xi - v
    ours = metrics.mse(known(trained, blur).images, images)
    theirs = metrics.mse(xi, images.double())
    assert torch.equal(ours < 1e-7, theirs < 1e-7)
    assert (ours - theirs)[theirs < 1e-7].max() < 1e-8


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_any_operators_path_is_the_masks(iterations: int):
    generator = torch.Generator().manual_seed(0)
    y, theta = torch.rand(2, 1, 3, 3, generator=generator).double(), torch.rand(2, 1, 3, 3, generator=generator) > 0.4
    operator = Masking(theta.double())
    expected = solve(torch.tanh, operator.forward(y), operator.theta, 0.5, iterations)
    found = solve_operator(torch.tanh, operator.forward(y), Unmasked(operator.theta), 0.5, iterations)
    for ours, wanted in zip(found, expected, strict=True):
        assert torch.allclose(ours, wanted, atol=1e-12)


def test_masks_take_their_own_path_with_its_bits(trained: Trained):
    erasure = Erasure("center")
    y = erasure.degrade(trained.train.images)
    found = known(trained, erasure)
    by_mask = recovery.recover_known_mask(trained.model, y, degradations.mask("center", SHAPE), gamma=0.5)
    assert torch.equal(found.images, by_mask.images)
    assert torch.equal(found.mask, by_mask.mask)
    assert list(found.status) == list(by_mask.status)


def test_mask_of_another_precision_will_do(trained: Trained):
    model, y = copy.deepcopy(trained.model).double(), trained.train.images.double()
    operator = Erasure("center").operator(SHAPE, trained.train.ids, 42)
    found = recovery.recover_known_operator(model, operator.forward(y), operator, gamma=0.5)
    assert found.images.dtype == torch.float64


@pytest.mark.parametrize("size", [pytest.param(1, marks=pytest.mark.long), 5, 100])
def test_batches_of_any_size_recover_the_same(trained: Trained, size: int):
    images = trained.train.images
    several = [*KNOWN.values(), Erasure("center")]
    operator = joined([own.operator(SHAPE, trained.train.ids, 42) for own in several], [len(images)] * len(several))
    y = torch.cat([own.degrade(images, trained.train.ids) for own in several])
    whole = recovery.recover_known_operator(trained.model, y, operator, gamma=0.5)
    parts = recovery.recover_known_operator(trained.model, y, operator, gamma=0.5, batch_size=size)
    assert metrics.mse(parts.images, whole.images).max() < 1e-9
    assert list(parts.status) == list(whole.status)
    for i, own in enumerate(several):
        alone = known(trained, own)
        rows = slice(i * len(images), (i + 1) * len(images))
        assert metrics.mse(whole.images[rows], alone.images).max() < 1e-9


@pytest.mark.parametrize("change", [{"gamma": 0.1}, {"inner_iterations": 5}, {"noise_std": 0.1}])
def test_every_option_matters(trained: Trained, change: dict):
    default, changed = (known(trained, Downsample(2), **options) for options in ({}, change))
    assert not torch.equal(default.images, changed.images)


def test_tolerance_says_what_has_converged(trained: Trained):
    assert set(known(trained, Downsample(2), tolerance=1.0).status) == {CONVERGED}
    assert set(known(trained, Downsample(2), tolerance=0.0).status) == {MAX_ITERATIONS}


def test_means_are_exact_without_noise_and_estimated_with_it(trained: Trained):
    noisy = Downsample(2, noise_std=0.05)
    operator = noisy.operator(SHAPE, trained.train.ids, 42)
    y = noisy.degrade(trained.train.images, trained.train.ids)
    for std, exact in ((0.0, True), (0.05, False), ([0.0] * 8 + [0.05] * 8, None)):
        found = recovery.recover_known_operator(trained.model, y, operator, gamma=0.5, noise_std=std, batch_size=5)
        far = metrics.mse(operator.forward(found.images), operator.forward(y)) > 1e-10
        assert far.tolist() == ([False] * 8 + [True] * 8 if exact is None else [not exact] * 16)


def test_evaluations_are_those_that_were_made(trained: Trained):
    calls: list[int] = []

    def counting(x: Tensor) -> Tensor:
        calls.append(len(x))
        return trained.model(x)

    y = Blur(std=1.0).degrade(trained.train.images)
    operator = Blur(std=1.0).operator(SHAPE, range(16), 42)
    found = recovery.recover_known_operator(counting, y, operator, gamma=0.5, batch_size=5)
    assert sum(calls) == found.evaluations.sum() == 39 * 16
    assert found.iterations.tolist() == [1] * 16


def test_image_that_leaves_the_finite_numbers_is_marked(trained: Trained):
    y = Blur(std=1.0).degrade(trained.train.images)
    operator = Blur(std=1.0).operator(SHAPE, range(16), 42)
    found = recovery.recover_known_operator(lambda x: x * float("nan"), y, operator, gamma=0.5)
    assert set(found.status) == {NON_FINITE}
    assert torch.equal(found.images, y)


def test_autoencoder_may_return_its_input(trained: Trained):
    found = known(Trained(lambda x: x, trained.train, trained.control), Blur(std=1.0))
    assert found.images.isfinite().all()


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        (None, "operator None is none"),
        (Blur(std=1.0), "is none; give one such as"),
        (Masking, "is none"),
        (Masking(torch.ones(2, *SHAPE)), "the operator has masks of"),
        (Blur(std=1.0).operator((3, 8, 8), ["a"], 42), "8 x 8 does not fit 16 x 16"),
    ],
)
def test_wrong_operator_is_named(trained: Trained, operator: object, words: str):
    with pytest.raises(InputError, match=words):
        recovery.recover_known_operator(trained.model, trained.train.images, operator, gamma=0.5)
