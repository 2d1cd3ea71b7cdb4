"""What is done to an image: y = H x + noise (equation (3)), H an erasure of pixels."""

from memrec_core.degradations.degrade import degrade
from memrec_core.degradations.masks import MASKS, descriptions, fraction_missing, mask

__all__ = ["MASKS", "degrade", "descriptions", "fraction_missing", "mask"]
