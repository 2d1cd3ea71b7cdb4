"""The attacks of an audit, and what they measure on one side's images."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from memrec_core import metrics
from memrec_core.auditing.evidence import Attack, Side
from memrec_core.auditing.smoothing import smooth_fill
from memrec_core.datasets.image_set import ImageSet
from memrec_core.degradations import Degradation, Erasure, degraded_by, shape_of
from memrec_core.errors import InputError
from memrec_core.network import Network
from memrec_core.reconstruction import reconstruction_error
from memrec_core.recovery import Adaptive, AutoencoderIterations, Denoiser, KnownMask, Method, Problem, UnknownMask
from memrec_core.recovery.result import NON_FINITE, check_found

DEGRADATIONS: tuple[Degradation, ...] = (Erasure("center"), Erasure("bottom"), Erasure("random_80"))
METHODS: tuple[Method, ...] = (
    Adaptive(),
    UnknownMask(max_iterations=20),
    KnownMask(),
    AutoencoderIterations(max_iterations=200),
)
"""Of an audit that names none. Of a network of which nothing is known the paper's methods have a gamma of 1; `adaptive`
finds its own."""


def attacks_of(degradations: Sequence[Degradation], methods: Sequence[Method]) -> tuple[Attack, ...]:
    """Each method under each degradation that it makes sense under, in the order in which `measure` has them.

    Raises InputError where there is none, or one twice.
    """
    found = [Attack(method.name, own.label) for own in degradations for method in methods if method.accepts(own)]
    if not found:
        raise InputError(
            "no method makes sense under a degradation; give methods that recover erased pixels, and masks"
        )
    if twice := [attack for attack in found if found.count(attack) > 1]:
        raise InputError(f"two attacks are {twice[0]}; give each method and each degradation once")
    return tuple(found)


def measure(
    model: Network,
    images: ImageSet,
    split: str,
    degradations: Sequence[Degradation] = DEGRADATIONS,
    methods: Sequence[Method] = METHODS,
    seed: int = 42,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    told: Callable[[Attack], None] | None = None,
) -> Side:
    """The errors of one side's images under all attacks.

    Args:
        model: takes images (N, C, H, W) in [0, 1] to such.
        images: one side's.
        split: train or control; with the ids it says what random numbers an image gets, as in a run.
        degradations: what is done to the images.
        methods: what recovers them.
        seed: of all random numbers.
        batch_size: how many images are side by side; all where left out.
        device: where they are then; on the CPU where left out.
        told: called with each attack once it is done.

    Raises InputError as the methods do.
    """
    ids = [f"{split}/{id_}" for id_ in images.ids]
    found: list[list[np.ndarray]] = []
    for degradation in degradations:
        operator = degradation.operator(shape_of(images.images), ids, seed)
        if operator.kept is None:
            raise InputError(f"an audit erases pixels, which {degradation.label} does not; give masks alone")
        problem = Problem(
            degraded_by(degradation, operator, images.images, ids, seed, images.images),
            operator,
            [degradation.noise_std] * len(ids),
            ids,
            seed,
            batch_size=batch_size,
            device=device,
        )
        damage = damage_of(problem.degraded, images.images, operator.kept)
        for method in methods:
            if method.accepts(degradation):
                result = method.recover(Denoiser(model), problem)
                check_found(method.name, result, problem.degraded)
                recovered = known(_numbers(metrics.mse(result.images, images.images)), result.status)
                missing = _numbers(metrics.missing_mse(result.images, images.images, operator.kept))
                found.append([recovered, missing, _numbers(damage)])
                if told is not None:
                    told(Attack(method.name, degradation.label))
    recovered, missing, damage = (np.stack(errors) for errors in zip(*found, strict=True))
    return Side(recovered, missing, damage, _numbers(reconstruction_error(model, images.images, batch_size, device)))


def known(errors: np.ndarray, status: np.ndarray) -> np.ndarray:
    """The errors (N,), NaN where a recovery left the finite numbers and what it had before is no recovery."""
    return np.where((status == NON_FINITE) & (errors >= metrics.APPROXIMATE), np.nan, errors)


def damage_of(degraded: Tensor, images: Tensor, kept: Tensor) -> Tensor:
    """The least MSE that is had without the network, (N,) float64: of the degraded images themselves, and with smooth
    values in their holes. `kept` is the masks, (N, C, H, W)."""
    return torch.minimum(*(metrics.mse(own, images) for own in (degraded, smooth_fill(degraded, kept))))


def _numbers(errors: Tensor) -> np.ndarray:
    return errors.double().cpu().numpy()
