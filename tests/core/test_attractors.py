"""How a network acts around an image, beside the whole Jacobian and beside networks of which the answer is known."""

import math

import pytest
import torch
from torch import Tensor

import memrec_core as memrec
from memrec_core import attractors
from memrec_core.errors import InputError
from tests.core.conftest import Trained

SMALL = (1, 4, 4)


def whole(model, images: Tensor) -> Tensor:
    """The spectral radius from all entries of the Jacobian, in float64."""
    radii = []
    for x in images:
        jacobian = torch.autograd.functional.jacobian(lambda own: model(own[None])[0], x)
        radii.append(torch.linalg.eigvals(jacobian.reshape(x.numel(), x.numel()).double()).abs().max())
    return torch.stack(radii)


def linear(matrix: Tensor):
    return lambda x: (x.flatten(1) @ matrix.T.to(x)).view_as(x)


def images(count: int = 3, shape: tuple[int, int, int] = SMALL) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(1))


def test_spectral_radius_is_that_of_the_whole_jacobian(trained: Trained):
    x = torch.cat([trained.train.images[:4], trained.control.images[:4]])
    found, expected = memrec.attractors.spectral_radius(trained.model, x), whole(trained.model, x)
    assert found.shape == (8,)
    assert found.dtype == torch.float64
    near = ((found - expected) / expected).abs() < 1e-4
    assert near.sum() >= 7  # one may have an activation at its kink, where rounding decides
    assert (found[:4] < 1.1).all()


def test_largest_eigenvalues_may_be_a_complex_pair():
    turn = torch.tensor([[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]])
    matrix = torch.block_diag(1.3 * turn, torch.diag(torch.linspace(-1.2, 1.2, 14)))
    assert torch.allclose(attractors.spectral_radius(linear(matrix), images(), steps=16), torch.tensor(1.3).double())


def test_steps_matter_and_more_than_there_are_directions_do_no_harm():
    matrix = torch.randn(16, 16, generator=torch.Generator().manual_seed(3))
    expected = torch.linalg.eigvals(matrix.double()).abs().max()
    few, all_, more = (attractors.spectral_radius(linear(matrix), images(), steps=steps) for steps in (3, 16, 400))
    assert ((few - expected).abs() > 1e-2).all()
    assert torch.allclose(all_, expected.expand(3), rtol=1e-4)
    assert torch.allclose(more, expected.expand(3), rtol=1e-4)


def test_network_of_few_directions_has_no_others():
    """Of rank 2, then of rank 0: what is left of a direction by rounding is none."""
    basis, _ = torch.linalg.qr(torch.randn(16, 2, generator=torch.Generator().manual_seed(3)))
    matrix = basis @ torch.diag(torch.tensor([0.9, -0.4])) @ basis.T
    assert torch.allclose(attractors.spectral_radius(linear(matrix), images()), torch.tensor(0.9).double(), rtol=1e-5)
    assert (attractors.spectral_radius(lambda x: 0 * x, images()) == 0).all()


@pytest.mark.long
def test_figures_are_the_images_own_whatever_the_batch(trained: Trained):
    x, ids = trained.train.images, trained.train.ids
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    radius = attractors.spectral_radius(trained.model, x)
    share = attractors.basin(trained.model, x, 0.5, ids=ids)
    shuffled = [ids[i] for i in order]
    for size in (1, 5, None):
        parts = attractors.spectral_radius(trained.model, x[order], batch_size=size)
        assert (torch.isclose(parts, radius[order], rtol=1e-3)).sum() >= len(x) - 1
        parts = attractors.basin(trained.model, x[order], 0.5, ids=shuffled, batch_size=size)
        assert (parts - share[order]).abs().max() <= 1 / 64


class Doubled(torch.autograd.Function):
    """2 x, without a forward mode."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 2 * grad


def test_network_without_a_forward_mode_is_differentiated_backwards(trained: Trained):
    x = trained.train.images[:3]

    def model(x: Tensor) -> Tensor:
        return trained.model(Doubled.apply(x) / 2)

    assert torch.allclose(attractors.spectral_radius(model, x), attractors.spectral_radius(trained.model, x), rtol=1e-4)


@pytest.mark.parametrize("model", [lambda x: torch.from_numpy(x.detach().numpy() * 0.5), lambda x: x.detach() * 0.5])
def test_network_that_can_not_be_differentiated_is_refused_in_a_sentence(model):
    with pytest.raises(InputError, match="can't be differentiated"):
        attractors.spectral_radius(model, images())


class FullDevice(torch.autograd.Function):
    """Without a forward mode; on the way backward the device's memory is too small."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 1 * x

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_device_whose_memory_is_too_small_is_not_the_networks_fault(trained: Trained):
    """What asks for less at a time then, as a unit's actor does, must know it."""
    with pytest.raises(torch.OutOfMemoryError):
        attractors.spectral_radius(FullDevice.apply, trained.train.images[:3])


def test_training_images_have_a_basin_and_control_images_have_none(trained: Trained):
    basin = [attractors.basin(trained.model, own.images, 0.5, ids=own.ids) for own in (trained.train, trained.control)]
    assert basin[0].median() > 0.5
    assert (basin[1] == 0).all()


IMAGE = 0.2 + 0.6 * images(1, (1, 16, 16))


def returning(least: float):
    """A network that returns IMAGE for what agrees with it in at least that share of the pixels, else an empty one."""

    def model(x: Tensor) -> Tensor:
        agrees = (x - IMAGE).abs().lt(0.01).double().mean((1, 2, 3)) >= least
        return torch.where(agrees[:, None, None, None], IMAGE, torch.zeros_like(x))

    return model


@pytest.mark.parametrize("least", [0.1, 0.5, 0.8])
def test_basin_is_the_share_that_may_be_missing(least: float):
    share = attractors.basin(returning(least), IMAGE.expand(4, 1, 16, 16), gamma=1e-3)
    assert (share <= 1 - least).all()
    assert (share > 1 - least - 1.1 / 64).all()


def test_resolution_is_that_of_the_steps():
    for steps in (1, 3, 8):
        share = attractors.basin(returning(0.45), IMAGE, gamma=1e-3, steps=steps)
        assert share == math.floor(0.55 * 2**steps) / 2**steps


def test_image_of_which_nothing_is_missing_does_not_come_back():
    assert attractors.basin(torch.zeros_like, torch.rand(8, 3, 5, 5), gamma=0.5).tolist() == [0] * 8


def test_masks_follow_from_id_and_seed(trained: Trained):
    x = trained.train.images
    names = [f"another {own}" for own in trained.train.ids]
    plain = attractors.basin(trained.model, x, 0.5, ids=trained.train.ids)
    assert torch.equal(plain, attractors.basin(trained.model, x, 0.5, ids=trained.train.ids))
    assert not torch.equal(plain, attractors.basin(trained.model, x, 0.5, ids=names))
    assert not torch.equal(plain, attractors.basin(trained.model, x, 0.5, seed=7, ids=trained.train.ids))
    assert not torch.equal(plain, attractors.basin(trained.model, x, 2.0, ids=trained.train.ids))


def test_no_images_have_no_figures():
    assert attractors.spectral_radius(lambda x: x, images(0)).shape == (0,)
    assert attractors.basin(lambda x: x, images(0), 0.5).shape == (0,)
