"""Which optimiser a network is trained with, unless it is told another."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from memrec_core import autoencoders, training
from memrec_core.autoencoders import ARCHITECTURES, Architecture
from memrec_core.errors import TrainingError
from memrec_core.training import RECIPES

# So dark that a loss is below that where the recipes' rates part from each other.
IMAGES = 1e-3 * torch.rand(4, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Foreign(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


def weights_after(make: Callable[[], nn.Module], **options: object) -> Tensor:
    torch.manual_seed(3)
    model = make()
    with pytest.raises(TrainingError, match="in 20 steps"):
        training.train(model, IMAGES, [1e-12], max_steps=20, **options)
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(
    ("make", "optimiser"),
    [
        (lambda: autoencoders.build("unet", (3, 4, 4), channels=[4, 4]), "soap"),
        (lambda: autoencoders.build("fc10", (3, 4, 4), width=8), "adam_quick"),
        (lambda: autoencoders.build("tied", (3, 4, 4), activation="leaky_relu", width=8), "adam"),
        (lambda: Foreign(nn.Conv2d(3, 3, 3, padding=1)), "soap"),
        (lambda: Foreign(nn.Linear(4, 4, bias=False)), "adam"),
    ],
    ids=["unet", "fc10", "tied", "a convolution from elsewhere", "a matrix from elsewhere"],
)
def test_network_is_trained_with_its_own_optimiser(make: Callable[[], nn.Module], optimiser: str):
    own = weights_after(make)
    assert [name for name in RECIPES if torch.equal(own, weights_after(make, optimiser=name))] == [optimiser]


def test_rate_for_batches_falls_while_that_for_all_images_at_once_is_still_whole():
    """With batches the noise of the steps is what keeps a loss above its target, far above 1e-4 already."""
    steps, loss = 1000, torch.tensor(1e-3)
    shares = {name: recipe.rate(steps, loss).item() / recipe.learning_rate for name, recipe in RECIPES.items()}
    assert shares["adam"] == shares["adam_quick"] == pytest.approx(1)
    assert shares["adam_batched"] == pytest.approx(0.1**0.25)
    assert shares["soap_one_sided"] == pytest.approx(0.1 ** (1 / 3))


def test_quick_rate_of_soap_stays_high_then_falls_by_the_steps_and_in_the_end_by_the_loss():
    quick, soap = RECIPES["soap_quick"], RECIPES["soap"]
    low = torch.tensor(1e-8)
    falling = quick.high_steps + 0.5 * quick.tenfold_steps
    shares = [quick.rate(step, low).item() / quick.learning_rate for step in (quick.high_steps, falling, 100_000)]
    assert shares == pytest.approx([1, 0.1**0.5, soap.rate(100_000, low).item() / soap.learning_rate])


def test_recipe_for_wide_layers_turns_one_side_of_them_and_follows_every_fifth_gradient():
    optimiser = RECIPES["soap_one_sided"].optimiser(autoencoders.build("fc10", (3, 4, 4), width=8).parameters(), lr=0.1)
    assert (optimiser.defaults["one_sided"], optimiser.defaults["factors_every"]) == (True, 5)


def test_network_that_joins_is_trained_with_the_optimiser_it_names():
    def pointwise(image_shape: tuple[int, int, int]) -> nn.Module:
        return nn.Conv2d(image_shape[0], image_shape[0], 1)

    ARCHITECTURES["pointwise"] = Architecture("pointwise", build=pointwise, optimiser="adam")
    try:
        own = weights_after(lambda: autoencoders.build("pointwise", (3, 4, 4)))
        adam = weights_after(lambda: autoencoders.build("pointwise", (3, 4, 4)), optimiser="adam")
        soap = weights_after(lambda: autoencoders.build("pointwise", (3, 4, 4)), optimiser="soap")
    finally:
        del ARCHITECTURES["pointwise"]
    assert torch.equal(own, adam)
    assert not torch.equal(own, soap)


class Bounded(nn.Module):
    """From elsewhere, with weights that must stay small."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3, 1, 1), 0.1))

    def project_(self) -> None:
        with torch.no_grad():
            self.weight.clamp_(max=0.12)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def test_network_that_projects_its_weights_does_so_after_every_step():
    assert weights_after(Bounded, learning_rate=0.1).max() == torch.tensor(0.12)


def test_training_of_a_network_that_shares_weights_resumes(tmp_path: Path):
    def mirrored() -> nn.Module:
        first, second = nn.Linear(4, 4), nn.Linear(4, 4)
        second.weight = first.weight
        return nn.Sequential(first, second)

    state = tmp_path / "state.safetensors"
    whole = weights_after(mirrored)
    torch.manual_seed(3)
    with pytest.raises(TrainingError, match="in 10 steps"):
        training.train(mirrored(), IMAGES, [1e-12], max_steps=10, state=state, save_every_s=0)
    assert torch.equal(weights_after(mirrored, state=state), whole)
