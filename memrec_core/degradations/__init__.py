"""What is done to an image: y = H x + noise (equation (3)), H a known linear operator; one idea a file.

A new degradation is a file with a frozen dataclass that satisfies `Degradation`, and its line in `DEGRADATIONS`; a new
fill likewise in `FILLS`, and a new pattern of missing pixels is a function in `PATTERNS`.
"""

from memrec_core.degradations.blur import Blur
from memrec_core.degradations.custom import Custom
from memrec_core.degradations.degradation import Degradation, shape_of
from memrec_core.degradations.degrade import degrade
from memrec_core.degradations.downsample import Downsample
from memrec_core.degradations.erasure import Erasure
from memrec_core.degradations.fills import FILLS, Colour, Fill, Noise, Others, Patch, Zeros
from memrec_core.degradations.masks import MASKS, PATTERNS, descriptions, fraction_missing, mask
from memrec_core.degradations.operator import Masking, Operator, Shape, joined

DEGRADATIONS: dict[str, type] = {kind.key: kind for kind in (Erasure, Blur, Downsample, Custom)}
"""The kinds of degradations, by the key that an experiment's entry begins with."""

__all__ = [
    "DEGRADATIONS",
    "FILLS",
    "MASKS",
    "PATTERNS",
    "Blur",
    "Colour",
    "Custom",
    "Degradation",
    "Downsample",
    "Erasure",
    "Fill",
    "Masking",
    "Noise",
    "Operator",
    "Others",
    "Patch",
    "Shape",
    "Zeros",
    "degrade",
    "descriptions",
    "fraction_missing",
    "joined",
    "mask",
    "shape_of",
]
