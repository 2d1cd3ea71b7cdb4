"""Recovery of training images from degraded ones with the trained autoencoder, and the rivals: one method a file."""

from memrec_core.recovery.adaptive import Adaptive, recover_adaptive
from memrec_core.recovery.autoencoder_iterations import AutoencoderIterations, iterate_autoencoder
from memrec_core.recovery.biharmonic import Biharmonic, inpaint_biharmonic
from memrec_core.recovery.ddnm import Ddnm, recover_ddnm
from memrec_core.recovery.known_mask import (
    KnownMask,
    KnownOperator,
    recover_known_mask,
    recover_known_operator,
)
from memrec_core.recovery.method import Basis, Denoiser, Method, Problem
from memrec_core.recovery.result import Recovery
from memrec_core.recovery.unknown_mask import UnknownMask, recover_unknown_mask
from memrec_core.registry import Registry

METHODS = Registry[type[Method]](
    "method",
    {
        method.name: method
        for method in (Adaptive, UnknownMask, KnownMask, KnownOperator, AutoencoderIterations, Ddnm, Biharmonic)
    },
)
"""By name, in the order in which tables and pages show them."""

__all__ = [
    "METHODS",
    "Adaptive",
    "AutoencoderIterations",
    "Basis",
    "Biharmonic",
    "Ddnm",
    "Denoiser",
    "KnownMask",
    "KnownOperator",
    "Method",
    "Problem",
    "Recovery",
    "UnknownMask",
    "inpaint_biharmonic",
    "iterate_autoencoder",
    "recover_adaptive",
    "recover_ddnm",
    "recover_known_mask",
    "recover_known_operator",
    "recover_unknown_mask",
]
