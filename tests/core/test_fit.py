"""A range of pixels that is not the network's is noticed by a single application, and named."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memrec_core import autoencoders, datasets
from memrec_core.autoencoders.fit import USUAL, USUAL_COLOURS, Scaling, check_range, fit
from memrec_core.autoencoders.given import Given, Wrapped
from memrec_core.errors import InputError
from tests.core.outside import nets

SCALINGS = (*USUAL, *USUAL_COLOURS[:1])


def photos(channels: int) -> Tensor:
    return datasets.load("photos", count=32, size=16, channels=channels, seed=1).images


@pytest.fixture(scope="module")
def trained() -> dict[Scaling, nn.Module]:
    """A network for each range, trained a little, to a loss of about 1e-3, on pixels in that range."""
    return {scaling: _trained(scaling) for scaling in SCALINGS}


def _trained(scaling: Scaling) -> nn.Module:
    images = photos(3)
    torch.manual_seed(0)
    network = autoencoders.build("fc10", (3, 16, 16), width=128)
    shift, scale = scaling.of(Given(network)).shift_and_scale or (0.0, 1.0)
    pixels = (images - torch.tensor(shift).reshape(-1, 1, 1)) / torch.tensor(scale).reshape(-1, 1, 1)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(300):
        optimiser.zero_grad()
        ((network(pixels) - pixels) / pixels.std()).square().mean().backward()
        optimiser.step()
    return network.eval()


ZERO_TO_ONE, MINUS_ONE_TO_ONE, BYTES, HALVES, IMAGENET = SCALINGS


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (ZERO_TO_ONE, MINUS_ONE_TO_ONE),
        (MINUS_ONE_TO_ONE, ZERO_TO_ONE),
        (BYTES, MINUS_ONE_TO_ONE),
        (HALVES, BYTES),
        (IMAGENET, ZERO_TO_ONE),
        (IMAGENET, BYTES),
    ],
    ids=lambda scaling: scaling.flags,
)
def test_range_that_is_not_the_networks_is_named(trained: dict[Scaling, nn.Module], right: Scaling, wrong: Scaling):
    network, images = trained[right], photos(3)
    found = check_range(Wrapped(network, right.of(Given(network))), images)
    assert found.images == 32
    assert found.error == found.others[right] < 5e-3
    with pytest.raises(InputError) as caught:
        check_range(Wrapped(network, wrong.of(Given(network))), images, "mine")
    said = str(caught.value)
    assert said.startswith("mine gives its images back")
    assert f"under {wrong.flags}, and" in said
    assert right.advice in said


def test_network_in_minus_one_to_one_that_is_given_zero_to_one_is_named(trained: dict[Scaling, nn.Module]):
    network = trained[MINUS_ONE_TO_ONE]
    with pytest.raises(InputError, match=r"give --range -1,1 \(in Python range=\(-1, 1\), in an .* range: \[-1, 1\]\)"):
        check_range(network, photos(3))
    with pytest.raises(InputError, match=r"under --mean 0\.2 --std 0\.1, and of .*give --range -1,1"):
        check_range(autoencoders.given(network, mean=0.2, std=0.1), photos(3))
    check_range(autoencoders.given(network, mean=0.5, std=0.5), photos(3))
    padded = autoencoders.given(network, multiple=16)
    with pytest.raises(InputError, match="give --range -1,1"):
        check_range(padded, photos(3)[..., :14, :14].contiguous())


def blur(x: Tensor) -> Tensor:
    kernel = torch.ones(x.shape[1], 1, 5, 5, device=x.device) / 25
    return F.conv2d(x, kernel, padding=2, groups=x.shape[1])


PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "nothing": torch.zeros_like,
    "half": lambda x: x / 2,
    "constant": lambda x: torch.full_like(x, 0.4),
    "blur": blur,
    "smaller": lambda x: F.interpolate(F.avg_pool2d(x, 4), scale_factor=4.0),
    "mean of the image": lambda x: x.mean((2, 3), keepdim=True).expand_as(x),
    "noise": torch.rand_like,
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", PLAIN)
def test_function_that_was_trained_in_no_range_is_left_alone(kind: str, channels: int):
    check_range(PLAIN[kind], photos(channels))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long)])
def test_untrained_network_is_left_alone(seed: int, channels: int):
    torch.manual_seed(seed)
    for kind in autoencoders.ARCHITECTURES:
        check_range(autoencoders.build(kind, (channels, 16, 16)), photos(channels))
    for network in (nets.Halving(channels), nets.Small(channels), nets.Plain(channels)):
        check_range(network, photos(channels))


def test_network_that_refuses_or_explodes_in_another_range_is_asked_all_the_same():
    def picky(x: Tensor) -> Tensor:
        if x.min() < 0:
            raise ValueError("pixels below 0")
        return x * (torch.inf if x.max() > 2 else 1)

    found = check_range(picky, photos(1))
    assert found.error == 0
    assert [found.others[scaling] for scaling in USUAL[:3]] == [0, torch.inf, torch.inf]


def test_fit_leaves_mode_and_random_state_alone():
    network = nets.Dropping().train()
    before = torch.get_rng_state()
    fit(network, photos(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training


def test_images_that_are_none_are_told():
    for images, words in ((photos(1)[:0], "no images"), (photos(1) * 255, "range"), (photos(1)[0], "N, C, H, W")):
        with pytest.raises(InputError, match=words):
            fit(lambda x: x, images)
