"""What a set of images guarantees, whoever made it."""

from dataclasses import replace

import pytest
import torch

from memrec_core.datasets import ImageSet
from memrec_core.errors import InputError


def images(count: int, side: int = 4) -> torch.Tensor:
    values = torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(1))
    return values.float().div(255)


def image_set(count: int = 3, **parts) -> ImageSet:
    given = {"images": images(count), "ids": tuple("abcdefgh"[:count]), "labels": (None,) * count}
    return ImageSet(**given | parts)


def test_two_images_of_one_id_are_refused():
    with pytest.raises(InputError, match="two images of one set have the id 'b'"):
        image_set(4, ids=("a", "b", "b", "a"))


@pytest.mark.parametrize("parts", [{"ids": ("a", "b")}, {"labels": (None,)}, {"images": images(2)}])
def test_each_image_has_an_id_and_a_label(parts: dict):
    with pytest.raises(InputError, match="give one of each for each image"):
        image_set(**parts)


def test_digests_are_those_of_pixels_and_shape_and_not_of_names():
    one, renamed = image_set(), image_set(ids=("x", "y", "z"))
    assert one.digests == renamed.digests
    assert one.fingerprint == renamed.fingerprint
    assert len(set(one.digests)) == 3
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in one.digests)
    flat = replace(one, images=one.images.reshape(3, 3, 2, 8))
    assert set(flat.digests).isdisjoint(one.digests)


def test_one_pixel_by_one_step_changes_digest_and_fingerprint():
    changed = images(3)
    changed[1, 2, 3, 3] = (changed[1, 2, 3, 3] * 255 + 1) % 256 / 255
    before, after = image_set(), image_set(images=changed)
    assert [a == b for a, b in zip(before.digests, after.digests, strict=True)] == [True, False, True]
    assert before.fingerprint != after.fingerprint


def test_fingerprint_changes_with_the_order():
    assert image_set().fingerprint != image_set(images=images(3).flip(0)).fingerprint
