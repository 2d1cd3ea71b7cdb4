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
from workflows.experiment.written import Degradation, Experiment
from workflows.run.audit_set import AuditSet
from workflows.run.plan import Unit, degradations_of, model_of
from workflows.run.schema import schema_of


@dataclass
class Held:
    """What a unit may need to work with: a checkpoint's network and its metadata, and the diffusion prior."""

    model: nn.Module | None = None
    checkpoint: dict[str, Any] = field(default_factory=dict)
    prior: DiffusionPrior | None = None


@dataclass(frozen=True)
class Problem:
    """The recoveries of a unit, a row each: the image that is looked for, and what its degradation left of it. `ids`
    name the images under one degradation; under the next they stand in the same order."""

    images: Tensor
    ids: list[str]
    applied: list[Degradation]
    mask: Tensor
    degraded: Tensor


def pose(unit: Unit, experiment: Experiment, audit: AuditSet) -> Problem:
    """The unit's images in their order, under one of its degradations after the other."""
    part, seed = slice(unit.start, unit.stop), experiment.seed
    images, wanted = audit.images(part), degradations_of(experiment, unit)
    ids = [image.name for image in audit.catalogue.audited[part]]
    masks = [masks_of_images(one, tuple(images.shape[1:]), seed, ids) for one in wanted]
    degraded = [
        degradations.degrade(images, mask, one.noise_std, seed, ids) for one, mask in zip(wanted, masks, strict=True)
    ]
    applied = [one for one in wanted for _ in ids]
    count = len(wanted)
    return Problem(images.repeat(count, 1, 1, 1), ids, applied, torch.cat(masks), torch.cat(degraded))


def recover_unit(
    unit: Unit, experiment: Experiment, audit: AuditSet, held: Held, device: str = "cpu", batch_size: int | None = None
) -> pa.Table:
    """The unit's rows in the schema of the results, in the order of its problem.

    What is held lies on `device`; `batch_size` recoveries are there at a time, the unit's own number where left out.
    """
    began = time.perf_counter()
    problem = pose(unit, experiment, audit)
    side_by_side = {"batch_size": batch_size or unit.batch_size, "device": device}
    found = _recover(unit, experiment, held, problem, side_by_side)
    error = metrics.mse(found.images, problem.images)
    part, count, times = slice(unit.start, unit.stop), len(unit), len(unit.degradations)
    known = audit.catalogue.audited[part]
    columns = {
        "model": [unit.model] * count,
        "checkpoint": [unit.checkpoint] * count,
        "target_loss": [unit.target_loss] * count,
        "train_loss": [None if unit.target_loss is None else held.checkpoint["loss"]] * count,
        "data_set": [unit.data_set] * count,
        "split": [image.split for image in known] * times,
        "image_id": [image.id for image in known] * times,
        "multiplicity": audit.catalogue.multiplicities[part] * times,
        "label": [image.label for image in known] * times,
        "degradation": [one.label for one in problem.applied],
        "fraction_missing": [degradations.fraction_missing(own) for own in problem.mask],
        "noise_std": [one.noise_std for one in problem.applied],
        "method": [unit.method] * count,
        "seed": [experiment.seed] * count,
        "mse": error.tolist(),
        "psnr": metrics.psnr(error).tolist(),
        "mse_missing": metrics.missing_mse(found.images, problem.images, problem.mask).tolist(),
        "status": list(found.status),
        "outer_iterations": found.iterations.tolist(),
        "evaluations": found.evaluations.tolist(),
        "mask_error": _mask_error(unit, found.mask, problem.mask),
    }
    pictured = _pictured(experiment, audit, part) * times
    pictures = {"original": problem.images, "degraded": problem.degraded, "recovered": found.images}
    for name, images in pictures.items():
        columns[name] = [_png(image) if keep else None for image, keep in zip(images, pictured, strict=True)]
    columns["seconds"] = [(time.perf_counter() - began) / count] * count
    return pa.Table.from_pydict(columns, schema=schema_of(unit.name, unit.images))


def masks_of_images(degradation: Degradation, image_shape: tuple[int, ...], seed: int, ids: list[str]) -> Tensor:
    """The mask of each image (N, C, H, W)."""
    if degradation.per_image:
        return torch.stack([degradations.mask(degradation.mask, image_shape, seed, id_) for id_ in ids])
    return degradations.mask(degradation.mask, image_shape, seed).expand(len(ids), *image_shape)


def _recover(
    unit: Unit, experiment: Experiment, held: Held, problem: Problem, side_by_side: dict[str, Any]
) -> recovery.Recovery:
    seed, settings = experiment.seed, experiment.recovery
    degraded, mask, ids, repeats = problem.degraded, problem.mask, problem.ids, len(unit.degradations)
    match unit.method:
        case "biharmonic":
            return recovery.inpaint_biharmonic(degraded, mask)
        case "ddnm":
            constants = (experiment.ddnm.steps, experiment.ddnm.eta)
            return recovery.recover_ddnm(
                held.prior, degraded, mask, ids, seed, *constants, **side_by_side, repeats=repeats
            )
        case "autoencoder_iterations":
            most = settings.max_autoencoder_iterations
            return recovery.iterate_autoencoder(held.model, degraded, most, **side_by_side)
    described = model_of(experiment, unit)
    if unit.method == "known_mask":
        options = {
            "noise_std": [one.noise_std for one in problem.applied],
            "inner_iterations": settings.inner_iterations,
        }
        return recovery.recover_known_mask(held.model, degraded, mask, described.gamma, **options, **side_by_side)
    return recovery.recover_unknown_mask(
        held.model,
        degraded,
        described.gamma,
        ids,
        seed,
        first_mask=settings.first_mask or described.first_mask,
        inner_iterations=settings.inner_iterations,
        max_iterations=settings.max_iterations,
        **side_by_side,
        repeats=repeats,
    )


def _mask_error(unit: Unit, estimated: Tensor | None, mask: Tensor) -> list[float | None]:
    """The share of wrong entries in each image's estimate of the mask; None for a method that estimates none."""
    if unit.method != "unknown_mask" or estimated is None:
        return [None] * len(mask)
    return (estimated != mask).flatten(1).double().mean(1).tolist()


def _pictured(experiment: Experiment, audit: AuditSet, part: slice) -> list[bool]:
    """Whether the results keep pictures of an image: of the first few of each split."""
    splits = [image.split for image in audit.catalogue.audited]
    first = {split: splits.index(split) for split in set(splits)}
    return [i - first[splits[i]] < experiment.pictures for i in range(part.start, part.stop)]


def _png(image: Tensor) -> dict[str, Any]:
    """An image (C, H, W) as Arrow keeps a file: grey, grey and alpha, RGB, or RGB and alpha, as it has channels."""
    pixels = image.clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, format="PNG")
    return {"bytes": buffer.getvalue(), "path": None}
