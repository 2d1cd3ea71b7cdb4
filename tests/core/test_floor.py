"""The loss that a narrow linear last layer allows, against images whose principal components are known."""

import pytest
import torch
from torch import Tensor

from memrec_core import autoencoders, training
from memrec_core.errors import InputError
from memrec_core.training import floor

SHAPE = (3, 6, 8)


def images_of(variances: list[float], count: int = 40) -> Tensor:
    """Images around a picture of 1/2; `variances` are their principal components' shares in the MSE from it."""
    source = torch.Generator().manual_seed(0)
    rows = torch.randn(count, len(variances), generator=source, dtype=torch.float64)
    rows = torch.linalg.qr(rows - rows.mean(0))[0]  # orthonormal columns, each of mean 0
    axes = torch.linalg.qr(torch.randn(144, len(variances), generator=source, dtype=torch.float64))[0]
    scale = (torch.tensor(variances, dtype=torch.float64) * count * 144).sqrt()
    return (0.5 + (rows * scale) @ axes.T).view(count, *SHAPE)


VARIANCES = [4e-3, 1e-3, 2e-4, 5e-5, 1e-6]


@pytest.mark.parametrize("rank", range(6))
def test_floor_is_what_the_other_principal_components_are(rank: int):
    assert training.loss_floor(images_of(VARIANCES), rank) == pytest.approx(sum(VARIANCES[rank:]), rel=1e-6, abs=1e-15)


def test_projection_on_the_components_reaches_the_floor_and_no_other_subspace_goes_below():
    images = images_of(VARIANCES).flatten(1)
    mean, bound = images.mean(0), training.loss_floor(images.view(-1, *SHAPE), 2)
    axes = torch.linalg.svd(images - mean, full_matrices=False)[2][:2]
    assert (((images - mean) @ axes.T @ axes + mean - images) ** 2).mean().item() == pytest.approx(bound)
    source = torch.Generator().manual_seed(1)
    for _ in range(20):
        other = torch.linalg.qr(axes.T + 0.1 * torch.randn(144, 2, generator=source, dtype=torch.float64))[0].T
        assert (((images - mean) @ other.T @ other + mean - images) ** 2).mean() > bound


def test_rank_that_is_needed_is_the_least_that_will_do():
    images = images_of(VARIANCES)
    for loss in (1e-2, 1e-3, 1e-4, 2e-6, 1e-7):
        rank = training.rank_for(images, loss)
        assert training.loss_floor(images, rank) <= loss
        assert rank == 0 or training.loss_floor(images, rank - 1) > loss


def test_of_many_images_the_floor_is_a_bound_from_below(monkeypatch: pytest.MonkeyPatch):
    images = torch.rand(60, *SHAPE, generator=torch.Generator().manual_seed(2))
    whole, needed = training.loss_floor(images, 10), training.rank_for(images, 0.02)
    monkeypatch.setattr(floor, "PART", 25)
    assert 0.5 * whole < training.loss_floor(images, 10) < whole
    assert training.rank_for(images, 0.02) <= needed


@pytest.mark.parametrize("name", ["fc10", "fc20", "tied"])
def test_target_below_the_floor_is_refused_before_the_first_step(name: str):
    images = images_of(VARIANCES).float()
    network = autoencoders.build(name, SHAPE, width=3)
    before = [weight.clone() for weight in network.parameters()]
    with pytest.raises(InputError, match=r"linear and 3 wide can't come to a loss of 1e-05.*width of 4 or more"):
        training.train(network, images, [1e-2, 1e-5])
    assert all(torch.equal(weight, own) for weight, own in zip(network.parameters(), before, strict=True))


def test_target_above_the_floor_is_trained_to():
    images = images_of(VARIANCES).float()
    torch.manual_seed(0)
    network = autoencoders.build("fc10", SHAPE, width=16)
    assert training.train(network, images, [1e-3]).reached[-1].loss <= 1e-3


def test_network_that_is_as_wide_as_there_are_images_has_no_floor():
    images = torch.rand(9, *SHAPE, generator=torch.Generator().manual_seed(3))
    assert training.check_floor(8, images, 1e-12) == 0
    with pytest.raises(InputError, match="width of 8 or more"):
        training.check_floor(7, images, 1e-9)
