"""Where `adaptive` lets an estimate come to rest: the fixed point next to it, sooner with a memory of its steps."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from memrec_core.recovery.adaptive.rest import come_to_rest
from tests.core.test_admm import small_network


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def contraction(seed: int, rate: float, size: int = 12) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A linear map of images (N, 1, 1, size) whose error falls by `rate` at the slowest, and its fixed point."""
    matrix = torch.randn(size, size, generator=source(seed), dtype=torch.float64)
    _, vectors = torch.linalg.eigh(matrix + matrix.T)
    matrix = vectors @ torch.diag(torch.linspace(-rate, rate, size, dtype=torch.float64)) @ vectors.T
    point = torch.rand(size, generator=source(seed + 1), dtype=torch.float64)
    return lambda x: (x - point) @ matrix + point, point.view(1, 1, 1, size)


@pytest.mark.parametrize("memory", [0, 2, 5])
@pytest.mark.parametrize("kept", [0, 4])
def test_rest_is_the_fixed_point_of_a_linear_map(memory: int, kept: int):
    f, point = contraction(0, 0.85)
    mask = torch.zeros(3, 1, 1, 12, dtype=torch.float64)
    mask[..., :kept] = 1
    x = torch.rand(3, 1, 1, 12, generator=source(5), dtype=torch.float64)
    rested = come_to_rest(f, x, point.expand_as(x), mask, memory, most=2000)
    assert torch.allclose(rested.images, point.expand_as(x), atol=1e-4)
    assert rested.at_rest.all()
    assert torch.allclose(rested.distance, (f(rested.images) - rested.images).square().mean((1, 2, 3)))


def plainly(f: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, kept: Tensor, times: int = 3000) -> Tensor:
    """(31) after each of so many applications."""
    for _ in range(times):
        x = kept * y + (1 - kept) * f(x)
    return x


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_rest_is_where_the_plain_iteration_ends_and_sooner_with_memory(share: float):
    """A contraction that is not linear; the kept pixels are those of its fixed point."""
    network = small_network(3)

    def f(x: Tensor) -> Tensor:
        return 0.5 + torch.tanh(2 * network(x))

    x = torch.rand(4, 1, 3, 3, generator=source(), dtype=torch.float64)
    kept = (torch.rand(4, 1, 3, 3, generator=source(1), dtype=torch.float64) < share).double()
    y = plainly(f, x, x, torch.zeros_like(x))
    expected = plainly(f, x, y, kept)
    found = {memory: come_to_rest(f, x, y, kept, memory, most=500) for memory in (0, 5)}
    for rested in found.values():
        assert rested.at_rest.all()
        assert torch.allclose(rested.images, expected, atol=1e-5)
    assert found[5].evaluations.sum() < found[0].evaluations.sum()


def test_rest_puts_kept_pixels_back_though_f_contradicts_them_and_gives_up():
    """No fixed point of f has these pixels: the distance stays, and the iteration ends before `most`."""
    f, point = contraction(2, 0.5)
    y = point + 1
    mask = torch.zeros_like(point)
    mask[..., :4] = 1
    rested = come_to_rest(f, torch.zeros_like(point), y, mask, most=500)
    assert torch.equal(rested.images[..., :4], y[..., :4])
    assert rested.distance.item() > 1e-3
    assert rested.evaluations.item() < 60


@pytest.mark.parametrize(
    ("options", "applications"), [({}, 13), ({"patience": 4}, 5), ({"most": 3}, 3), ({"most": 1}, 1)]
)
def test_rest_ends_after_patience_or_the_most_applications(options: dict, applications: int):
    """A map that moves everything by one has no fixed point."""
    x = torch.rand(2, 1, 3, 3, generator=source())
    rested = come_to_rest(lambda x: x + 1, x, x, torch.zeros_like(x), memory=0, **options)
    assert rested.evaluations.tolist() == [applications] * 2
    assert not rested.at_rest.any()
    assert rested.distance.tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("memory", [0, 5])
def test_rest_of_an_image_does_not_depend_on_the_others(memory: int):
    """One is at rest at once, one soon, one never leaves the finite numbers' edge, one breaks."""
    f, point = contraction(4, 0.8)

    def broken(x: Tensor) -> Tensor:
        return torch.where(x.amax((1, 2, 3), keepdim=True) > 50, torch.nan, f(x))

    noise = torch.rand(4, 1, 1, 12, generator=source(), dtype=torch.float64)
    x = point + torch.tensor([0.0, 1.0, 3.0, 100.0]).view(4, 1, 1, 1) * noise
    mask = torch.zeros_like(x)
    together = come_to_rest(broken, x, x, mask, memory)
    assert len(set(together.evaluations.tolist())) > 2
    for row in range(4):
        alone = come_to_rest(broken, x[[row]], x[[row]], mask[[row]], memory)
        assert torch.allclose(together.images[row], alone.images[0], atol=1e-8)
        assert together.evaluations[row] == alone.evaluations[0]
        assert together.at_rest[row] == alone.at_rest[0]
    assert torch.equal(together.images[3], x[3])  # the last finite one
    assert together.distance.isfinite().tolist() == [True, True, True, False]


def inputs_of(step: Callable[[Tensor], Tensor], memory: int, most: int) -> list[float]:
    """What x + step(x) is applied to on the way from 0 to its rest."""
    inputs: list[float] = []

    def f(x: Tensor) -> Tensor:
        inputs.append(x.item())
        return x + step(x)

    start = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    come_to_rest(f, start, start, start, memory, most)
    return inputs


def test_rest_takes_back_a_step_that_leaps_away_and_forgets_what_led_there():
    """Secants of one variable: that of 0 and 1 leads to 2.5, where the step is long; then that of 2.5 and 1."""
    inputs = inputs_of(lambda x: torch.where(x < 2, 1 - 0.4 * x, 1.3), memory=5, most=5)
    assert inputs == pytest.approx([0, 1, 2.5, 1, 1 - 0.6 * 1.5 / 0.7])


def test_rest_begins_anew_from_the_best_where_it_gains_nothing_for_half_of_the_patience():
    assert inputs_of(torch.ones_like, memory=0, most=10) == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
