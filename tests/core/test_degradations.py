import pytest
import torch

from memrec_core import degradations
from memrec_core.errors import InputError

SHAPE = (3, 32, 32)


@pytest.mark.parametrize(("number", "name"), degradations.MASKS.items())
def test_papers_number_and_our_name_are_the_same_mask(number: int, name: str):
    mask = degradations.mask(number, SHAPE)
    assert torch.equal(mask, degradations.mask(name, SHAPE))
    assert torch.equal(mask, degradations.mask(str(number), SHAPE))


@pytest.mark.parametrize("name", [*degradations.PATTERNS, "random_80"])
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 32, 32), (3, 64, 64), (3, 33, 47)])
def test_mask_is_of_the_images_shape_binary_and_the_same_in_all_channels(name: str, shape: tuple[int, int, int]):
    mask = degradations.mask(name, shape)
    assert mask.shape == shape
    assert mask.dtype == torch.float32
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert (mask == mask[:1]).all()


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("center", 0.25),
        ("bottom", 0.5),
        ("border", 0.75),
        ("stripes", 0.75),
        ("checkerboard", 0.5),
        ("random_80", 0.8),
        ("rectangle", 3 / 16),
        ("disc", 0.3),
        ("left_third", 10 / 32),
    ],
)
def test_fraction_missing_is_as_described(name: str, missing: float):
    assert degradations.fraction_missing(degradations.mask(name, SHAPE)) == pytest.approx(missing, abs=1e-3)


def test_places_of_the_holes():
    assert degradations.mask("center", SHAPE)[:, 8:24, 8:24].max() == 0
    assert degradations.mask("bottom", SHAPE)[:, :16].min() == 1
    assert torch.equal(degradations.mask("border", SHAPE), 1 - degradations.mask("center", SHAPE))
    assert degradations.mask("stripes", SHAPE)[0, :, 0].tolist() == [1, 0, 0, 0] * 8
    assert degradations.mask("left_third", SHAPE)[:, :, :10].max() == 0
    assert degradations.mask("left_third", SHAPE)[:, :, 10:].min() == 1


def test_rectangle_is_off_the_centre():
    rows, columns = (degradations.mask("rectangle", SHAPE)[0] == 0).nonzero().T
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 15, 12, 27)


@pytest.mark.parametrize("shape", [(1, 32, 32), (1, 33, 47), (1, 64, 20)])
def test_disc_is_centred_round_and_of_the_same_share_in_any_image(shape: tuple[int, int, int]):
    mask = degradations.mask("disc", shape)
    assert torch.equal(mask, mask.flip(1))
    assert torch.equal(mask, mask.flip(2))
    assert shape[1] != shape[2] or torch.equal(mask, mask.transpose(1, 2))
    assert mask[0, shape[1] // 2, shape[2] // 2] == 0
    assert degradations.fraction_missing(mask) == pytest.approx(0.3, abs=0.02)
    across = [int((mask[0] == 0).sum(axis).max()) / shape[1 + axis] for axis in (0, 1)]
    assert across == pytest.approx([0.618, 0.618], abs=0.08)  # the diameter, 2 sqrt(0.3 / pi), by height and by width


def test_seed_changes_random_masks_alone():
    for name in [*degradations.MASKS.values(), "random_30"]:
        same = torch.equal(degradations.mask(name, SHAPE, seed=1), degradations.mask(name, SHAPE, seed=2))
        assert same == (not name.startswith("random"))
        assert torch.equal(degradations.mask(name, SHAPE, seed=1), degradations.mask(name, SHAPE, seed=1))


def test_papers_numbers_are_its_six_masks_alone():
    assert sorted(degradations.MASKS) == [1, 2, 3, 4, 5, 6]
    assert not {"rectangle", "disc", "left_third"} & set(degradations.MASKS.values())


@pytest.mark.parametrize("name", ["centre", "random_0", "random_100", "7", "0", ""])
def test_unknown_mask_is_named_with_the_choices(name: str):
    with pytest.raises(InputError, match="checkerboard"):
        degradations.mask(name, SHAPE)


def test_image_too_small_for_a_mask():
    with pytest.raises(InputError, match="larger images"):
        degradations.mask("center", (3, 1, 1))


def test_without_noise_missing_pixels_are_zero_and_the_rest_untouched():
    images, mask = torch.rand(2, *SHAPE), degradations.mask("center", SHAPE)
    degraded = degradations.degrade(images, mask)
    assert torch.equal(degraded[:, mask == 1], images[:, mask == 1])
    assert degraded[:, mask == 0].abs().max() == 0


def test_each_image_may_have_its_own_mask():
    masks = torch.stack([degradations.mask("center", SHAPE), degradations.mask("bottom", SHAPE)])
    images = torch.rand(2, *SHAPE)
    assert torch.equal(degradations.degrade(images, masks)[1], images[1] * masks[1])


def test_noise_has_the_deviation_that_was_asked_for_on_missing_pixels_too():
    images, mask = torch.rand(20, *SHAPE), degradations.mask("bottom", SHAPE)
    noise = degradations.degrade(images, mask, noise_std=0.1) - images * mask
    for part in (noise[:, mask == 0], noise[:, mask == 1]):
        assert part.std().item() == pytest.approx(0.1, rel=0.02)
        assert part.mean().abs() < 0.002


def test_noise_follows_the_image_not_its_place_in_the_batch():
    images, mask = torch.rand(3, *SHAPE), degradations.mask("center", SHAPE)
    batch = degradations.degrade(images, mask, 0.1, seed=1, ids=["a", "b", "c"])
    assert torch.equal(batch[1:2], degradations.degrade(images[1:2], mask, 0.1, seed=1, ids=["b"]))
    assert not torch.equal(batch[1:2], degradations.degrade(images[1:2], mask, 0.1, seed=2, ids=["b"]))
    first, second = degradations.degrade(torch.zeros(2, *SHAPE), mask, 0.1, seed=1, ids=["a", "b"])
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    ("mask_shape", "noise_std", "words"),
    [((3, 16, 16), 0.0, r"size \(3, 16, 16\)"), (SHAPE, -0.1, "-0.1"), (SHAPE, float("nan"), "nan")],
)
def test_wrong_argument_is_named(mask_shape: tuple[int, ...], noise_std: float, words: str):
    with pytest.raises(InputError, match=words):
        degradations.degrade(torch.rand(2, *SHAPE), torch.ones(mask_shape), noise_std)
