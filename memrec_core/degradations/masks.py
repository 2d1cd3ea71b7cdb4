"""Masks of missing pixels.

The paper shows its six masks only as pictures. Ours follow what its results say of them: 1, 2 and 4 are large connected
holes, which generic inpainting can't fill; 3, 5 and 6 are scattered or thin ones, where it comes near. The others are
ours: connected holes that no mask of the paper is like.
"""

import math
import re
from collections.abc import Callable

import torch
from torch import Tensor

from memrec_core.arguments import check_binary, check_image_shape, check_seed, described
from memrec_core.errors import InputError, in_a_line, unknown
from memrec_core.registry import Registry
from memrec_core.seeding import generator


def _center(height: int, width: int) -> Tensor:
    """A centred square hole of half the height and width."""
    plane = torch.ones(height, width)
    plane[height // 4 : height - height // 4, width // 4 : width - width // 4] = 0
    return plane


def _bottom(height: int, width: int) -> Tensor:
    """The lower half is missing."""
    plane = torch.ones(height, width)
    plane[height // 2 :] = 0
    return plane


def _border(height: int, width: int) -> Tensor:
    """Only the centred square of half the height and width is kept."""
    return 1 - _center(height, width)


def _stripes(height: int, width: int) -> Tensor:
    """Horizontal stripes: of each period of an eighth of the height, the first quarter is kept."""
    period = max(height // 8, 2)
    kept = torch.arange(height) % period < max(period // 4, 1)
    return kept.float()[:, None].expand(height, width).clone()


def _checkerboard(height: int, width: int) -> Tensor:
    """Every other cell of a board of 16 x 16 cells is missing."""
    rows, columns = torch.arange(height) * 16 // height, torch.arange(width) * 16 // width
    return ((rows[:, None] + columns[None, :]) % 2 == 0).float()


def _rectangle(height: int, width: int) -> Tensor:
    """A rectangle off the centre, three eighths of the height and half of the width, is missing."""
    plane, (top, left) = torch.ones(height, width), (height // 8, 3 * width // 8)
    plane[top : top + max(3 * height // 8, 1), left : left + max(width // 2, 1)] = 0
    return plane


def _disc(height: int, width: int) -> Tensor:
    """A centred disc of 30 % of the pixels is missing; an ellipse where the image is no square."""
    rows, columns = ((2 * torch.arange(size).double() + 1 - size) / size for size in (height, width))
    return (rows[:, None] ** 2 + columns**2 >= 4 * 0.3 / math.pi).float()


def _left_third(height: int, width: int) -> Tensor:
    """The left third is missing."""
    plane = torch.ones(height, width)
    plane[:, : width // 3] = 0
    return plane


def _random(height: int, width: int, percent: int, seed: int, image_id: str | int | None) -> Tensor:
    """That per cent of the pixels is missing, chosen at random; the count is exact."""
    missing = round(height * width * percent / 100)
    purpose = ("mask", percent) if image_id is None else ("mask", percent, image_id)
    plane = torch.ones(height * width)
    plane[torch.randperm(height * width, generator=generator(seed, *purpose))[:missing]] = 0
    return plane.view(height, width)


PATTERNS = Registry[Callable[[int, int], Tensor]](
    "mask",
    {
        "center": _center,
        "bottom": _bottom,
        "border": _border,
        "stripes": _stripes,
        "checkerboard": _checkerboard,
        "rectangle": _rectangle,
        "disc": _disc,
        "left_third": _left_third,
    },
)
"""The patterns: a function of height and width that returns a plane (H, W) of 1 where a pixel is kept and 0 where it is
missing. Its docstring's first sentence says what it leaves out."""

HOLES = {
    "center": "a centred square",
    "bottom": "the lower half",
    "border": "a wide border",
    "stripes": "stripes",
    "checkerboard": "a checkerboard",
    "rectangle": "a rectangle",
    "disc": "a disc",
    "left_third": "the left third",
}
"""What hides an image where a pattern's pixels are missing, in words; a pattern from outside may add its own."""

_RANDOM = re.compile(r"random_(\d{1,2})")

MASKS = {1: "center", 2: "bottom", 3: "random_80", 4: "border", 5: "stripes", 6: "checkerboard"}
"""The numbers that the paper gives its masks, and our names for them."""


def mask(
    name: str | int, image_shape: tuple[int, int, int], seed: int = 42, image_id: str | int | None = None
) -> Tensor:
    """A mask of shape (C, H, W), float32: 1 where a pixel is kept, 0 where it is missing in all channels.

    `name` is a pattern, `random_P` with P per cent of the pixels missing, or a number from 1 to 6, the paper's.
    The seed matters to random masks alone; with `image_id` they are that image's own. Raises InputError for an unknown
    name, a shape that is none, or one too small for the mask.
    """
    channels, height, width = check_image_shape(image_shape)
    check_seed(seed)
    name = mask_name(name)
    if random := _RANDOM.fullmatch(name):
        plane = _random(height, width, int(random[1]), seed, image_id)
    else:
        plane = _plane(name, height, width)
    if not 0 < plane.mean() < 1:
        raise InputError(f"mask {name!r} has no missing or no kept pixel at {height} x {width}; use larger images")
    return plane.expand(channels, height, width).clone()


def mask_name(name: str | int) -> str:
    """The name of a mask, for its name or the paper's number. Raises InputError where there is no such mask."""
    text = str(name)
    if odd := [own for own in PATTERNS if own.isdecimal() or _RANDOM.fullmatch(own)]:
        raise InputError(f"the pattern {odd[0]!r} in PATTERNS has the name of another mask; choose another")
    if text.isdecimal() and len(text) < 10 and int(text) in MASKS:
        return MASKS[int(text)]
    if text not in PATTERNS and not is_random(text):
        others = "another per cent from 1 to 99, or the paper's number, 1 to 6"
        raise InputError(f"{unknown('mask', text, [*PATTERNS, 'random_80'])}, {others}")
    random = _RANDOM.fullmatch(text)
    return text if random is None else f"random_{int(random[1])}"


def is_random(name: str) -> bool:
    """Whether a mask is drawn at random, so that each image may have its own."""
    random = _RANDOM.fullmatch(name)
    return random is not None and int(random[1]) > 0


def _plane(name: str, height: int, width: int) -> Tensor:
    try:
        plane, again = PATTERNS[name](height, width), PATTERNS[name](height, width)
    except Exception as error:  # of a function of the user's own
        raise InputError(
            f"the function of mask {name!r} failed ({type(error).__name__}: {in_a_line(error)}); mend it"
        ) from error
    if not isinstance(plane, Tensor) or plane.shape != (height, width):
        raise InputError(
            f"mask {name!r} is {described(plane)} for images of {height} x {width}; its function must return a "
            "tensor (height, width) of zeros and ones"
        )
    check_binary(plane)
    if not torch.equal(plane, again):
        raise InputError(f"the function of mask {name!r} returns another one each time; let it return one mask a size")
    return plane.float()


def hole(name: str) -> str:
    """What hides an image behind a mask: "a centred square"; the mask's name where it has no words."""
    random = _RANDOM.fullmatch(name)
    return f"random pixels, {int(random[1])} % of them" if random else HOLES.get(name, f"the mask {name}")


def descriptions() -> dict[str, str]:
    """What each mask leaves out, by the names that `mask` takes; 80 stands for any per cent."""
    return {name: pattern.__doc__ or "" for name, pattern in {**PATTERNS, "random_80": _random}.items()}


def fraction_missing(mask: Tensor) -> float:
    """The share of entries that are missing, in [0, 1]. Raises InputError for what is no mask of zeros and ones."""
    check_binary(mask)
    if not mask.numel():
        raise InputError(f"a mask needs entries, and {described(mask)} has none")
    return 1.0 - mask.double().mean().item()
