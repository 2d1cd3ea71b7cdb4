"""Where a training begins."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from memrec_core import autoencoders, training
from memrec_core.errors import InputError, TrainingError
from memrec_core.training import STARTS

IMAGES = 0.5 + 0.1 * torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)).clamp(-4, 4)
MEAN_IN, MEAN_OUT = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def network(name: str = "fc10", **options: object) -> nn.Module:
    torch.manual_seed(2)
    return autoencoders.build(name, (3, 8, 8), **({"width": 32} if name != "unet" else {}) | options)


def steps_to(loss: float, **options: object) -> int:
    return training.train(network(), IMAGES, [loss], max_steps=2000, **options).reached[-1].step


@pytest.mark.parametrize("name", ["fc10", "fc20"])
def test_fully_connected_network_takes_means_and_a_scale_into_its_weights(name: str):
    plain, moved = network(name).double(), network(name).double()
    images = IMAGES.double()
    moved.center_(MEAN_IN.double(), MEAN_OUT.double(), 0.2)
    expected = MEAN_OUT + 0.2 * plain((images - MEAN_IN) / 0.2)
    assert torch.allclose(moved(images), expected, atol=1e-12)


def test_convolutions_do_so_but_for_the_border():
    options = {"channels": [6], "activation": "leaky_relu"}
    plain, moved = (network("unet", **options).double() for _ in range(2))
    plain.last, moved.last = plain.last[:1], moved.last[:1]  # an activation after the last layer is no scale's
    channels_in, channels_out = (mean.mean((1, 2), keepdim=True).double() for mean in (MEAN_IN, MEAN_OUT))
    moved.center_(MEAN_IN.double(), MEAN_OUT.double(), 0.2)
    found, expected = moved(IMAGES.double()), channels_out + 0.2 * plain((IMAGES.double() - channels_in) / 0.2)
    inside = slice(3, -3)  # three layers of 3 x 3
    assert torch.allclose(found[..., inside, inside], expected[..., inside, inside], atol=1e-12)


@pytest.mark.parametrize("start", ["mean", "shifted", "centred", "contracting"])
def test_training_that_begins_from_the_mean_needs_fewer_steps(start: str):
    assert steps_to(3e-3, start=start) < 0.8 * steps_to(3e-3, start="built")


def test_each_start_is_another_one():
    def weights(start: str | None) -> Tensor:
        model = network()
        with pytest.raises(TrainingError, match="in 3 steps"):
            training.train(model, IMAGES, [1e-9], max_steps=3, start=start)
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    found = {name: weights(name) for name in STARTS}
    assert torch.equal(found["built"], weights(None))
    assert len({tuple(own.tolist()) for own in found.values()}) == len(STARTS) == 5


@pytest.mark.parametrize("name", ["fc10", "fc20", "unet"])
def test_contracting_network_gives_a_fifth_of_what_a_centred_one_does(name: str):
    def apart(start: str) -> float:
        """How far what the network gives for two images is apart, beside the images themselves."""
        model = network(name)
        STARTS[start](model, IMAGES)
        with torch.no_grad():
            first, other = model(IMAGES[:2])
        return ((first - other).norm() / (IMAGES[0] - IMAGES[1]).norm()).item()

    assert apart("contracting") == pytest.approx(apart("centred") / 5, rel=0.02)


def test_resumed_training_does_not_start_anew(tmp_path: Path):
    options = {"start": "centred", "save_every_s": 0.0}
    whole = network()
    training.train(whole, IMAGES, [1e-2, 1e-3], **options)
    training.train(network(), IMAGES, [1e-2], state=tmp_path / "state", **options)
    parted = network()
    training.train(parted, IMAGES, [1e-2, 1e-3], state=tmp_path / "state", **options)
    assert all(torch.equal(one, other) for one, other in zip(whole.parameters(), parted.parameters(), strict=True))


def test_images_that_are_all_one_can_be_started_from():
    reached = training.train(network(), IMAGES[:1].repeat(3, 1, 1, 1), [1e-3], start="centred").reached
    assert reached[-1].loss <= 1e-3


@pytest.mark.parametrize("start", ["mean", "shifted", "centred", "contracting"])
def test_network_that_cannot_begin_there_is_told_so_and_left_as_it_is(start: str):
    model = network("tied")
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match=r"a Tied can't begin from the images' mean.*choose the start built"):
        training.train(model, IMAGES, [1e-2], start=start)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_unknown_start_is_named():
    with pytest.raises(InputError, match=r"unknown start 'centered'.*mean 'centred'.*built"):
        training.train(network(), IMAGES, [1e-2], start="centered")
