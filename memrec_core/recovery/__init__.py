"""Recovery of training images from degraded ones with the trained autoencoder, and the rivals: one method a file."""

from memrec_core.recovery.autoencoder_iterations import iterate_autoencoder
from memrec_core.recovery.biharmonic import inpaint_biharmonic
from memrec_core.recovery.ddnm import recover_ddnm
from memrec_core.recovery.known_mask import recover_known_mask, recover_known_operator
from memrec_core.recovery.result import Recovery
from memrec_core.recovery.unknown_mask import recover_unknown_mask

__all__ = [
    "Recovery",
    "inpaint_biharmonic",
    "iterate_autoencoder",
    "recover_ddnm",
    "recover_known_mask",
    "recover_known_operator",
    "recover_unknown_mask",
]
