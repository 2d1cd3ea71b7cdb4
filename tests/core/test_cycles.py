"""Autoencoder iterations that go round for good stop, and those that would still come to rest do not.

Images of two entries, a point of the plane each, under networks that turn the plane.
"""

import math

import pytest
import torch
from torch import Tensor

from memrec_core import degradations, metrics, recovery
from memrec_core.errors import InputError
from memrec_core.recovery.result import CONVERGED, CYCLING, MAX_ITERATIONS
from tests.core.conftest import SHAPE, Trained

START = torch.tensor([[0.7, 0.1], [0.2, -0.3]])[:, :, None, None]


def turning(turns: float, shrinking: float = 1.0):
    """A network that turns each point about the origin by so many turns, and brings it nearer."""
    angle = 2 * math.pi * turns
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    return lambda x: (shrinking * torch.einsum("ij,njhw->nihw", turn, x.double())).to(x)


def both(model, y: Tensor, **options) -> tuple[recovery.Recovery, recovery.Recovery]:
    """With cycles watched for, and without."""
    found = recovery.iterate_autoencoder(model, y, **options)
    return found, recovery.iterate_autoencoder(model, y, stop_cycles=False, **options)


@pytest.mark.parametrize("period", [2, 3, 7, 30])
def test_cycle_of_a_few_images_stops_at_the_point_that_the_cap_would_find(period: int):
    found, capped = both(turning(1 / period), START)
    assert set(found.status) == {CYCLING}
    assert set(capped.status) == {MAX_ITERATIONS}
    assert found.evaluations.max() < 4 * period + 4
    assert (found.images - capped.images).abs().max() < 1e-3


@pytest.mark.parametrize("turns", [1 / math.sqrt(2), math.sqrt(5) / 40, 1 / (10 * math.pi)])
def test_closed_curve_on_which_no_image_comes_twice_stops_too(turns: float):
    found, capped = both(turning(turns), START)
    assert set(found.status) == {CYCLING}
    assert found.evaluations.max() < 600
    width = 2 * START.square().mean((1, 2, 3)).sqrt()  # the RMS distance of two points across the curve
    assert (metrics.mse(found.images, capped.images).sqrt() < 0.15 * width).all()


@pytest.mark.parametrize(
    ("turns", "shrinking"),
    [(0.0, 0.98), (0.0, 0.99), (1 / 3, 0.98), (1 / 30, 0.985), (0.1234, 0.99), (1 / 200, 0.985), (0.5, 0.99)],
)
def test_image_that_comes_to_rest_slowly_is_not_cut(turns: float, shrinking: float):
    found, before = both(turning(turns, shrinking), START, max_iterations=2000)
    assert set(found.status) == set(before.status) == {CONVERGED}
    assert torch.equal(found.iterations, before.iterations)
    assert torch.equal(found.images, before.images)


def test_image_that_moves_on_or_away_goes_to_the_cap():
    for model in (lambda x: x + 1e-5, turning(0.1, 1.002), turning(0.0, 1.002)):
        found, before = both(model, START, max_iterations=300)
        assert set(found.status) == {MAX_ITERATIONS}
        assert torch.equal(found.images, before.images)


def test_image_that_rests_is_no_cycle():
    """A tolerance of 0 is never met, but the image does not go round either."""
    found = recovery.iterate_autoencoder(lambda x: x, START, max_iterations=50, tolerance=0.0)
    assert set(found.status) == {MAX_ITERATIONS}


def test_cycle_that_begins_late_is_found():
    """The first images come near a circle, and then go round on it."""

    def model(x: Tensor) -> Tensor:
        radius = x.square().sum(1, keepdim=True).sqrt()
        return turning(1 / 9)(x) * (1 + 0.05 * (0.5 - radius))

    found, capped = both(model, START)
    assert set(found.status) == {CYCLING}
    assert metrics.mse(found.images, capped.images).max() < 1e-3
    assert found.evaluations.max() < 600


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_cycles_are_the_images_own_whatever_the_batch(size: int):
    """Third entry: by how many parts of a turn the network turns the image; 0 brings it to rest."""
    parts = torch.tensor([0.0, 3.0, 5.0, 0.0, 8.0, 9.0])
    y = torch.cat([START.repeat(3, 1, 1, 1), parts[:, None, None, None]], dim=1)

    def model(x: Tensor) -> Tensor:
        turned = [
            turning(1 / p)(own[None, :2]) if p else own[None, :2] / 2
            for own, p in zip(x, x[:, 2, 0, 0].round().tolist(), strict=True)
        ]
        return torch.cat([torch.cat(turned), x[:, 2:]], dim=1)

    found = recovery.iterate_autoencoder(model, y, batch_size=size)
    assert list(found.status) == [CYCLING if p else CONVERGED for p in parts.tolist()]
    alone = [recovery.iterate_autoencoder(model, own[None]) for own in y]
    assert found.iterations.tolist() == [int(own.iterations) for own in alone]
    assert torch.equal(found.images, torch.cat([own.images for own in alone]))


def test_recovered_images_are_the_same_as_without(trained: Trained):
    images = torch.cat([trained.train.images, trained.control.images])
    for name in ("center", "random_50", "stripes"):
        y = degradations.degrade(images, degradations.mask(name, SHAPE))
        found, before = both(trained.model, y)
        for threshold in (metrics.ACCURATE, metrics.APPROXIMATE):
            assert torch.equal(
                metrics.mse(found.images, images) < threshold, metrics.mse(before.images, images) < threshold
            )
        rest = torch.from_numpy(before.status == CONVERGED)
        assert metrics.mse(found.images, before.images)[rest].max() < 1e-9
        assert (found.evaluations <= before.evaluations).all()


def test_setting_of_the_method_is_that_of_the_function(trained: Trained):
    y = degradations.degrade(trained.train.images[:2], degradations.mask("center", SHAPE))
    operator = degradations.Erasure("center").operator(SHAPE, ["a", "b"], 42)
    problem = recovery.Problem(y, operator, [0.0, 0.0], ["a", "b"])
    for stop, status in ((True, CYCLING), (False, MAX_ITERATIONS)):
        method = recovery.AutoencoderIterations(stop_cycles=stop)
        found = method.recover(recovery.Denoiser(lambda x: 1 - x), problem)
        assert set(found.status) == {status}
    with pytest.raises(InputError, match="stop_cycles must be True or False, not 1"):
        recovery.AutoencoderIterations(stop_cycles=1)  # pyright: ignore[reportArgumentType]
