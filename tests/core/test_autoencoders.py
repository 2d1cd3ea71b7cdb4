from math import sqrt

import pytest
import torch
from torch import nn

from memrec_core import autoencoders
from memrec_core.errors import InputError


def linear_layers(model: nn.Module) -> list[nn.Linear]:
    return [module for module in model.modules() if isinstance(module, nn.Linear)]


@pytest.mark.parametrize("activation", ["leaky_relu", "prelu", "softplus"])
@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("fc10", (3, 8, 8), {"width": 20}),
        ("fc10", (1, 5, 7), {"width": 20}),
        ("fc20", (3, 8, 8), {"width": 20}),
        ("tied", (3, 8, 8), {"width": 20}),
        ("unet", (3, 8, 16), {"channels": [4, 6, 8]}),
        ("unet", (1, 8, 8), {"channels": [4, 6, 8], "skips": [0, 1]}),
    ],
)
def test_image_goes_in_and_one_of_the_same_shape_comes_out(name: str, activation: str, shape, options: dict):
    model = autoencoders.build(name, shape, activation=activation, **options)
    assert model(torch.rand(4, *shape)).shape == (4, *shape)


def activations_of(model: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in model.modules() if isinstance(module, nn.LeakyReLU | nn.PReLU | nn.Softplus)}


@pytest.mark.parametrize("name", ["fc10", "fc20", "unet", "tied"])
@pytest.mark.parametrize(
    ("activation", "kind"), [("leaky_relu", nn.LeakyReLU), ("prelu", nn.PReLU), ("softplus", nn.Softplus)]
)
def test_network_has_the_activation_that_was_asked_for(name: str, activation: str, kind: type[nn.Module]):
    options = {"channels": [4, 4]} if name == "unet" else {"width": 20}
    assert activations_of(autoencoders.build(name, (3, 8, 8), activation=activation, **options)) == {kind}


def test_unet_has_an_activation_after_every_convolution_of_kernel_three():
    model = autoencoders.build("unet", (3, 16, 16), activation="leaky_relu", channels=[4, 6, 8])
    order: list[nn.Module] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.LeakyReLU):
            module.register_forward_hook(lambda module, *_: order.append(module))
    model(torch.rand(1, 3, 16, 16))
    assert len(order) == 2 * (2 * 3 + 2 * 2 + 1)
    for convolution, activation in zip(order[::2], order[1::2], strict=True):
        assert isinstance(convolution, nn.Conv2d)
        assert (convolution.kernel_size, convolution.stride, convolution.padding) == ((3, 3), (1, 1), (1, 1))
        assert isinstance(activation, nn.LeakyReLU)


@pytest.mark.parametrize(("skips", "fine_detail_passes"), [([], False), ([1], False), ([0], True)])
def test_only_a_skip_at_full_resolution_lets_detail_pass_the_narrow_middle(skips: list[int], fine_detail_passes: bool):
    """With all weights past the first level at zero, only the skip at level 0 can carry the image to the output."""
    torch.manual_seed(0)
    model = autoencoders.build("unet", (1, 8, 8), channels=[4, 4, 4], skips=skips)
    for parameter in [*model.encoder[1].parameters(), *model.encoder[2].parameters()]:
        nn.init.zeros_(parameter)
    images = torch.rand(2, 1, 8, 8)
    one, other = model(images)
    assert torch.equal(one, other) != fine_detail_passes


def test_fc20_has_twenty_layers():
    assert len(linear_layers(autoencoders.build("fc20", (3, 8, 8), width=20))) == 20


def test_spec_names_the_defaults_too():
    """So that a checkpoint outlives a change of the defaults."""
    assert autoencoders.build("fc10", (1, 2, 2)).spec["options"] == {"activation": "leaky_relu", "width": 1024}
    assert autoencoders.build("unet", (1, 8, 8)).spec["options"]["skips"] == []


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
        ("tied", (3, 8, 8), {"width": 0}, "width 0"),
        ("fc10", (3, 8, 8), {"channels": [4]}, "channels"),
        ("unet", (3, 8, 8), {"channels": []}, "channels"),
        ("unet", (3, 8, 8), {"channels": [4, 4], "skips": [1]}, r"skips \[1\]"),
        ("unet", (3, 10, 8), {"channels": [4, 4, 4]}, "10 x 8"),
    ],
)
def test_wrong_argument_is_named(name: str, shape: tuple[int, ...], options: dict, words: str):
    with pytest.raises(InputError, match=words):
        autoencoders.build(name, shape, **options)
