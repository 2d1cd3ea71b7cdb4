"""The degradation operators: linear, and each solution of (12) against dense algebra in float64."""

import math
from collections.abc import Callable

import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from memrec_core import degradations
from memrec_core.degradations import Blur, Custom, Downsample, Erasure, Masking, Operator, joined
from memrec_core.errors import InputError

SHAPE = (2, 6, 8)
IDS = ("a", "b", "c")


def drawn(seed: int, count: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def sharpened(x: Tensor) -> Tensor:
    """Each pixel less half of its right neighbour, not in a circle; the channels are mixed."""
    moved = torch.nn.functional.pad(x, (0, 1))[..., 1:]
    return x - 0.5 * moved + 0.2 * x.flip(1)


DEGRADATIONS: dict[str, degradations.Degradation] = {
    "mask": Erasure("center"),
    "random masks": Erasure("random_50", per_image=True),
    "Gaussian": Blur(std=1.0),
    "wide Gaussian": Blur(std=5.0),
    "motion": Blur(length=3),
    "slanted motion": Blur(length=4, angle=30.0),
    "downsample": Downsample(2),
    "custom": Custom(sharpened),
}


def operator_of(name: str) -> Operator:
    return DEGRADATIONS[name].operator(SHAPE, IDS, 42)


def dense(operator: Operator) -> Tensor:
    """H of each image as a matrix (N, D, D), from what it makes of unit vectors."""
    size = math.prod(SHAPE)
    columns = [operator.forward(unit.view(1, *SHAPE).expand(3, *SHAPE)).flatten(1) for unit in torch.eye(size).double()]
    return torch.stack(columns, dim=2)


any_operator = pytest.mark.parametrize("name", DEGRADATIONS)


@any_operator
@pytest.mark.parametrize("weight", [0.1, 0.5, 7.0])
def test_nearest_is_the_solution_of_the_normal_equations(name: str, weight: float):
    operator, y, z = operator_of(name), drawn(1), drawn(2)
    h = dense(operator)
    left = h.mT @ h + weight / 2 * torch.eye(h.shape[1]).double()
    right = h.mT @ y.flatten(1)[..., None] + weight / 2 * z.flatten(1)[..., None]
    expected = torch.linalg.solve(left, right).view_as(y)
    tolerance = 1e-4 if name == "custom" else 1e-10  # conjugate gradients stop at a residual of 1e-6
    assert torch.allclose(operator.nearest(y, z, weight), expected, atol=tolerance)


@any_operator
def test_forward_is_linear(name: str):
    operator, a, b = operator_of(name), drawn(1), drawn(2)
    together = operator.forward(2 * a - 3 * b)
    assert torch.allclose(together, 2 * operator.forward(a) - 3 * operator.forward(b), atol=1e-12)


@any_operator
def test_what_is_made_of_float32_is_float32_and_near_float64(name: str):
    operator = operator_of(name)
    for apply in (
        lambda x: operator.forward(x),
        lambda x: operator.nearest(x, x.flip(0), 0.5),
        lambda x: operator.consistent(x, x.flip(0)),
    ):
        single, double = apply(drawn(1, dtype=torch.float32)), apply(drawn(1))
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), double, atol=2e-5)


@any_operator
def test_image_alone_is_treated_as_in_its_batch(name: str):
    operator, y, z = operator_of(name), drawn(1), drawn(2)
    for i in range(3):
        rows = torch.tensor([i])
        alone = operator.part(rows, "cpu")
        assert torch.allclose(alone.forward(y[rows]), operator.forward(y)[rows], atol=1e-12)
        assert torch.allclose(alone.nearest(y[rows], z[rows], 0.5), operator.nearest(y, z, 0.5)[rows], atol=1e-12)
        assert torch.allclose(alone.consistent(z[rows], y[rows]), operator.consistent(z, y)[rows], atol=1e-12)


@pytest.mark.parametrize("name", ["mask", "random masks", "downsample"])
def test_consistent_image_is_the_nearest_that_gives_y(name: str):
    operator, x = operator_of(name), drawn(1)
    y = operator.forward(drawn(2))
    found = operator.consistent(x, y)
    assert torch.allclose(operator.forward(found), y, atol=1e-12)
    assert torch.allclose(operator.consistent(found, y), found, atol=1e-12)
    assert torch.allclose(operator.forward(found - x), found - x, atol=1e-12)  # the change is in H's range


@any_operator
def test_what_a_clean_image_gives_leaves_it_consistent(name: str):
    operator, x = operator_of(name), drawn(1)
    assert torch.allclose(operator.consistent(x, operator.forward(x)), x, atol=1e-12)


@any_operator
def test_only_an_erasure_has_a_mask(name: str):
    operator, x = operator_of(name), drawn(1)
    assert (operator.kept is not None) == DEGRADATIONS[name].erases
    if operator.kept is not None:
        assert torch.equal(operator.forward(x), operator.kept * x)


@pytest.mark.parametrize("std", [0.4, 1.0, 2.5])
def test_gaussian_blur_is_scipys(std: float):
    images = drawn(1)
    ours = Blur(std=std).operator(SHAPE, IDS, 42).forward(images)
    theirs = gaussian_filter(images.numpy(), (0, 0, std, std), mode="wrap", radius=(0, 0, *[math.ceil(4 * std)] * 2))
    assert torch.allclose(ours, torch.from_numpy(theirs), atol=1e-12)


def spread(blur: Blur, size: int = 9) -> Tensor:
    """What one bright pixel in the middle becomes."""
    point = torch.zeros(1, 1, size, size, dtype=torch.float64)
    point[..., size // 2, size // 2] = 1
    return blur.operator((1, size, size), ["a"], 42).forward(point)[0, 0]


def test_motion_goes_along_its_angle():
    across = torch.zeros(9, 9, dtype=torch.float64)
    across[4, 2:7] = 0.2
    assert torch.allclose(spread(Blur(length=5)), across, atol=1e-12)
    assert torch.allclose(spread(Blur(length=5, angle=90.0)), across.T, atol=1e-12)
    slanted = spread(Blur(length=5, angle=45.0))
    assert slanted[3, 5] > 0.1 > slanted[5, 5] + 1e-3  # up and to the right
    assert torch.allclose(slanted, spread(Blur(length=5, angle=135.0)).flip(1), atol=1e-12)


@pytest.mark.parametrize("blur", [Blur(std=0.3), Blur(std=20.0), Blur(length=2), Blur(length=50, angle=17.0)])
def test_blur_keeps_the_mean_and_moves_nothing(blur: Blur):
    point = spread(blur)
    assert point.sum().item() == pytest.approx(1)
    assert torch.allclose(point, point.flip(0, 1), atol=1e-12)


def test_block_becomes_its_mean():
    images = drawn(1)
    blocks = Downsample(2).operator(SHAPE, IDS, 42).forward(images)
    assert torch.allclose(blocks[1, 1, 2:4, 4:6], images[1, 1, 2:4, 4:6].mean().expand(2, 2))


def test_size_that_the_factor_does_not_divide_is_refused():
    with pytest.raises(InputError, match=r"6 x 8 .*blocks of 4 x 4"):
        Downsample(4).operator(SHAPE, IDS, 42)
    with pytest.raises(InputError, match="blocks of 4 x 4"):
        Downsample(4).operator((1, 8, 8), IDS, 42).forward(drawn(1))


def test_operator_for_another_size_says_so():
    with pytest.raises(InputError, match=r"8 x 8 does not fit 6 x 8"):
        Blur(std=1.0).operator((1, 8, 8), IDS, 42).forward(drawn(1))


JOINED = {
    "masks": ("mask", "random masks"),
    "all kinds": tuple(DEGRADATIONS),
    "one": ("motion",),
}


@pytest.mark.parametrize("names", JOINED.values(), ids=JOINED)
def test_joined_operators_do_what_each_does(names: tuple[str, ...]):
    each = [operator_of(name) for name in names]
    whole = joined(each, [3] * len(each))
    y, z = (torch.cat([drawn(seed + i) for i in range(len(each))]) for seed in (0, 100))

    def separately(apply: Callable[[Operator, slice], Tensor]) -> Tensor:
        return torch.cat([apply(own, slice(3 * i, 3 * i + 3)) for i, own in enumerate(each)])

    for rows in (torch.arange(3 * len(each)), torch.tensor([3 * len(each) - 1, 0, 2, 1, 0])):
        part = whole.part(rows, "cpu")
        wanted = separately(lambda own, at: own.forward(y[at]))
        assert torch.allclose(part.forward(y[rows]), wanted[rows], atol=1e-12)
        wanted = separately(lambda own, at: own.nearest(y[at], z[at], 0.5))
        assert torch.allclose(part.nearest(y[rows], z[rows], 0.5), wanted[rows], atol=1e-12)
        wanted = separately(lambda own, at: own.consistent(z[at], y[at]))
        assert torch.allclose(part.consistent(z[rows], y[rows]), wanted[rows], atol=1e-12)
    assert torch.allclose(whole.forward(y), separately(lambda own, at: own.forward(y[at])), atol=1e-12)


def test_joined_masks_are_one_mask_and_others_are_none():
    masks = [operator_of("mask"), operator_of("random masks")]
    whole = joined(masks, [3, 3])
    assert isinstance(whole, Masking)
    assert torch.equal(whole.theta, torch.cat([masks[0].kept, masks[1].kept]))
    assert joined([*masks, operator_of("motion")], [3, 3, 3]).kept is None


def test_wrong_numbers_of_images_are_refused():
    with pytest.raises(InputError, match="6 images do not fit 3"):
        joined([operator_of("motion"), operator_of("mask")], [3, 3]).forward(drawn(1))
    with pytest.raises(InputError, match="1 operators do not fit 2 counts"):
        joined([operator_of("motion")], [3, 3])
    with pytest.raises(InputError, match="0 operators"):
        joined([], [])
