"""A linear function of the user's own as a degradation."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from memrec_core.degradations import Custom
from memrec_core.errors import InputError

SHAPE = (1, 4, 4)
IMAGES = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0))


def mirrored(x: Tensor) -> Tensor:
    return (x + x.flip(3)) / 2


def in_place(x: Tensor) -> Tensor:
    x.mul_(0.5)
    return x.clone()


def test_function_is_found_by_its_module_and_name():
    written = Custom(f"{__name__}:mirrored")
    assert torch.equal(written.degrade(IMAGES), mirrored(IMAGES))
    assert torch.equal(Custom(mirrored).degrade(IMAGES), mirrored(IMAGES))
    assert written.label == Custom(mirrored).label == "custom_tests.core.test_custom_operators.mirrored"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("no_such_package.blur:apply", "custom: module no_such_package.blur of .* can't be imported"),
        (f"{__name__}:no_such_function", "custom: unknown function of .*'no_such_function'"),
        (f"{__name__}:SHAPE", "custom: .*SHAPE is a tuple, not a function"),
        (f"{__name__}:SHAPE.deeper", "custom: unknown function of .*'deeper'"),
    ],
)
def test_function_that_is_not_there_is_named(function: str, words: str):
    with pytest.raises(InputError, match=words) as caught:
        Custom(function).degrade(IMAGES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", ["mirrored", "a.b:", ":c", "a b:c", "", None, 3])
def test_what_is_no_function_is_refused_at_once(function: object):
    with pytest.raises(InputError, match="written package"):
        Custom(function)


REFUSED: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "clamped": (lambda x: x.clamp(0, 1), "not linear"),
    "shifted": (lambda x: x + 0.1, "not linear"),
    "rounded": (lambda x: x + ((255 * x).round() / 255 - x).detach(), "not linear"),
    "not finite": (lambda x: x / 0, "not finite"),
    "of the batch": (lambda x: x - x.mean(0, keepdim=True), "stands alone"),
    "smaller": (lambda x: x[..., ::2], r"returned a float32 tensor of shape \(4, 1, 4, 2\)"),
    "other type": (lambda x: x.double(), "float64"),
    "nothing": (lambda x: None, "returned None"),
    "in place": (in_place, "in place"),
    "without gradient": (lambda x: torch.from_numpy(x.detach().numpy() / 2), "can't be differentiated"),
    "that raises": (lambda x: x @ torch.zeros(7, 7), "can't be applied"),
}


@pytest.mark.parametrize(("function", "words"), REFUSED.values(), ids=REFUSED)
def test_function_that_is_no_linear_operator_is_refused(function: Callable[[Tensor], Tensor], words: str):
    with pytest.raises(InputError, match=words) as caught:
        Custom(function).operator(SHAPE, ["a"], 42)
    assert "\n" not in str(caught.value)


def test_adjoint_is_that_of_the_function():
    operator = Custom(lambda x: x.cumsum(3)).operator(SHAPE, ["a"], 42)
    y = IMAGES.flip(0)
    forward = (operator.forward(IMAGES) * y).sum((1, 2, 3))
    assert torch.allclose(forward, (IMAGES * operator.adjoint(y)(y)).sum((1, 2, 3)), atol=1e-5)


def test_image_whose_estimate_is_not_finite_harms_no_other():
    operator = Custom(mirrored).operator(SHAPE, ["a"], 42)
    z = IMAGES.flip(0)
    broken = z.clone()
    broken[1] = float("nan")
    wanted, found = operator.nearest(IMAGES, z, 0.5), operator.nearest(IMAGES, broken, 0.5)
    assert torch.equal(found[[0, 2]], wanted[[0, 2]])
    assert found[1].isnan().all()


def test_image_that_is_solved_at_once_stays_so_beside_others():
    operator, y = Custom(mirrored).operator(SHAPE, ["a"], 42), IMAGES.clone()
    z = IMAGES.flip(0)
    y[0] = mirrored(z)[0]
    assert torch.equal(operator.nearest(y, z, 0.5)[0], z[0])
