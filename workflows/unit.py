"""The work of one unit: degrade its images, recover them, measure, and lay the results out as rows."""

import io
import time
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor, nn

from memrec_core import degradations, metrics, recovery
from memrec_core.diffusion_prior import DiffusionPrior
from workflows.audit_set import AuditSet
from workflows.experiment import Degradation, Experiment
from workflows.plan import Unit, degradation_of, model_of
from workflows.schema import SCHEMA


@dataclass
class Held:
    """What a unit may need to work with: a checkpoint's network and its metadata, and the diffusion prior."""

    model: nn.Module | None = None
    checkpoint: dict[str, Any] = field(default_factory=dict)
    prior: DiffusionPrior | None = None


def recover_unit(unit: Unit, experiment: Experiment, audit: AuditSet, held: Held, device: str = "cpu") -> pa.Table:
    """The unit's rows in the schema of the results, in the order of its images. What is held lies on `device`."""
    began = time.perf_counter()
    part = slice(unit.start, unit.stop)
    degradation = degradation_of(experiment, unit)
    images = audit.images(part, device)
    # An image of the control set may have the id of a training image.
    ids = [f"{split}/{id_}" for split, id_ in zip(audit.catalogue.splits[part], audit.catalogue.ids[part], strict=True)]
    mask = masks_of_images(degradation, tuple(images.shape[1:]), experiment.seed, ids).to(device)
    degraded = degradations.degrade(images, mask, degradation.noise_std, experiment.seed, ids)
    found = _recover(unit, experiment, held, degraded, mask, ids)
    error = metrics.mse(found.images, images)
    count = len(ids)
    columns = {
        "model": [unit.model] * count,
        "checkpoint": [unit.checkpoint] * count,
        "target_loss": [unit.target_loss] * count,
        "train_loss": [None if unit.target_loss is None else held.checkpoint["loss"]] * count,
        "data_set": [unit.data_set] * count,
        "split": audit.catalogue.splits[part],
        "image_id": audit.catalogue.ids[part],
        "label": audit.catalogue.labels[part],
        "degradation": [unit.degradation] * count,
        "fraction_missing": [degradations.fraction_missing(own) for own in mask],
        "noise_std": [degradation.noise_std] * count,
        "method": [unit.method] * count,
        "seed": [experiment.seed] * count,
        "mse": error.tolist(),
        "psnr": metrics.psnr(error).tolist(),
        "mse_missing": metrics.missing_mse(found.images, images, mask).tolist(),
        "status": list(found.status),
        "outer_iterations": found.iterations.tolist(),
        "evaluations": found.evaluations.tolist(),
        "mask_error": _mask_error(unit, found.mask, mask, count),
    }
    wanted = _pictured(experiment, audit, part)
    for name, tensor in (("original", images), ("degraded", degraded), ("recovered", found.images)):
        columns[name] = [_png(image) if keep else None for image, keep in zip(tensor.cpu(), wanted, strict=True)]
    columns["seconds"] = [(time.perf_counter() - began) / count] * count
    return pa.Table.from_pydict(columns, schema=SCHEMA)


def masks_of_images(degradation: Degradation, image_shape: tuple[int, ...], seed: int, ids: list[str]) -> Tensor:
    """The mask of each image (N, C, H, W)."""
    if degradation.per_image:
        return torch.stack([degradations.mask(degradation.mask, image_shape, seed, id_) for id_ in ids])
    return degradations.mask(degradation.mask, image_shape, seed).expand(len(ids), *image_shape)


def _recover(
    unit: Unit, experiment: Experiment, held: Held, degraded: Tensor, mask: Tensor, ids: list[str]
) -> recovery.Recovery:
    seed, settings = experiment.seed, experiment.recovery
    match unit.method:
        case "biharmonic":
            return recovery.inpaint_biharmonic(degraded, mask)
        case "ddnm":
            constants = experiment.ddnm
            return recovery.recover_ddnm(held.prior, degraded, mask, ids, seed, constants.steps, constants.eta)
        case "autoencoder_iterations":
            return recovery.iterate_autoencoder(held.model, degraded, settings.max_autoencoder_iterations)
    described = model_of(experiment, unit)
    if unit.method == "known_mask":
        noise_std = degradation_of(experiment, unit).noise_std
        inner = settings.inner_iterations
        return recovery.recover_known_mask(held.model, degraded, mask, described.gamma, noise_std, inner)
    return recovery.recover_unknown_mask(
        held.model,
        degraded,
        described.gamma,
        ids,
        seed,
        first_mask=settings.first_mask or described.first_mask,
        inner_iterations=settings.inner_iterations,
        max_iterations=settings.max_iterations,
    )


def _mask_error(unit: Unit, estimated: Tensor | None, mask: Tensor, count: int) -> list[float | None]:
    """The share of wrong entries in each image's estimate of the mask; None for a method that estimates none."""
    if unit.method != "unknown_mask" or estimated is None:
        return [None] * count
    return (estimated != mask).flatten(1).double().mean(1).tolist()


def _pictured(experiment: Experiment, audit: AuditSet, part: slice) -> list[bool]:
    """Whether the results keep pictures of an image: of the first few of each split."""
    first = {split: audit.catalogue.splits.index(split) for split in set(audit.catalogue.splits)}
    return [i - first[audit.catalogue.splits[i]] < experiment.pictures for i in range(part.start, part.stop)]


def _png(image: Tensor) -> dict[str, Any]:
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}
