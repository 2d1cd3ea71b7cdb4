"""The science of memrec: autoencoders, degradations, and the recovery of training images.

    import memrec_core as memrec

    photos = memrec.datasets.load("photos", count=48, size=32, seed=42)
    found = memrec.recover_unknown_mask(model, degraded, gamma=0.5, ids=photos.ids)

Names are loaded as they are first used, so that importing the package costs nothing. It knows torch, never Ray, a
cluster or a run's files. Source of the method: Abitbul & Dar, "How Much Training Data is Memorized in Overparameterized
Autoencoders? An Inverse Problem Perspective on Memorization Evaluation" (ECML PKDD 2024); equation and algorithm
numbers in this package are that paper's.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors, which don't see what __getattr__ loads
    from memrec_core import (
        attractors,
        auditing,
        autoencoders,
        checkpoints,
        datasets,
        degradations,
        metrics,
        recovery,
        training,
    )
    from memrec_core.auditing import Audit, audit
    from memrec_core.autoencoders import build, given
    from memrec_core.datasets import ImageSet
    from memrec_core.degradations import Blur, Custom, Downsample, Erasure, degrade, mask
    from memrec_core.errors import InputError, TrainingError
    from memrec_core.metrics import Rate, mse, psnr, recovery_rate
    from memrec_core.recovery import (
        Adaptive,
        AutoencoderIterations,
        Biharmonic,
        Ddnm,
        Denoiser,
        KnownMask,
        KnownOperator,
        Method,
        Problem,
        Recovery,
        UnknownMask,
        inpaint_biharmonic,
        iterate_autoencoder,
        recover_adaptive,
        recover_ddnm,
        recover_known_mask,
        recover_known_operator,
        recover_unknown_mask,
    )
    from memrec_core.training import train

__version__ = "0.2.0.dev0"
__all__ = [
    "Adaptive",
    "Audit",
    "AutoencoderIterations",
    "Biharmonic",
    "Blur",
    "Custom",
    "Ddnm",
    "Denoiser",
    "Downsample",
    "Erasure",
    "ImageSet",
    "InputError",
    "KnownMask",
    "KnownOperator",
    "Method",
    "Problem",
    "Rate",
    "Recovery",
    "TrainingError",
    "UnknownMask",
    "__version__",
    "attractors",
    "audit",
    "auditing",
    "autoencoders",
    "build",
    "checkpoints",
    "datasets",
    "degradations",
    "degrade",
    "given",
    "inpaint_biharmonic",
    "iterate_autoencoder",
    "mask",
    "metrics",
    "mse",
    "psnr",
    "recover_adaptive",
    "recover_ddnm",
    "recover_known_mask",
    "recover_known_operator",
    "recover_unknown_mask",
    "recovery",
    "recovery_rate",
    "train",
    "training",
]

_HOMES = {
    "Adaptive": "recovery",
    "Audit": "auditing",
    "AutoencoderIterations": "recovery",
    "Biharmonic": "recovery",
    "Blur": "degradations",
    "Custom": "degradations",
    "Ddnm": "recovery",
    "Denoiser": "recovery",
    "Downsample": "degradations",
    "Erasure": "degradations",
    "ImageSet": "datasets",
    "InputError": "errors",
    "KnownMask": "recovery",
    "KnownOperator": "recovery",
    "Method": "recovery",
    "Problem": "recovery",
    "Rate": "metrics",
    "Recovery": "recovery",
    "TrainingError": "errors",
    "UnknownMask": "recovery",
    "audit": "auditing",
    "build": "autoencoders",
    "degrade": "degradations",
    "given": "autoencoders",
    "inpaint_biharmonic": "recovery",
    "iterate_autoencoder": "recovery",
    "mask": "degradations",
    "mse": "metrics",
    "psnr": "metrics",
    "recover_adaptive": "recovery",
    "recover_ddnm": "recovery",
    "recover_known_mask": "recovery",
    "recover_known_operator": "recovery",
    "recover_unknown_mask": "recovery",
    "recovery_rate": "metrics",
    "train": "training",
}
"""The module below this package that each name is from; the other public names are modules themselves."""


def __getattr__(name: str) -> Any:
    """A public name, at its first use."""
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        return value
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
