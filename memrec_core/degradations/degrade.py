"""The degradation y = H x + noise, equation (3), by a mask at hand."""

from collections.abc import Sequence
from math import inf

from torch import Tensor

from memrec_core.arguments import check_clean, check_number, check_seed, ids_of, masks_of
from memrec_core.degradations.noise import add_noise


def degrade(
    images: Tensor,
    mask: Tensor,
    noise_std: float = 0.0,
    seed: int = 42,
    ids: Sequence[str | int] | None = None,
) -> Tensor:
    """Erase the masked pixels of images, then add Gaussian noise to every entry.

    An image gets the same noise in whatever batch it stands.

    Args:
        images: (N, C, H, W) float32 or float64, in [0, 1].
        mask: (C, H, W), or (N, C, H, W) for one of its own for each image: 1 kept, 0 missing.
        noise_std: the noise's standard deviation, for pixels in [0, 1].
        seed: of the noise, from 0 on.
        ids: the images' names, which the noise depends on; their indices where left out.

    Raises InputError for images outside [0, 1] (give or take what resampling does), a mask of another size or not of
    zeros and ones, negative noise, and where there is not one id, a string or a whole number, for each image.
    """
    check_clean(images, "images")
    check_number("noise_std", noise_std, "a standard deviation, a finite number from 0 on", lambda std: 0 <= std < inf)
    check_seed(seed)
    each = ids_of(ids, len(images))
    return add_noise(images * masks_of(mask, images), noise_std, each, seed)
