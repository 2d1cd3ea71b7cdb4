"""The parts of the method `adaptive` against what they are meant to compute."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from memrec_core.degradations.noise import add_noise
from memrec_core.recovery.adaptive.anything import AnythingRule
from memrec_core.recovery.adaptive.attempt import Attempt, Outcome, try_once
from memrec_core.recovery.adaptive.best import Best
from memrec_core.recovery.adaptive.colour import ColourRule, repeated_colour
from memrec_core.recovery.adaptive.method import _believed, recover_adaptive
from memrec_core.recovery.adaptive.noise import NoiseRule, noise_std
from tests.core.test_admm import small_network


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# The colour that repeats


def by_counting(image: Tensor, colours: int) -> tuple[Tensor, float]:
    """The mask of one image (C, H, W) and its most frequent colour's share, pixel by pixel."""
    pixels = [tuple(pixel) for pixel in image.flatten(1).T.tolist()]
    seen, count = Counter(pixels), len(pixels)
    frequent = [(colour, times) for colour, times in seen.most_common(colours) if times > 1]
    missing = {colour for colour, times in frequent if times / count > 0.02}
    kept = torch.tensor([pixel not in missing for pixel in pixels]).view(image.shape[1:])
    return kept.expand(image.shape).to(image), frequent[0][1] / count if frequent else 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("one_mask", [True, False])
@pytest.mark.parametrize("colours", [1, 3])
def test_mask_of_a_colour_is_that_of_counting_pixels(dtype: torch.dtype, one_mask: bool, colours: int):
    """Images with several flat parts, none as large as another, black among them."""
    y = torch.rand(4, 3, 12, 10, generator=source(), dtype=dtype)
    palette = torch.tensor([[0.0, 0, 0], [1, 0, 1], [0.5, 0.25, 0.125], [0.125, 0.25, 0.5]], dtype=dtype)
    for image in y:
        order = torch.randperm(120, generator=source(int(1e6 * image[0, 0, 0])))
        for colour, part in zip(palette, order.split([29, 17, 7, 2, 65]), strict=False):
            image.flatten(1)[:, part] = colour[:, None]
    mask, share = repeated_colour(y, one_mask, colours)
    assert mask.dtype == dtype
    for own, found, part in zip(y, mask, share.tolist(), strict=True):
        if one_mask:
            expected, most = by_counting(own, colours)
        else:
            channels = [by_counting(channel[None], colours) for channel in own]
            expected, most = torch.cat([kept for kept, _ in channels]), min(most for _, most in channels)
        assert torch.equal(found, expected)
        assert part == pytest.approx(most)


def test_zeros_of_both_signs_are_one_colour():
    y = 0.1 + 0.8 * torch.rand(1, 3, 8, 8, generator=source())
    y[:, :, :4] = 0.0
    y[:, :, 1:3] *= -1
    mask, share = repeated_colour(y)
    assert share.item() == 0.5
    assert torch.equal(mask[0, 0, :, 0], torch.tensor([0.0] * 4 + [1.0] * 4))


def test_colour_is_the_same_only_to_the_bit_and_in_the_order_of_its_channels():
    y = torch.rand(1, 3, 8, 8, generator=source())
    colour = torch.tensor([0.4, 0.4, 0.7])
    y[0, :, :4] = colour[:, None, None]
    y[0, 0, 0, 0] = torch.nextafter(colour[0], torch.tensor(1.0))  # the next number
    y[0, :, 1, 0], y[0, :, 1, 1] = colour[[0, 2, 1]], colour[[2, 0, 1]]
    mask, share = repeated_colour(y)
    assert share.item() == 29 / 64
    assert mask[0, 0, :2, :2].tolist() == [[1, 0], [1, 1]]


@pytest.mark.parametrize("shape", [(2, 3, 1, 1), (2, 3, 5, 6), (2, 1, 7, 7), (2, 3, 8, 8)])
@pytest.mark.parametrize("one_mask", [True, False])
def test_colours_that_appear_once_do_not_repeat_however_few_pixels_there_are(shape: tuple, one_mask: bool):
    mask, share = repeated_colour(torch.rand(shape, generator=source()), one_mask, colours=3)
    assert mask.all()
    assert share.tolist() == [0, 0]


def test_largest_flat_part_is_taken_for_the_fill_and_strictly_others_too():
    y = torch.rand(1, 3, 10, 10, generator=source())
    y[:, :, :4], y[:, :, 6:8] = 0.0, 0.9
    assert repeated_colour(y)[0][0, 0, :, 0].tolist() == [0] * 4 + [1] * 6
    assert repeated_colour(y, colours=3)[0][0, 0, :, 0].tolist() == [0] * 4 + [1] * 2 + [0] * 2 + [1] * 2


# One try


@dataclass(frozen=True)
class Fixed:
    """A rule whose weights are given, and that keeps what it is told."""

    start: Tensor
    later: Tensor
    estimates: bool = True
    told: list[float] = field(default_factory=list)
    ends: list[Tensor] = field(default_factory=list)

    attempts = ()

    def first(self, y: Tensor, attempt: Attempt) -> Tensor:
        return self.start

    def weights(self, y: Tensor, v: Tensor, before: Tensor, attempt: Attempt, progress: float) -> Tensor:
        self.told.append(progress)
        return self.later

    def settle(self, f: Callable[[Tensor], Tensor], y: Tensor, v: Tensor, weights: Tensor) -> Tensor:
        self.ends.extend([v, weights])
        return v


Y = torch.rand(2, 1, 3, 3, generator=source(), dtype=torch.float64)
WEIGHTS = torch.rand(2, 1, 3, 3, generator=source(1), dtype=torch.float64)
WEIGHTS[0, 0, 0] = torch.tensor([0.0, 0.5, 1.0])


@pytest.mark.parametrize("gamma", [0.1, 0.5, 2.0])
def test_xi_minimises_its_objective_with_weights_between_0_and_1(gamma: float):
    """sum w (x - y)^2 + gamma/2 ||x - (v - u)||^2, by a numerical minimiser, from what f is applied to."""
    network, inputs = small_network(), []

    def watching(x: Tensor) -> Tensor:
        inputs.append(x.clone())
        return network(x)

    try_once(watching, Y, Fixed(WEIGHTS, WEIGHTS), Attempt(gamma, 2, start=0.5), 1.0, 1, True)
    s, following = inputs
    v = network(s)
    shifted = (2 * v - s).numpy().ravel()  # v - u, for u = s - v
    xi = following - (s - v)  # f is applied to xi + u
    y, weights = Y.numpy().ravel(), WEIGHTS.numpy().ravel()

    def objective(x: np.ndarray) -> float:
        return (weights * (x - y) ** 2).sum() + gamma / 2 * ((x - shifted) ** 2).sum()

    best = minimize(objective, np.zeros(y.size), method="BFGS", options={"gtol": 1e-10})
    assert np.allclose(xi.numpy().ravel(), best.x, atol=1e-6)


def test_first_input_is_xi_of_no_state_with_the_attempts_value_where_pixels_are_missing():
    mask, inputs = (WEIGHTS > 0.5).double(), []
    for start in (0.25, None):
        inputs.clear()
        try_once(
            lambda x: inputs.append(x.clone()) or x / 2, Y, Fixed(mask, mask), Attempt(1.0, 1, start), 1.0, 1, True
        )
        for image, kept, found in zip(Y, mask, inputs[0], strict=True):
            missing = image[kept > 0].mean() if start is None else torch.tensor(start)
            assert torch.allclose(found, torch.where(kept > 0, image / 1.5, missing.double()))


@pytest.mark.parametrize("carried", [True, False])
def test_try_is_algorithm_1_with_the_state_carried_over_or_not(carried: bool):
    """Line by line, with v and u, in float64."""
    f, later, gamma, every = small_network(), WEIGHTS.flip(0), 0.5, 3
    rule = Fixed(WEIGHTS, later)
    try_once(f, Y, rule, Attempt(gamma, 7, start=0.5), 1.0, every, carried)

    def first_input(w: Tensor) -> Tensor:
        return w * Y / (w + gamma / 2) + (1 - w) * 0.5

    w, s = WEIGHTS, first_input(WEIGHTS)
    for iteration in range(1, 8):
        v = f(s)
        u = s - v
        if iteration % every == 0 or iteration == 7:
            w = later
            if not carried:
                s = first_input(w)
                continue
        xi = (w * Y + gamma / 2 * (v - u)) / (w + gamma / 2)
        s = xi + u
    assert torch.allclose(rule.ends[0], v, atol=1e-12)
    assert torch.equal(rule.ends[1], later)
    assert rule.told == pytest.approx([3 / 7, 6 / 7, 1])


def test_mask_that_is_known_is_not_estimated():
    rule = Fixed(WEIGHTS, WEIGHTS.flip(0), estimates=False)
    try_once(small_network(), Y, rule, Attempt(0.5, 7), 1.0, 1, True)
    assert rule.told == []
    assert torch.equal(rule.ends[1], WEIGHTS)


def test_pixels_that_are_not_believed_have_no_weight_until_the_end():
    believed = (WEIGHTS[:, :1] > 0.4).double()
    left_out, given = Fixed(WEIGHTS, WEIGHTS), Fixed(WEIGHTS * believed, WEIGHTS * believed)
    for rule, own in ((left_out, believed), (given, 1.0)):
        try_once(small_network(), Y, rule, Attempt(0.5, 7), own, 1, True)
    assert torch.equal(left_out.ends[0], given.ends[0])
    assert torch.equal(left_out.ends[1], WEIGHTS)


def test_believed_pixels_are_drawn_for_each_image_from_its_id_the_seed_and_the_try():
    y, attempt = torch.zeros(3, 3, 40, 40), Attempt(0.5, 7, share=0.7)
    drawn = _believed(attempt, 5, y, ["a", "b", "c"], 42)
    assert isinstance(drawn, Tensor)
    assert drawn.shape == (3, 1, 40, 40)
    assert set(drawn.unique().tolist()) == {0, 1}
    assert ((drawn.mean((1, 2, 3)) - 0.7).abs() < 0.05).all()
    assert torch.equal(_believed(attempt, 5, y[:2], ["c", "a"], 42), drawn[[2, 0]])
    assert not torch.equal(drawn[0], drawn[1])
    for number, seed in ((4, 42), (5, 43)):
        assert (_believed(attempt, number, y, ["a", "b", "c"], seed) != drawn).any()
    assert _believed(Attempt(0.5, 7), 5, y, ["a", "b", "c"], 42) == 1


# Which pixels are kept


def test_pixels_agree_in_all_channels_under_a_threshold_that_falls():
    y = torch.full((1, 2, 1, 4), 0.5)
    v = y + torch.tensor([[0.01, 0.02, 0.2, 0.9], [0.0, 0.2, 0.0, 0.0]])[None, :, None]
    one, every = AnythingRule(), AnythingRule(one_mask=False)
    free, block = Attempt(0.5, 10), Attempt(0.5, 10, block="top")
    assert one.weights(y, v, y, free, 1.0)[0, :, 0].tolist() == [[1, 0, 0, 0]] * 2  # 0.03 at the end
    assert one.weights(y, v, y, free, 1e-6)[0, :, 0].tolist() == [[1, 1, 1, 0]] * 2  # 0.8 at first
    assert every.weights(y, v, y, free, 1.0)[0, :, 0].tolist() == [[1, 1, 0, 0], [1, 0, 1, 1]]
    agreeing = [one.weights(y, v, y, free, progress / 50).sum() for progress in range(1, 51)]
    assert agreeing == sorted(agreeing, reverse=True)
    before = torch.rand(y.shape, generator=source())
    assert torch.equal(one.weights(y, v, before, block, 0.4), before)  # the block is held
    assert one.weights(y, v, before, block, 0.41)[0, :, 0].tolist() == [[1, 0, 0, 0]] * 2  # 0.2 from there on
    assert one.weights(y, v, before, block, 1.0)[0, :, 0].tolist() == [[1, 0, 0, 0]] * 2


def test_blocks_that_are_guessed_are_those_of_their_names():
    y, rows, columns = torch.zeros(1, 1, 10, 20), torch.arange(10)[:, None], torch.arange(20)[None]
    inside = (rows >= 3) & (rows < 7) & (columns >= 6) & (columns < 14)
    expected = {
        "top": (rows < 5).expand(10, 20),
        "bottom": (rows >= 5).expand(10, 20),
        "left": (columns < 10).expand(10, 20),
        "right": (columns >= 10).expand(10, 20),
        "middle": inside,
        "around middle": ~inside,
        None: torch.ones(10, 20),
    }
    assert {attempt.block for attempt in AnythingRule.attempts} == set(expected)
    for name, block in expected.items():
        assert torch.equal(AnythingRule().first(y, Attempt(0.5, 10, block=name))[0, 0], block.float()), name


@pytest.mark.parametrize("std", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_is_measured_where_pixels_were_erased(std: float, dtype: torch.dtype):
    clean = torch.rand(4, 3, 32, 32, generator=source(), dtype=dtype)
    clean[:, :, :16] = 0
    found = noise_std(add_noise(clean, std, range(4), 42))
    assert found.dtype == dtype
    assert found.tolist() == pytest.approx([std] * 4, rel=0.1)
    assert noise_std(clean).tolist() == [0] * 4


def test_few_entries_below_zero_are_no_noise():
    y = torch.rand(2, 3, 20, 20, generator=source())
    y[0, 0].flatten()[:6], y[1, 0].flatten()[:7] = -0.01, -0.01  # of 1200, 0.5 %
    assert noise_std(y).tolist() == pytest.approx([0, 0.01])


@pytest.mark.parametrize("one_mask", [True, False])
def test_weights_under_noise_are_how_likely_each_pixel_is_kept(one_mask: bool):
    """By the likelihoods of y given v and of y given 0, where v fits so well that the level is the noise."""
    std, rule = 0.1, NoiseRule(one_mask=one_mask)
    clean = torch.rand(1, 3, 16, 16, generator=source(), dtype=torch.float64)
    y = add_noise(torch.where(torch.arange(16)[:, None] < 8, clean, 0), std, ["a"], 42)
    sigma = noise_std(y).double()
    kept = torch.distributions.Normal(y, sigma).log_prob(y)  # v is y
    erased = torch.distributions.Normal(torch.zeros_like(y), sigma).log_prob(y)
    if one_mask:
        kept, erased = (each.sum(1, keepdim=True).expand_as(y) for each in (kept, erased))
    found = rule.weights(y, y, torch.ones_like(y), rule.attempts[0], 0.5)
    assert torch.allclose(found, torch.sigmoid(kept - erased), atol=1e-9)
    worse = rule.weights(y, y + 0.3, torch.ones_like(y), rule.attempts[0], 0.5)
    assert (worse < found)[..., :8, :].double().mean() > 0.9


def test_first_mask_under_noise_is_where_the_energy_is_high():
    y = torch.full((1, 3, 10, 10), 0.6)
    y[:, :, 5:] = 0
    noisy, rule = add_noise(y, 0.05, ["a"], 42), NoiseRule()
    assert (rule.first(noisy, rule.attempts[0]) == (y > 0)).double().mean() > 0.95


# What speaks for a result


@pytest.mark.parametrize("distance", [1e-10, 2.9e-8, 3.1e-8, 2.9e-6, 3.1e-6, 1e-3])
def test_confidence_under_a_colour_follows_from_the_distance(distance: float):
    y = torch.rand(2, 3, 8, 8, generator=source(), dtype=torch.float64)
    found = ColourRule(most=1).settle(lambda x: x + distance**0.5, y, y, torch.zeros_like(y))
    assert found.distance.tolist() == pytest.approx([distance] * 2)
    assert (found.confidence > 0.99).tolist() == [distance < 3e-8] * 2
    assert (found.confidence >= 0.5).tolist() == [distance < 3e-6] * 2
    assert torch.equal(found.cost, found.distance)


def test_confidence_in_anything_follows_from_the_pixels_that_agree():
    """A network that knows one picture; a part of the pixels is its."""
    picture = torch.rand(1, 3, 20, 20, generator=source(), dtype=torch.float64)
    for share, claimed in ((0.04, False), (0.08, False), (0.12, True), (0.6, True)):
        y = torch.rand(1, 3, 20, 20, generator=source(1), dtype=torch.float64)
        y.flatten(2)[:, :, : int(400 * share)] = picture.flatten(2)[:, :, : int(400 * share)]
        found = AnythingRule().settle(lambda x: picture.clone(), y, y, torch.ones_like(y))
        assert found.share.item() == pytest.approx(share)
        assert (found.confidence >= 0.5).item() == claimed
        assert torch.allclose(found.images, picture)
        assert found.cost.item() == pytest.approx(1 - share)


def test_result_under_noise_stays_near_the_data():
    """A network whose fixed point is another picture is not followed there, and what is left is not believed."""
    picture, other = torch.rand(2, 1, 3, 16, 16, generator=source(), dtype=torch.float64)
    kept = (torch.arange(16) < 8).double().expand_as(picture)
    y, rule = add_noise(kept * picture, 0.1, ["a"], 42), NoiseRule()
    away = rule.settle(lambda x: other.clone(), y, picture, torch.ones_like(y))
    assert torch.equal(away.images, picture)
    assert away.confidence.item() == 0
    there = rule.settle(lambda x: picture.clone(), y, other, torch.ones_like(y))
    assert torch.allclose(there.images, picture)
    assert there.confidence.item() > 0.5
    assert (there.mask == kept).double().mean() > 0.9
    assert there.share.item() == pytest.approx(0.5, abs=0.1)
    assert rule.settle(lambda x: other.clone(), y, other, kept).cost > 2 * there.cost


# The best of all tries


def outcome(value: float, cost: float, confidence: float, distance: float = 1.0, at_rest: bool = True) -> Outcome:
    image, entry = torch.full((1, 1, 2, 2), float(value)), torch.ones(1)
    return Outcome(
        image, image, distance * entry, entry, cost * entry, confidence * entry, torch.ones(1, dtype=torch.int64),
        torch.tensor([at_rest]),
    )  # fmt: skip


def after(*found: tuple[int, Outcome], agreement_settles: bool = True) -> Best:
    best = Best(torch.zeros(1, 1, 2, 2))
    for rule, own in found:
        best.take(torch.arange(1), own, 10, rule, agreement_settles)
    return best


def test_least_cost_is_the_best_of_a_rule():
    found = after((0, outcome(1, 0.5, 0.1)), (0, outcome(2, 0.7, 0.4)), (0, outcome(3, 0.4, 0.0))).recovery()
    assert found.images.unique().tolist() == [3]
    assert found.iterations.tolist() == [3]
    assert found.evaluations.tolist() == [33]


def test_confidence_decides_between_two_rules_whose_costs_are_of_different_kinds():
    colour = outcome(1, 1e-3, 0.01)
    weak, strong = outcome(2, 0.9, 0.001), outcome(3, 0.6, 0.7)
    assert after((1, colour), (2, weak)).images.unique().tolist() == [1]
    assert after((1, colour), (2, strong)).images.unique().tolist() == [3]
    assert after((1, colour), (2, weak), (2, strong)).images.unique().tolist() == [3]


def test_nothing_that_is_not_finite_is_taken():
    good, nan = outcome(1, 0.5, 0.1), outcome(torch.nan, 0.0, 1.0, 0.0)
    assert after((0, good), (0, nan)).images.unique().tolist() == [1]
    assert after((0, nan)).images.unique().tolist() == [0]
    assert after((0, outcome(1, 0.0, 1.0, torch.inf))).recovery().status.tolist() == ["non_finite"]


@pytest.mark.parametrize(
    ("found", "settled"),
    [
        ([outcome(1, 1, 0.5)], True),
        ([outcome(1, 1, 0.49)], False),
        ([outcome(1, 1, 0.9, at_rest=False)], False),
        ([outcome(1, 1, 0.1, 9e-4), outcome(1.009, 1, 0.1, 9e-4)], True),
        ([outcome(1, 1, 0.1, 9e-4), outcome(1.011, 1, 0.1, 9e-4)], False),
        ([outcome(1, 1, 0.1, 2e-3), outcome(1, 1, 0.1, 9e-4)], False),
        ([outcome(1, 1, 0.1, 9e-4), outcome(1, 1, 0.1, 2e-3)], False),
    ],
)
def test_image_is_settled_where_it_is_believed_and_at_rest_or_two_tries_agree(found: list[Outcome], settled: bool):
    best = after(*[(0, each) for each in found])
    assert best.settled.tolist() == [settled]
    assert best.left(torch.arange(1), restarts=9).tolist() == ([] if settled else [0])
    assert best.left(torch.arange(1), restarts=len(found) - 1).tolist() == []


@pytest.mark.parametrize(("confidence", "settled"), [(0.1, False), (0.5, True)])
def test_tries_that_agree_settle_nothing_where_they_may_both_have_gone_wrong(confidence: float, settled: bool):
    alike = (0, outcome(1, 1, confidence, 9e-4)), (0, outcome(1, 1, confidence, 9e-4))
    assert after(*alike, agreement_settles=False).settled.tolist() == [settled]


def test_what_erased_pixels_hold_does_not_settle_an_image_by_leading_two_tries_to_another():
    """A network that knows two pictures and is drawn to the one of which less is left, which hides the other one from
    the first tries; a try that takes the lower half to be kept finds it."""
    kept, strange = torch.rand(2, 1, 1, 20, 20, generator=source(), dtype=torch.float64)

    def nearest_at_the_top(x: Tensor) -> Tensor:
        strays = [(x - own).square()[:, :, :14].mean((1, 2, 3), keepdim=True) for own in (kept, strange)]
        return torch.where(strays[0] < strays[1], kept, strange).expand_as(x)

    y = torch.cat([strange[:, :, :1], torch.rand(1, 1, 13, 20, generator=source(1), dtype=torch.float64)], 2)
    y = torch.cat([y, kept[:, :, 14:]], 2)
    assert recover_adaptive(nearest_at_the_top, y, restarts=1).claimed.tolist() == [False]
    found = recover_adaptive(nearest_at_the_top, y)
    assert found.claimed.tolist() == [True]
    assert torch.equal(found.images, kept)
