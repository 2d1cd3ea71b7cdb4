"""What the public functions take: each check once, and the sentence for what is wrong.

Images, masks and networks are torch's; a list or a numpy array in their place is refused, for a guess at its range,
order of axes or precision would go unseen into the results. Figures, such as the errors of `metrics`, may be either.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from math import inf
from numbers import Integral, Real
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor

from memrec_core.errors import InputError, shown

OVERSHOOT = 0.5
"""How far outside [0, 1] a clean image may be. Resampling overshoots at edges, by less; images in [-1, 1], in
0 to 255 or standardised, for which no threshold here means what it should, go further."""
FARTHEST = 10.0
"""How far from 0 a degraded image may be. Noise as wide as the whole range gets there once in 1e18 draws, and an image
in 0 to 255 in any pixel that is not nearly black."""
CLEARLY, OUTNUMBERED, DEVIATIONS = 0.1, 1.05, 5
"""How far from 0 a value is clearly of one sign, and by what factor, and how many standard deviations of chance, the
negative ones must be the more for another range to be certain."""
LARGEST_SIDE = 2**16
"""Of an image, in pixels; and most channels."""
LARGEST_SEED = 2**63 - 1


def described(value: object) -> str:
    """A value as part of a sentence; tensors and arrays by their type and shape."""
    if isinstance(value, Tensor):
        place = "" if value.device.type == "cpu" else f" on {value.device}"
        return f"a {dtype_name(value.dtype)} tensor of shape {tuple(value.shape)}{place}"
    if isinstance(value, np.ndarray):
        return f"a numpy array of {value.dtype} and shape {value.shape}"
    return " ".join(shown(value).split())


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def check_number(name: str, value: object, expected: str, accept: Callable[[float], bool]) -> None:
    """Raise InputError unless `value` is a real number that `accept` accepts; `expected` says which are."""
    if not _is_number(value) or not accept(float(value)):
        raise InputError(f"{name} {described(value)} is not {expected}")


def check_counts(**counts: object) -> None:
    """Raise InputError unless each is a whole number of at least 1."""
    for name, value in counts.items():
        if not _is_count(value) or value < 1:
            raise InputError(f"{name} {described(value)} is not a whole number of at least 1")


def listed(values: Any) -> list | None:
    """The entries of a list or of anything like one; None where it is not, or has no order."""
    if isinstance(values, str | bytes | Set | Mapping):
        return None
    try:
        return list(values)
    except TypeError:
        return None


def is_whole(numbers: object) -> TypeGuard[Sequence[int]]:
    """Whether it is a list or another sequence of whole numbers, or of none."""
    if not isinstance(numbers, Sequence) or isinstance(numbers, str | bytes):
        return False
    return all(_is_count(number) for number in numbers)


def check_seed(seed: object) -> None:
    """Raise InputError unless `seed` is a whole number in [0, 2^63), as in an experiment file."""
    if not _is_count(seed) or not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"seed {described(seed)} is not a whole number from 0 to {LARGEST_SEED}, such as 42")


def check_called(**functions: object) -> None:
    """Raise InputError unless each is a function, or None."""
    for name, value in functions.items():
        if value is not None and not callable(value):
            raise InputError(f"{name} must be a function or None, not {described(value)}")


def check_flag(name: str, value: object) -> None:
    """Raise InputError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, not {described(value)}")


def check_batch(images: object, what: str) -> Tensor:
    """`images`. Raises InputError unless they are a tensor of shape (N, C, H, W), float32 or float64; N may be 0."""
    if (
        not isinstance(images, Tensor)
        or images.ndim != 4
        or images.dtype not in (torch.float32, torch.float64)
        or images.layout != torch.strided
        or images.is_meta
        or 0 in images.shape[1:]
    ):
        hint = "; torch.from_numpy(...).float() makes one" if isinstance(images, np.ndarray) else ""
        raise InputError(
            f"{what} must be a tensor of floats (float32 or float64) of shape (N, C, H, W), not "
            f"{described(images)}{hint}"
        )
    return images


def check_clean(images: object, what: str) -> None:
    """Raise InputError unless `images` is a batch of images in [0, 1]."""
    batch = check_batch(images, what)
    _check_range(batch, what, -OVERSHOOT, 1 + OVERSHOOT, "divide 0 to 255 by 255")
    check_sign(batch, what)


def check_degraded(images: object, what: str) -> None:
    """Raise InputError unless `images` is a batch of images of the range [0, 1], with noise perhaps."""
    advice = "degrade images in [0, 1]: divide 0 to 255 by 255"
    _check_range(check_batch(images, what), what, -FARTHEST, FARTHEST, advice)


def check_sign(images: Tensor, what: str) -> None:
    """Raise InputError where clearly negative values outnumber the clearly positive ones.

    Noise on images in [0, 1] that is as often negative as positive never comes to that, however strong it is: of black
    images half the values are negative. Images in [-0.5, 0.5] or [-1, 1] do, unless they are bright.
    """
    below, above = int((images < -CLEARLY).sum()), int((images > CLEARLY).sum())
    if below > OUTNUMBERED * above and below - above > DEVIATIONS * (below + above) ** 0.5:
        shares = [f"{count / images.numel():.0%}" for count in (below, above)]
        raise InputError(
            f"{what}: {shares[0]} of all values are below {-CLEARLY:g} and {shares[1]} above {CLEARLY:g}, and expected "
            "are pixels in the range [0, 1]; add 0.5 to [-0.5, 0.5], or halve [-1, 1] and add 0.5"
        )


def _check_range(images: Tensor, what: str, low: float, high: float, advice: str) -> None:
    least, most = torch.aminmax(images.detach().flatten(1), dim=1)
    wrong = ~((least >= low) & (most <= high))  # where a value is NaN, both bounds are
    if not wrong.any():
        return
    first = int(wrong.nonzero()[0])
    if not (least[first].isfinite() and most[first].isfinite()):
        raise InputError(f"{what}: image {first} has values that are not finite; expected pixels in the range [0, 1]")
    raise InputError(
        f"{what}: image {first} has values from {least[first]:g} to {most[first]:g}, and expected are pixels in the "
        f"range [0, 1]; {advice}"
    )


def check_image_shape(shape: object) -> tuple[int, int, int]:
    """`shape` as a tuple. Raises InputError unless it is (channels, height, width), whole numbers from 1 on."""
    if not is_whole(shape) or len(shape) != 3 or not all(1 <= side <= LARGEST_SIDE for side in shape):
        raise InputError(
            f"image shape {described(shape)} is not (channels, height, width), three whole numbers from 1 to "
            f"{LARGEST_SIDE}, such as (3, 32, 32)"
        )
    channels, height, width = map(int, shape)
    return channels, height, width


def ids_of(ids: object, count: int, repeats: int = 1) -> list[str | int]:
    """An id for each of `count` images: `ids`, `repeats` times in a row; their indices where there are none.

    Raises InputError unless there is one id for each image, a string or a whole number, and no two are the same.
    """
    check_counts(repeats=repeats)
    if count % repeats:
        raise InputError(f"{count} images are not {repeats} times the same ones; give repeats as it is")
    if ids is None:
        places: list[str | int] = [*range(count // repeats)]
        return places * repeats
    own = listed(ids)
    if own is None:
        raise InputError(f"ids must be a list with one id for each image, not {described(ids)}")
    if len(own) * repeats != count:
        times = "" if repeats == 1 else f", {repeats} times,"
        raise InputError(f"{len(own)} ids{times} do not fit {count} images; give one id for each image")
    if odd := [id_ for id_ in own if not isinstance(id_, str) and not _is_count(id_)]:
        raise InputError(f"ids must be strings or whole numbers, not {described(odd[0])}")
    seen: set[str] = set()
    for id_ in map(str, own):  # what random numbers follow from
        if id_ in seen:
            raise InputError(f"two images have the id {shown(id_)}, and would get the same random numbers; make it one")
        seen.add(id_)
    return own * repeats


def masks_of(mask: object, images: Tensor) -> Tensor:
    """`mask`, (C, H, W) or (N, C, H, W), as one for each image, of the images' type and on their device.

    Raises InputError where it is of another size, or has other entries than 0 and 1 (False and True will do).
    """
    binary = check_binary(mask)
    if binary.shape not in (images.shape[1:], images.shape):
        raise InputError(
            f"the mask is of size {tuple(binary.shape)} but the images are of size {tuple(images.shape[1:])}; "
            "give one for the images' (channels, height, width)"
        )
    return binary.to(images).expand_as(images)


def check_binary(mask: object) -> Tensor:
    """`mask`. Raises InputError unless it is a tensor of zeros and ones."""
    if not isinstance(mask, Tensor) or mask.is_meta or mask.layout != torch.strided:
        raise InputError(f"the mask must be a tensor (C, H, W) of zeros and ones, not {described(mask)}")
    if mask.dtype != torch.bool and not ((mask == 0) | (mask == 1)).all():
        raise InputError("the mask has other entries than 0 (missing) and 1 (kept); use mask > 0.5, say")
    return mask


def check_device(device: Any) -> None:
    """Raise InputError unless `device` is one that torch has here, or None."""
    if device is None:
        return
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device {described(device)} is none that torch knows, such as cpu or cuda:0") from error
    if place.type not in ("cpu", "cuda", "meta"):
        raise InputError(f"device {place} is none that memrec works on, which are cpu and cuda (ROCm's too); try cpu")
    gpus = torch.cuda.device_count() if place.type == "cuda" else inf
    if place.type == "meta" or (place.index or 0) >= gpus:
        raise InputError(f"device {place} is not there: torch sees {torch.cuda.device_count()} GPUs here; try cpu")


def _is_count(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, numpy's too; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, numpy's too; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)
