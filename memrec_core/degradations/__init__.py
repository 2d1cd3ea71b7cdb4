"""What is done to an image: y = H x + noise (equation (3)), H a known linear operator; one idea a file.

A new degradation is a file with a frozen dataclass that satisfies `Degradation`, and its line in `DEGRADATIONS`; a new
fill likewise in `FILLS`, and a new pattern of missing pixels is a function in `PATTERNS`.
"""

from memrec_core.degradations.blur import Blur
from memrec_core.degradations.custom import Custom
from memrec_core.degradations.degradation import Degradation, degrade_linearly, degraded_by, shape_of
from memrec_core.degradations.degrade import degrade
from memrec_core.degradations.downsample import Downsample
from memrec_core.degradations.erasure import Erasure
from memrec_core.degradations.fills import FILLS, Colour, Fill, Noise, Others, Patch, Zeros
from memrec_core.degradations.masks import MASKS, PATTERNS, descriptions, fraction_missing, mask
from memrec_core.degradations.noise import noise_label
from memrec_core.degradations.operator import Masking, Operator, Shape, joined
from memrec_core.registry import Registry

DEGRADATIONS = Registry[type]("degradation", {kind.key: kind for kind in (Erasure, Blur, Downsample, Custom)})
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
    "degrade_linearly",
    "degraded_by",
    "descriptions",
    "fraction_missing",
    "joined",
    "mask",
    "noise_label",
    "shape_of",
]
