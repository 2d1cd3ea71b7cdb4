from math import sqrt

import pytest
import torch
from torch import nn

from memrec_core import autoencoders
from memrec_core.errors import InputError


def linear_layers(model: nn.Module) -> list[nn.Linear]:
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("activation", ["leaky_relu", "prelu"])
@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 7)])
def test_image_goes_in_and_one_of_the_same_shape_comes_out(activation: str, shape: tuple[int, int, int]):
    model = autoencoders.build("fc10", shape, activation=activation, width=20)
    assert model(torch.rand(4, *shape)).shape == (4, *shape)


def test_fc10_has_ten_layers_of_its_width():
    layers = linear_layers(autoencoders.build("fc10", (3, 8, 8), width=20))
    assert [layer.out_features for layer in layers] == [20] * 9 + [192]


def test_each_prelu_learns_a_slope_of_its_own():
    model = autoencoders.build("fc10", (3, 8, 8), activation="prelu", width=20)
    slopes = [module.weight for module in model.modules() if isinstance(module, nn.PReLU)]
    assert len({id(slope) for slope in slopes}) == 9
    assert all(slope.requires_grad for slope in slopes)


def test_weights_start_orthogonal_and_biases_at_zero():
    *hidden, last = linear_layers(autoencoders.build("fc10", (3, 8, 8), width=20))
    for layer, gain in [*((layer, sqrt(2)) for layer in hidden), (last, 1.0)]:
        singular = torch.linalg.svdvals(layer.weight.detach())
        assert torch.allclose(singular, torch.full_like(singular, gain), atol=1e-4)
        assert layer.bias.abs().max() == 0


def test_weights_follow_the_global_seed():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return linear_layers(autoencoders.build("fc10", (3, 8, 8), width=20))[0].weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("name", "shape", "options", "words"),
    [
        ("fc11", (3, 8, 8), {}, "did you mean 'fc10'"),
        ("fc10", (8, 8), {}, r"\(channels, height, width\)"),
        ("fc10", (3, 0, 8), {}, r"\(3, 0, 8\)"),
        ("fc10", (3, 8, 8), {"depth": 3}, "depth"),
        ("fc10", (3, 8, 8), {"activation": "gelu"}, "leaky_relu"),
        ("fc10", (3, 8, 8), {"width": 0}, "width 0"),
    ],
)
def test_wrong_argument_is_named(name: str, shape: tuple[int, ...], options: dict, words: str):
    with pytest.raises(InputError, match=words):
        autoencoders.build(name, shape, **options)
