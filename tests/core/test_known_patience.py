"""The form of the known-mask method in which each image stops when it has come to rest."""

import pytest
import torch
from torch import Tensor

from memrec_core import degradations, metrics, recovery
from memrec_core.degradations import Blur, Downsample
from memrec_core.errors import InputError
from memrec_core.recovery.result import CONVERGED, MAX_ITERATIONS, NON_FINITE
from tests.core.conftest import SHAPE, Trained

CENTER = degradations.mask("center", SHAPE)
LONG = {"inner_iterations": 400, "tolerance": 1e-10}


def known(model, y: Tensor, **options) -> recovery.Recovery:
    return recovery.recover_known_mask(model, y, CENTER, gamma=0.5, **options)


@pytest.fixture
def degraded(trained: Trained) -> Tensor:
    return degradations.degrade(trained.train.images, CENTER)


def test_images_stop_when_calm_and_are_those_of_all_iterations(trained: Trained, degraded: Tensor):
    images, applied = trained.train.images, []

    def counting(x: Tensor) -> Tensor:
        applied.append(len(x))
        return trained.model(x)

    whole, found = known(trained.model, degraded, **LONG), known(counting, degraded, patience=3, **LONG)
    ours, theirs = metrics.mse(found.images, images), metrics.mse(whole.images, images)
    assert torch.equal(ours < 1e-7, theirs < 1e-7)
    assert (ours < 1e-7).any()
    assert found.evaluations.double().mean() < 0.7 * whole.evaluations.double().mean()
    assert sum(applied) == found.evaluations.sum()
    assert set(found.iterations.tolist()) == {1}
    stopped = torch.from_numpy(found.status == CONVERGED)
    assert (found.evaluations[stopped] < 399).any()
    assert (found.evaluations[~stopped] == 399).all()


def test_without_rest_it_is_algorithm_1_as_it_was(trained: Trained, degraded: Tensor):
    """A tolerance of 0 is never met: the same iterations as without the rule."""
    for count in (1, 2, 40):
        whole = known(trained.model, degraded, inner_iterations=count, tolerance=0.0)
        found = known(trained.model, degraded, inner_iterations=count, tolerance=0.0, patience=3)
        assert torch.allclose(found.images, whole.images, atol=1e-5)
        assert torch.equal(found.evaluations, whole.evaluations)
        assert set(found.status) == {MAX_ITERATIONS}


def test_more_patience_takes_longer(trained: Trained, degraded: Tensor):
    few, more = (known(trained.model, degraded, patience=patience, **LONG) for patience in (1, 20))
    assert (few.evaluations <= more.evaluations).all()
    assert (few.evaluations < more.evaluations).any()


@pytest.mark.parametrize("degradation", [Blur(std=1.0), Downsample(2)])
def test_other_operators_stop_likewise(trained: Trained, degradation):
    ids = [str(number) for number in range(len(trained.train.images))]
    operator = degradation.operator(SHAPE, ids, 42)
    y = degradation.degrade(trained.train.images, ids, 42)
    whole, found, single = (
        recovery.recover_known_operator(trained.model, y, operator, gamma=0.5, **LONG, **options)
        for options in ({}, {"patience": 3}, {"patience": 3, "batch_size": 3})
    )
    back = metrics.mse(whole.images, trained.train.images) < 1e-7
    assert back.any()
    assert torch.equal(metrics.mse(found.images, trained.train.images) < 1e-7, back)
    assert found.evaluations.sum() < whole.evaluations.sum()
    assert metrics.mse(single.images, found.images).max() < 1e-9
    assert list(single.status) == list(found.status)


def test_image_that_leaves_the_finite_numbers_is_the_last_finite_one(degraded: Tensor):
    found = known(lambda x: x * float("nan"), degraded, patience=3)
    assert set(found.status) == {NON_FINITE}
    assert found.images.isfinite().all()


def test_setting_of_the_method_is_that_of_the_function(trained: Trained, degraded: Tensor):
    ids = [str(number) for number in range(len(degraded))]
    operator = degradations.Erasure("center").operator(SHAPE, ids, 42)
    problem = recovery.Problem(degraded, operator, [0.0] * len(ids), ids)
    basis = recovery.Denoiser(trained.model, gamma=0.5)
    plain, patient = (recovery.KnownMask(**LONG, patience=p).recover(basis, problem) for p in (None, 3))
    assert torch.equal(plain.images, known(trained.model, degraded, **LONG).images)
    assert torch.equal(patient.images, known(trained.model, degraded, patience=3, **LONG).images)
    with pytest.raises(InputError, match="patience 0"):
        recovery.KnownMask(patience=0)
