"""The work of one unit: degrade its images, recover them, measure, and lay the results out as rows."""

import io
import time
from typing import Any

import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor, nn

from memrec_core import degradations, metrics, recovery
from workflows.audit_set import AuditSet
from workflows.experiment import Experiment
from workflows.plan import Unit, degradation_of, model_of
from workflows.schema import SCHEMA


def recover_unit(
    unit: Unit, experiment: Experiment, audit: AuditSet, model: nn.Module, checkpoint: dict[str, Any]
) -> pa.Table:
    """The unit's rows in the schema of the results, in the order of its images. Runs on the model's device."""
    began = time.perf_counter()
    device = next(model.parameters()).device
    part = slice(unit.start, unit.stop)
    degradation = degradation_of(experiment, unit)
    # The images may lie in memory that actors share and can't write to: copy the unit's own.
    images = torch.tensor(audit.images[part], device=device)
    # An image of the control set may have the id of a training image.
    ids = [f"{split}/{id_}" for split, id_ in zip(audit.splits[part], audit.ids[part], strict=True)]
    mask = degradations.mask(degradation.mask, tuple(images.shape[1:]), experiment.seed).to(device)
    degraded = degradations.degrade(images, mask, degradation.noise_std, experiment.seed, ids)
    found = _recover(unit, experiment, model, degraded, mask, ids)
    error = metrics.mse(found.images, images)
    count = len(ids)
    columns = {
        "model": [unit.model] * count,
        "checkpoint": [unit.checkpoint] * count,
        "target_loss": [unit.target_loss] * count,
        "train_loss": [checkpoint["loss"]] * count,
        "data_set": [experiment.data.name] * count,
        "split": audit.splits[part],
        "image_id": audit.ids[part],
        "label": audit.labels[part],
        "degradation": [unit.degradation] * count,
        "fraction_missing": [degradations.fraction_missing(mask)] * count,
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


def _recover(
    unit: Unit, experiment: Experiment, model: nn.Module, degraded: Tensor, mask: Tensor, ids: list[str]
) -> recovery.Recovery:
    settings, described = experiment.recovery, model_of(experiment, unit)
    gamma = described.gamma
    if unit.method == "unknown_mask":
        return recovery.recover_unknown_mask(
            model,
            degraded,
            gamma,
            ids,
            experiment.seed,
            first_mask=settings.first_mask or described.first_mask,
            inner_iterations=settings.inner_iterations,
            max_iterations=settings.max_iterations,
        )
    if unit.method == "known_mask":
        noise_std = degradation_of(experiment, unit).noise_std
        return recovery.recover_known_mask(model, degraded, mask, gamma, noise_std, settings.inner_iterations)
    return recovery.iterate_autoencoder(model, degraded, settings.max_autoencoder_iterations)


def _mask_error(unit: Unit, estimated: Tensor | None, mask: Tensor, count: int) -> list[float | None]:
    """The share of wrong entries in each image's estimate of the mask; None for a method that estimates none."""
    if unit.method != "unknown_mask" or estimated is None:
        return [None] * count
    return (estimated != mask).flatten(1).double().mean(1).tolist()


def _pictured(experiment: Experiment, audit: AuditSet, part: slice) -> list[bool]:
    """Whether the results keep pictures of an image: of the first few of each split."""
    first = {split: audit.splits.index(split) for split in set(audit.splits)}
    return [i - first[audit.splits[i]] < experiment.pictures for i in range(part.start, part.stop)]


def _png(image: Tensor) -> dict[str, Any]:
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}
