"""The work of one unit: degrade its images, recover them, measure, and lay the results out as rows."""

import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor, nn

from memrec_core import __version__, attractors, degradations, metrics, recovery
from memrec_core.degradations import Degradation, Operator
from memrec_core.diffusion_prior import DiffusionPrior
from memrec_core.reconstruction import reconstruction_error
from memrec_core.recovery import Denoiser, Method
from memrec_core.recovery.method import denoiser
from memrec_core.recovery.result import beliefs_of, check_found
from workflows.experiment.models import Model
from workflows.experiment.plain import plain_settings
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import AuditSet
from workflows.run.planning import pictured
from workflows.run.schema import DEVICE, MEMREC, METHOD, TORCH, schema_of
from workflows.run.unit import Unit

ATTRACTORS = ("spectral_radius", "basin")
"""The columns about the images as attractors of the network."""


@dataclass(frozen=True)
class Held:
    """What a unit's method rests on, on its device: a network, a generic prior, or nothing; and the loss that the
    network was trained to, and by which recipe, where that is known."""

    basis: Denoiser | DiffusionPrior | None = None
    train_loss: float | None = None
    recipe: str | None = None

    @classmethod
    def of(cls, model: Model, network: nn.Module, metadata: Mapping[str, Any]) -> "Held":
        """A network of the experiment, and what its checkpoint says of it."""
        return cls(Denoiser(network, model.gamma, model.first_mask), metadata["loss"], metadata.get("recipe"))


@dataclass(frozen=True)
class Posed:
    """The recoveries of a unit, a row each: the image that is looked for, its degradation, and what that left of it.
    `ids` name the images under one degradation; under the next they stand in the same order. `operators` has one for
    all images under each degradation."""

    images: Tensor
    ids: list[str]
    applied: list[Degradation]
    operators: list[Operator]
    degraded: Tensor


class Pictures:
    """The pictures of a data set, for a degradation that takes something of another one."""

    def __init__(self, audit: AuditSet) -> None:
        self.audit = audit

    def __len__(self) -> int:
        return len(self.audit.pictures)

    def __getitem__(self, places: Any) -> Tensor:
        """Some of them, (K, C, H, W)."""
        return self.audit.pictured(np.asarray(places))


def pose(unit: Unit, experiment: Experiment, audit: AuditSet) -> Posed:
    """The unit's images in their order, under one of its degradations after the other."""
    part, seed = slice(unit.start, unit.stop), experiment.seed
    images, others = audit.images(part), Pictures(audit)
    ids = [image.name for image in audit.catalogue.audited[part]]
    wanted = [experiment.degradation(label) for label in unit.degradations]
    operators = [one.operator(audit.image_shape, ids, seed) for one in wanted]
    degraded = [
        degradations.degraded_by(one, operator, images, ids, seed, others)
        for one, operator in zip(wanted, operators, strict=True)
    ]
    return Posed(
        images.repeat(len(wanted), 1, 1, 1),
        ids,
        [one for one in wanted for _ in ids],
        operators,
        torch.cat(degraded),
    )


def recover_unit(
    unit: Unit, experiment: Experiment, audit: AuditSet, held: Held, device: str = "cpu", batch_size: int | None = None
) -> pa.Table:
    """The unit's rows in the schema of the results, in the order in which they are posed.

    Args:
        unit: which images, under which degradations, by which method.
        experiment: what the unit's names stand for.
        audit: the images of the unit's data set.
        held: what the unit's method rests on, on `device`.
        device: cpu or cuda.
        batch_size: how many recoveries are there at a time; the unit's own number where left out.
    """
    began = time.perf_counter()
    posed, method = pose(unit, experiment, audit), experiment.method(unit.method)
    problem = recovery.Problem(
        degraded=posed.degraded,
        operator=degradations.joined(posed.operators, [len(posed.ids)] * len(posed.operators)),
        noise_std=[one.noise_std for one in posed.applied],
        ids=posed.ids,
        seed=experiment.seed,
        repeats=len(unit.degradations),
        batch_size=batch_size or unit.batch_size,
        device=device,
    )
    found = method.recover(held.basis, problem)
    check_found(unit.method, found, problem.degraded)
    part, count, times = slice(unit.start, unit.stop), len(unit), len(unit.degradations)
    known, error = audit.catalogue.audited[part], metrics.mse(found.images, posed.images)
    columns = {
        "model": [unit.model] * count,
        "checkpoint": [unit.checkpoint] * count,
        "target_loss": [unit.target_loss] * count,
        "train_loss": [held.train_loss] * count,
        "recipe": [held.recipe] * count,
        "data_set": [unit.data_set] * count,
        "split": [image.split for image in known] * times,
        "image_id": [image.id for image in known] * times,
        "multiplicity": audit.catalogue.multiplicities[part] * times,
        "label": [image.label for image in known] * times,
        "train_mse": _fitted(posed, held, problem),
        "degradation": [one.label for one in posed.applied],
        "noise_std": [one.noise_std for one in posed.applied],
        "method": [unit.method] * count,
        "seed": [experiment.seed] * count,
        "mse": error.tolist(),
        "psnr": metrics.psnr(error).tolist(),
        "status": list(found.status),
        "outer_iterations": found.iterations.tolist(),
        "evaluations": found.evaluations.tolist(),
        **_of_the_missing(posed, found, estimated=not method.told),
        **{name: [None] * count if own is None else own.tolist() for name, own in beliefs_of(found).items()},
    }
    asked = unit.method == experiment.attractors
    columns |= _as_attractors(posed, held, method, problem) if asked else dict.fromkeys(ATTRACTORS, [None] * count)
    wanted = experiment.pictures if unit.pictures is None else unit.pictures
    keeps = pictured(audit.catalogue, unit, wanted)
    pictures = {
        "original": posed.images,
        "degraded": posed.degraded,
        "recovered": found.images,
        "estimated_mask": None if method.told or found.mask is None else opaque(found.mask),
    }
    places = [*range(unit.start, unit.stop)] * times
    for name, images in pictures.items():
        columns[name] = [
            None if images is None or place not in keeps else _png(images[row]) for row, place in enumerate(places)
        ]
    columns["seconds"] = [(time.perf_counter() - began) / count] * count
    return pa.Table.from_pydict(columns, schema=schema_of(unit.name, unit.images, _made_by(method, device)))


def _made_by(method: Method, device: str) -> dict[bytes, str]:
    """What a unit's file keeps of what made it; two kinds of device, or two versions of torch, differ in last bits."""
    return {
        MEMREC: __version__,
        TORCH: str(torch.__version__),
        DEVICE: device if device == "cpu" else f"{device} ({torch.cuda.get_device_name(device)})",
        METHOD: json.dumps({"name": method.name, **plain_settings(method)}),
    }


def _of_the_missing(posed: Posed, found: recovery.Recovery, estimated: bool) -> dict[str, list[float | None]]:
    """The columns about missing entries, and about the estimate of which they are; null where a degradation erases
    none."""
    columns: dict[str, list[float | None]] = {"fraction_missing": [], "mse_missing": [], "mask_error": []}
    for number, operator in enumerate(posed.operators):
        rows, kept = slice(number * len(posed.ids), (number + 1) * len(posed.ids)), operator.kept
        mask = None if found.mask is None or not estimated else found.mask[rows]
        own = {} if kept is None else _of_masks(posed.images[rows], found.images[rows], kept, mask)
        for name, values in columns.items():
            values += own.get(name, [None] * len(posed.ids))
    return columns


def _fitted(posed: Posed, held: Held, problem: recovery.Problem) -> list[float] | list[None]:
    """How well the network gives back each undamaged image, the same under each degradation."""
    if not isinstance(held.basis, Denoiser):
        return [None] * len(posed.images)
    images = posed.images[: len(posed.ids)]
    return reconstruction_error(held.basis.model, images, problem.batch_size, problem.device).tolist() * problem.repeats


def _as_attractors(
    posed: Posed, held: Held, method: recovery.Method, problem: recovery.Problem
) -> dict[str, list[float]]:
    """The columns about the images as attractors of the network: found once, and the same under each degradation. The
    basin is by the method's gamma, where it has one of its own."""
    network, images = denoiser(held.basis), posed.images[: len(posed.ids)]
    place: dict[str, Any] = {"batch_size": min(problem.batch_size or len(images), 256), "device": problem.device}
    radius = attractors.spectral_radius(network.model, images, seed=problem.seed, **place)
    gamma = getattr(method, "gamma", None) or network.gamma
    basin = attractors.basin(network.model, images, gamma, problem.seed, posed.ids, **place)
    return dict(zip(ATTRACTORS, (own.tolist() * problem.repeats for own in (radius, basin)), strict=True))


def _of_masks(images: Tensor, found: Tensor, kept: Tensor, estimate: Tensor | None) -> dict[str, list[float]]:
    columns = {
        "fraction_missing": [degradations.fraction_missing(own) for own in kept],
        "mse_missing": metrics.missing_mse(found, images, kept).tolist(),
    }
    return columns if estimate is None else columns | {"mask_error": metrics.mask_error(estimate, kept).tolist()}


def opaque(masks: Tensor) -> Tensor:
    """Masks (N, C, H, W) without that of alpha, which would hide what it says is missing."""
    return masks[:, :-1] if masks.shape[1] in (2, 4) else masks


def _png(image: Tensor) -> dict[str, Any]:
    """An image (C, H, W) as Arrow keeps a file: grey, grey and alpha, RGB, or RGB and alpha, as it has channels."""
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}
