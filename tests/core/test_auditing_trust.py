"""Whether an audit's figures can be trusted: copies are left out, sides compared as pictures, attacks tried."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

import memrec_core as memrec
from memrec_core import datasets
from memrec_core.auditing.attacks import DEGRADATIONS, METHODS, measure
from memrec_core.auditing.distinct import Duplicates, distinct
from memrec_core.auditing.evidence import Side
from memrec_core.auditing.exchangeability import exchangeability
from memrec_core.auditing.groups import grouped, least_size
from memrec_core.auditing.instrument import Instrument, Nearest, check_instrument, in_words
from memrec_core.auditing.smoothing import smooth_fill
from memrec_core.auditing.verdict import verdict
from memrec_core.datasets import ImageSet
from memrec_core.degradations import Erasure, mask
from memrec_core.errors import InputError
from memrec_core.metrics import ACCURATE, APPROXIMATE, mse
from memrec_core.recovery import KnownMask
from tests.core.evidence import BACK, FAR, NEARLY, WORKS, evidence, side


def named(images: Tensor, names: str = "image") -> ImageSet:
    return ImageSet(images, tuple(f"{names}-{i}" for i in range(len(images))), (None,) * len(images))


@pytest.fixture(scope="module")
def photos() -> Tensor:
    """Those of both splits, 602 of 32 x 32."""
    return torch.cat([datasets.load("photos", size=32, split=split).images for split in ("train", "control")])


def digits(count: int, channels: int = 1) -> Tensor:
    """Strokes on black, 28 x 20, as handwriting is."""
    source = torch.Generator().manual_seed(count)
    images = torch.zeros(count, channels, 28, 20)
    for image in images:
        points = torch.rand(5, 2, generator=source) * torch.tensor([24.0, 16.0]) + 2
        for start, stop in pairwise(points):
            for share in torch.linspace(0, 1, 40):
                row, column = (start + share * (stop - start)).long().tolist()
                image[:, row : row + 2, column : column + 2] = 1.0
    return images


# Each picture once


def test_copies_within_and_between_the_sides_are_left_out_and_counted(photos: Tensor):
    train = torch.cat([photos[:6], photos[:1], photos[1:2].flip(3)])  # two copies, one of them mirrored
    brighter = (photos[2:3] * 0.99).clamp(0, 1)
    control = torch.cat([photos[10:15], brighter, torch.rot90(photos[3:4], 1, (2, 3)), photos[10:11]])
    own, others, found = distinct(named(train), named(control, "other"))
    assert found == Duplicates(crossing=2, train=2, control=1)
    assert own.ids == tuple(f"image-{i}" for i in range(6))
    assert others.ids == tuple(f"other-{i}" for i in range(5))
    assert torch.equal(own.images, photos[:6])
    assert torch.equal(others.images, photos[10:15])


def test_training_image_stays_where_its_copy_is_a_control_image(photos: Tensor):
    own, others, found = distinct(named(photos[:4]), named(photos[3:8], "other"))
    assert (len(own), len(others), found.crossing) == (4, 4, 1)


def test_control_images_that_are_all_training_images_are_refused(photos: Tensor):
    with pytest.raises(InputError, match="all 5 control images are near-duplicates of training images"):
        distinct(named(photos[:9]), named(photos[2:7], "other"))


# Sides of a kind


@pytest.mark.parametrize("count", [24, pytest.param(60, marks=pytest.mark.long)])
def test_sides_drawn_alike_are_told_apart_in_about_five_per_cent(photos: Tensor, count: int):
    source, wrong = torch.Generator().manual_seed(0), 0
    for seed in range(100):
        drawn = torch.randperm(len(photos), generator=source)[: 2 * count]
        wrong += not exchangeability(photos[drawn[:count]], photos[drawn[count:]], seed).alike
    assert wrong <= 10  # 5 are expected, and more than 10 have a probability of 1 %


def test_sides_of_another_brightness_contrast_sharpness_or_colour_are_told_apart(photos: Tensor):
    drawn = torch.randperm(len(photos), generator=torch.Generator().manual_seed(1))
    own, others = photos[drawn[:100]], photos[drawn[100:200]]
    assert exchangeability(own, others).alike
    blurred = torch.nn.functional.avg_pool2d(own, 5, 1, 2, count_include_pad=False)
    red = own * torch.tensor([1.0, 0.7, 0.7])[:, None, None]
    for changed in (0.7 * own + 0.3, 0.3 * own + 0.3, blurred, red):
        found = exchangeability(changed, others)
        assert not found.alike
        assert found.p is not None
        assert found.p < 0.05
        assert found.interval is not None
        assert found.interval[0] > 0.5


@pytest.mark.parametrize(
    "change", [lambda x: 0.5 + (x - 0.5) / 3, lambda x: x.add(x.roll(1, 2)).sub(1).div(2**0.5).add(0.5)]
)
def test_small_sides_of_another_contrast_or_roughness_are_told_apart(change: Callable):
    """On average the pictures are alike, and there is nothing finer than the grid."""
    own, others = torch.rand(2, 60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert exchangeability(own, others).alike
    assert not exchangeability(change(own), others).alike


def test_classifier_that_is_worse_than_chance_tells_nothing_apart(photos: Tensor):
    """Asked about folds that it did not see it may be; that is no difference of the sides."""
    source, worst = torch.Generator().manual_seed(0), None
    for seed in range(60):
        drawn = torch.randperm(len(photos), generator=source)[:48]
        found = exchangeability(photos[drawn[:24]], photos[drawn[24:]], seed)
        if worst is None or (found.auc or 0) < (worst.auc or 0):
            worst = found
    assert worst is not None
    assert worst.interval is not None
    assert worst.interval[1] < 0.5
    assert worst.alike


def test_few_images_tell_nothing_of_the_sides(photos: Tensor):
    found = exchangeability(photos[:19], photos[20:80])
    assert (found.alike, found.auc, found.p) == (None, None, None)
    assert "fewer than 20 images" in str(found.reason)


def test_images_without_any_difference_are_alike():
    found = exchangeability(torch.zeros(30, 1, 8, 8), torch.zeros(30, 1, 8, 8))
    assert (found.alike, found.auc) == (True, 0.5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 3, 50), (2, 28, 20)])
def test_sides_can_be_compared_whatever_their_shape(shape: tuple[int, int, int]):
    own, others = torch.rand(2, 60, *shape, generator=torch.Generator().manual_seed(0))
    assert exchangeability(own, others).alike
    assert not exchangeability(own, others * 0.3).alike


# The instrument


@pytest.mark.parametrize(
    "images",
    [
        pytest.param(lambda photos: photos[:60], id="photographs"),
        pytest.param(lambda photos: digits(30), id="digits of 28 x 20"),
        pytest.param(lambda photos: torch.cat([photos[:12], photos[12:24, :1]], 1), id="four channels"),
    ],
)
def test_attacks_find_all_in_a_network_that_memorised_all_and_nothing_in_the_identity(images, photos: Tensor):
    found = check_instrument(named(images(photos)), DEGRADATIONS, METHODS)
    assert found.nearest >= 0.95
    assert found.identity == 0
    assert found.works
    assert found.count == min(50, len(images(photos)))


def test_instrument_fails_where_what_is_erased_was_black_anyway(photos: Tensor):
    """Of half of the images, the second half."""
    images = photos[:40].clone()
    images[20:, :, 8:24, 8:24] = 0
    found = check_instrument(named(images), [Erasure("center")], [KnownMask()])
    assert not found.works
    assert found.nearest <= 0.5
    assert "do not work" in in_words(found)


def test_instrument_is_tried_on_images_from_first_to_last(photos: Tensor):
    """Sorted by what they are, the first ones are of a kind."""
    images = photos[:100].clone()
    images[50:, :, 8:24, 8:24] = 0
    assert check_instrument(named(images), [Erasure("center")], [KnownMask()]).nearest <= 0.5


def test_instrument_works_from_95_per_cent_and_with_nothing_from_the_identity():
    assert Instrument(50, 0.96, 0.0).works
    assert not Instrument(50, 0.94, 0.0).works
    assert not Instrument(50, 1.0, 0.02).works
    assert "work on these images: of 50 of them" in in_words(Instrument(50, 0.96, 0.0))


def test_nearest_returns_the_training_image_that_is_nearest(photos: Tensor):
    network = Nearest(photos[:20])
    assert torch.equal(network((photos[:20] + 0.02).double()), photos[:20].double())


# Images that hardly were damaged


def test_images_that_are_black_under_the_hole_never_count(photos: Tensor):
    images = photos[:8].clone()
    images[:3, :, 8:24, 8:24] = 0
    images[3, :, 8:24, 8:24] = 0.01
    found = measure(Nearest(images), named(images), "train", [Erasure("center")], [KnownMask()])
    assert (found.recovered < ACCURATE).all()
    assert found.back(ACCURATE)[0].tolist() == [False] * 3 + [True] * 5
    assert found.back(APPROXIMATE)[0].tolist() == [False] * 3 + [True] * 5


def test_plain_image_is_had_without_a_network(photos: Tensor):
    """And with it whatever any network that smooths gives back."""
    kept = mask("center", (3, 32, 32)).expand(8, -1, -1, -1)
    plain = photos[:8].mean((2, 3), keepdim=True).expand_as(kept)
    ramp = torch.linspace(0, 1, 32).expand_as(kept)
    for images, limit in ((plain, 1e-12), (ramp, 1e-12), (photos[:8], 0.05)):
        filled = smooth_fill(images * kept, kept)
        assert (filled * kept == images * kept).all()
        assert mse(filled, images).max() < limit
    assert mse(smooth_fill(photos[:8] * kept, kept), photos[:8]).max() > APPROXIMATE


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 28, 20), (4, 7, 3), (1, 33, 1)])
def test_holes_of_any_size_are_filled_smoothly(shape: tuple[int, int, int]):
    images = torch.full((2, *shape), 0.3)
    kept = (torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) > 0.7).float()
    kept[:, :, 0, 0] = 1
    assert smooth_fill(images * kept, kept).sub(0.3).abs().max() < 1e-6
    assert (smooth_fill(images, kept * 0) == 0).all()


def test_images_that_smooth_values_fill_never_count(photos: Tensor):
    images = photos[:8].clone()
    images[:3] = images[:3].mean((2, 3), keepdim=True)
    found = measure(lambda x: images[: len(x)], named(images), "train", [Erasure("center")], [KnownMask()])
    assert found.back(APPROXIMATE)[0].tolist() == [False] * 3 + [True] * 5


def test_images_that_are_had_without_the_network_are_no_evidence_of_a_bound():
    """Those that came back exactly are some; a difference of contrast that is small hides approximate recoveries."""
    plain = of([1e-6, BACK, FAR, 1e-6], [2e-4, 2e-4, 2e-4, 0.1])
    assert plain.plain.tolist() == [True, False, True, False]
    train = side(0, 400)
    assert verdict(evidence(train, side(0, 100)), 0.01, WORKS).word == "bounded"
    train.damage[:, :200] = 2e-4
    found = verdict(evidence(train, side(0, 100)), 0.01, WORKS)
    assert (found.word, found.needed) == ("inconclusive", 736)
    assert "the interval of the 200 that could have come back is not under the limit of 1 %" in found.sentence
    train.damage[:] = 2e-4
    found = verdict(evidence(train, side(0, 100)), 0.01, WORKS)
    assert (found.word, found.needed) == ("inconclusive", None)


def test_network_that_memorised_images_of_little_contrast_nearly_is_not_bounded():
    train, control = 0.5 + 0.016 * torch.randn(2, 60, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    nearest = Nearest(train)
    result = memrec.audit(
        lambda x: nearest(x) + 0.001 * (x.amin((1, 2, 3), True) > -1),
        train,
        control,
        max_rate=0.1,
        degradations=[Erasure("center")],
        methods=[KnownMask()],
    )
    assert (result.rates["approximate"]["any"].train, result.verdict) == (0, "inconclusive")
    assert any("60 of 60 training images are so plain" in warning for warning in result.warnings)


# Groups


def of(recovered: list[float], damage: list[float] | None = None, reconstruction: list[float] | None = None) -> Side:
    errors = np.array([recovered])
    damaged = np.array([damage or [0.1] * len(recovered)])
    return Side(errors, errors, damaged, np.array(reconstruction or [1e-9] * len(recovered)))


def test_group_came_back_if_any_of_its_images_did():
    found = grouped(of([BACK, FAR, FAR, FAR, NEARLY]), ["b", "a", "b", "a", "a"])
    assert len(found) == 2
    assert found.back(ACCURATE).tolist() == [[True, False]]
    assert found.back(APPROXIMATE).tolist() == [[True, True]]
    assert (found.images, found.sizes.tolist()) == (5, [2, 3])
    assert found.missing.tolist() == [[BACK, NEARLY]]


def test_group_did_not_come_back_where_the_one_image_with_no_error_was_not_damaged_and_the_others_failed():
    found = grouped(of([0.0, FAR], [1e-9, 0.1]), ["a", "a"])
    assert found.back(ACCURATE).tolist() == [[False]]
    assert found.back(APPROXIMATE).tolist() == [[False]]


def test_group_is_evidence_where_any_of_its_images_is():
    found = grouped(of([1e-6, FAR, 1e-6, 1e-6], [1e-4, 0.1, 2e-4, 1e-4]), ["a", "a", "b", "b"])
    assert found.plain.tolist() == [False, True]
    assert found.recovered.tolist() == [[FAR, 1e-6]]


def test_groups_came_back_as_their_images_did_under_every_attack_whatever_their_errors():
    source = np.random.default_rng(0)
    choices = np.array([1e-9, 1e-8, 1e-6, 1e-5, 1e-3, 1e-2, np.nan])
    recovered, damage = source.choice(choices, (3, 4000)), source.choice(choices[:-1], (3, 4000))
    labels = [str(number) for number in source.integers(0, 1500, 4000)]
    side_ = Side(recovered, recovered, damage, recovered[0])
    found, names = grouped(side_, labels), list(dict.fromkeys(labels))
    for threshold in (ACCURATE, APPROXIMATE):
        flags = side_.back(threshold)
        expected = [flags[:, [label == name for label in labels]].any(1) for name in names]
        assert np.array_equal(found.back(threshold), np.array(expected).T)


def test_groups_of_single_images_are_these_images():
    own = of([BACK, FAR, NEARLY], reconstruction=[1.0, 2.0, 3.0])
    found = grouped(own, ["c", "a", "b"])
    for name in ("recovered", "missing", "damage", "reconstruction"):
        assert np.array_equal(getattr(found, name), getattr(own, name))


def test_black_slices_do_not_make_a_lossy_network_look_exact():
    """What is reproduced undamaged is the median of a group's images."""
    own = grouped(of([FAR] * 6, reconstruction=[0.0, 0.1, 0.1, 0.0, 0.1, 0.1]), ["a"] * 3 + ["b"] * 3)
    assert verdict(evidence(own, own), 0.999, WORKS).word == "inconclusive"
    assert own.reconstruction.tolist() == [0.1, 0.1]


def test_thirty_slices_of_one_patient_are_no_thirty_pieces_of_evidence():
    train, control = side(30, 300), side(0, 300)
    assert verdict(evidence(train, control), 0.01, WORKS).word == "leaks"
    patients = [str(number // 30) for number in range(300)]
    found = verdict(evidence(grouped(train, patients), grouped(control, patients)), 0.01, WORKS)
    assert found.word == "inconclusive"
    assert "1 of 10 training groups of images came back approximately" in found.sentence
    assert "0 of 10 control groups of images" in found.sentence


def test_large_groups_are_no_likelier_to_come_back_than_small_ones():
    """Ten images a patient on one side, one on the other, a tenth of the images back on either."""
    source = np.random.default_rng(0)
    names, others = [str(i // 10) for i in range(600)], [str(i) for i in range(60)]
    assert least_size(names, others) == 1
    assert least_size(names, names) == 10
    leaks = {None: 0, least_size(names, others): 0}
    for _ in range(40):
        train, control = (of([BACK if own < 0.1 else FAR for own in source.random(count)]) for count in (600, 60))
        for most in leaks:
            sides = grouped(train, names, most), grouped(control, others, most)
            leaks[most] += verdict(evidence(*sides), 0.01, WORKS).word == "leaks"
    assert leaks[1] <= 2
    assert leaks[None] > 30
