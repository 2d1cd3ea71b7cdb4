"""What a kind of network knows about itself, and how another joins."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from memrec_core import autoencoders, checkpoints
from memrec_core.autoencoders import ARCHITECTURES, Architecture
from memrec_core.errors import InputError
from memrec_core.recovery.unknown_mask import FIRST_MASKS
from memrec_core.training import RECIPES

SHAPE = (1, 6, 4)


@pytest.mark.parametrize(
    ("name", "activation", "gamma"),
    [
        ("fc10", "leaky_relu", 0.5),
        ("fc10", "prelu", 0.1),
        ("fc10", "softplus", 0.1),
        ("fc20", "leaky_relu", 0.1),
        ("fc20", "prelu", 0.1),
        ("unet", "leaky_relu", 1.0),
        ("unet", "prelu", 1.0),
        ("tied", "softplus", 0.1),
    ],
)
def test_gamma_is_that_of_appendix_d2(name: str, activation: str, gamma: float):
    architecture = ARCHITECTURES[name]
    assert architecture.gamma_for({"activation": activation}) == gamma
    if activation == architecture.default_activation:
        assert architecture.gamma_for({}) == architecture.gamma_for({"activation": None}) == gamma


def test_first_mask_is_zeros_for_a_unet_and_coin_flips_for_others():
    assert {name: own.first_mask for name, own in ARCHITECTURES.items()} == {
        "fc10": "coin_flips",
        "fc20": "coin_flips",
        "unet": "zeros",
        "tied": "coin_flips",
    }


def test_what_each_architecture_names_is_there():
    for name, architecture in ARCHITECTURES.items():
        assert architecture.name == name
        assert architecture.first_mask in FIRST_MASKS
        assert architecture.optimiser in RECIPES
        assert architecture.summary
        assert "\n" not in architecture.summary


def test_options_are_those_that_the_network_takes():
    assert list(ARCHITECTURES["fc10"].options) == ["activation", "width"]
    assert ARCHITECTURES["fc10"].options["width"].annotation is int
    assert ARCHITECTURES["fc10"].default_options == {"activation": "leaky_relu", "width": 1024}
    assert list(ARCHITECTURES["unet"].options) == ["activation", "channels", "skips"]
    assert {name: own.default_activation for name, own in ARCHITECTURES.items()} == {
        "fc10": "leaky_relu",
        "fc20": "leaky_relu",
        "unet": "prelu",
        "tied": "softplus",
    }


def test_label_names_the_activation():
    assert ARCHITECTURES["fc10"].label({"width": 8}) == "fc10-leaky_relu"
    assert ARCHITECTURES["unet"].label({"activation": "softplus"}) == "unet-softplus"


def test_summary_is_the_first_sentence_of_the_builder():
    assert ARCHITECTURES["fc10"].summary == "The paper's 10-layer fully connected autoencoder"


class Blurred(nn.Module):
    """What other people's networks have: counts, constants that no file keeps, and no choice of activation."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, *_ = image_shape
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.register_buffer("kept_by_no_file", torch.full((channels, 1, 1), 0.25), persistent=False)
        self.constant = torch.full((channels, 1, 1), 0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.convolution(x)) * self.kept_by_no_file + self.constant


@pytest.fixture
def blurred() -> Iterator[Architecture]:
    ARCHITECTURES["blurred"] = Architecture("blurred", build=Blurred)
    yield ARCHITECTURES["blurred"]
    del ARCHITECTURES["blurred"]


def test_network_that_joins_is_built_by_its_name(blurred: Architecture):
    model = autoencoders.build("blurred", SHAPE)
    assert isinstance(model, Blurred)
    assert model.spec == {"architecture": "blurred", "image_shape": [1, 6, 4], "options": {}}
    assert autoencoders.architecture_of(model) is blurred
    assert autoencoders.architecture_of(nn.Linear(2, 2)) is None


def test_network_without_an_activation_is_labelled_by_its_name_alone(blurred: Architecture):
    assert blurred.default_activation is None
    assert blurred.label({}) == "blurred"
    assert blurred.gamma_for({}) == 0.1
    assert blurred.options == blurred.default_options == {}


def test_network_that_joins_can_be_saved_and_loaded(blurred: Architecture, tmp_path: Path):
    model = autoencoders.build("blurred", SHAPE)
    x = torch.rand(5, *SHAPE)
    model(x)  # one batch is counted
    checkpoints.save(tmp_path / "x.safetensors", model.eval(), {})
    before = torch.get_rng_state()
    loaded, _ = checkpoints.load(tmp_path / "x.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.norm.num_batches_tracked == 1
    assert torch.equal(loaded(x), model(x))


def test_wrong_option_of_a_network_that_joins_is_named(blurred: Architecture):
    with pytest.raises(InputError, match=r"autoencoder blurred can't be built.*width"):
        autoencoders.build("blurred", SHAPE, width=4)


def test_weights_that_a_network_shares_are_saved(tmp_path: Path):
    def mirrored(image_shape: tuple[int, int, int], rate: float = 1.0) -> nn.Module:
        first = nn.Conv2d(image_shape[0], image_shape[0], 1)
        second = nn.Conv2d(image_shape[0], image_shape[0], 1)
        second.weight = first.weight
        return nn.Sequential(first, second)

    ARCHITECTURES["mirrored"] = Architecture("mirrored", build=mirrored)
    try:
        model, x = autoencoders.build("mirrored", SHAPE, rate=0.5), torch.rand(2, *SHAPE)
        checkpoints.save(tmp_path / "x.safetensors", model, {})
        loaded, metadata = checkpoints.load(tmp_path / "x.safetensors")
        assert metadata["options"] == {"rate": 0.5}
        assert torch.equal(loaded(x), model(x))
        with pytest.raises(InputError, match="can't be written as JSON"):
            checkpoints.save(tmp_path / "y.safetensors", autoencoders.build("mirrored", SHAPE, rate={1, 2}), {})
    finally:
        del ARCHITECTURES["mirrored"]


def test_builder_that_returns_no_module_is_named():
    ARCHITECTURES["none"] = Architecture("none", build=lambda image_shape: None)
    try:
        with pytest.raises(InputError, match="builder of autoencoder none returned None"):
            autoencoders.build("none", SHAPE)
    finally:
        del ARCHITECTURES["none"]
