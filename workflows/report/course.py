"""The course of one recovery as pictures: the iterates (figure 1 of the paper) and the mask's estimates (figure 2)."""

import io
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from memrec_core import degradations, metrics, recovery
from memrec_core.errors import InputError, unknown
from workflows.experiment.written import Experiment
from workflows.run.audit_set import load_audit_set
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.images import kept_catalogues
from workflows.run.store import Store
from workflows.work.recover import masks_of_images

COLUMNS = 8


def draw_course(
    experiment: Experiment, store: Store, degradation: str | None = None, image: int = 0, model: str | None = None
) -> list[str]:
    """Recover image number `image` of the audit set at the lowest training loss and draw how; returns the files' names.

    Raises InputError for a degradation, model or image that the run does not have, and for a missing checkpoint.
    """
    chosen = _named(experiment.degradations, degradation, "degradation")
    described = _named(experiment.models, model, "model")
    kept = kept_catalogues(store, [])
    audit = load_audit_set(experiment.data_set(described.data), experiment.seed, kept.get(described.data), store.uri)
    if image >= len(audit):
        raise InputError(
            f"the run has images 0 to {len(audit) - 1} of {described.data}, not {image}; choose another --image"
        )
    network, _ = load_checkpoint(store, described.label, min(experiment.training.targets))
    original = audit.images(slice(image, image + 1))
    id_ = audit.catalogue.audited[image].name
    mask = masks_of_images(chosen, tuple(original.shape[1:]), experiment.seed, [id_])
    degraded = degradations.degrade(original, mask, chosen.noise_std, experiment.seed, [id_])
    estimates, masks = _unknown_mask_course(network, degraded, described, experiment, id_)
    rival: list[Tensor] = []
    settings = experiment.recovery
    recovery.iterate_autoencoder(network, degraded, settings.max_autoencoder_iterations, on_iteration=rival.append)
    name = f"{described.label}-{chosen.label}-{image}"
    rows = {
        "unknown mask": _captioned("t", estimates, original),
        "AE iterations": _captioned("t", rival, original),
    }
    ends = {"degraded": degraded, "original": original}
    store.write(f"report/iterates-{name}.png", _draw(rows, ends))
    wrong = [f"t = {t}\n{100 * (found != mask).double().mean():.1f} % wrong" for t, found in masks]
    shown = {"mask": list(zip(wrong, [_opaque(found) for _, found in masks], strict=True))}
    store.write(f"report/mask-{name}.png", _draw(shown, {"degraded": degraded, "true mask": _opaque(mask)}))
    return [f"report/iterates-{name}.png", f"report/mask-{name}.png"]


def _named(entries: Sequence, label: str | None, what: str):
    """The entry of that label; the first where there is none."""
    for entry in entries:
        if label in (None, entry.label):
            return entry
    raise unknown(what, label, [entry.label for entry in entries])


def _unknown_mask_course(
    network: nn.Module, degraded: Tensor, described, experiment: Experiment, id_: str
) -> tuple[list[Tensor], list[tuple[int, Tensor]]]:
    """The estimate of the image after each outer iteration, and a choice of those of the mask with their number."""
    estimates: list[Tensor] = []
    masks: list[Tensor] = []

    def keep(image: Tensor, mask: Tensor) -> None:
        estimates.append(image.clone())
        masks.append(mask.clone())

    settings = experiment.recovery
    recovery.recover_unknown_mask(
        network,
        degraded,
        described.gamma,
        [id_],
        experiment.seed,
        first_mask=settings.first_mask or described.first_mask,
        inner_iterations=settings.inner_iterations,
        max_iterations=settings.max_iterations,
        on_iteration=keep,
    )
    return estimates, [(t, masks[t - 1]) for t in _moments(len(masks))]


def _moments(count: int) -> list[int]:
    """At most COLUMNS numbers from 1 to `count`, dense at the start, the last one among them."""
    return sorted({round(t) for t in np.geomspace(1, count, COLUMNS)})


def _captioned(symbol: str, iterates: list[Tensor], original: Tensor) -> list[tuple[str, Tensor]]:
    return [
        (f"{symbol} = {t}\n{metrics.psnr(metrics.mse(iterates[t - 1], original)).item():.1f} dB", iterates[t - 1])
        for t in _moments(len(iterates))
    ]


def _draw(rows: dict[str, list[tuple[str, Tensor]]], ends: dict[str, Tensor]) -> bytes:
    """A PNG: in each row the first of `ends`, the captioned pictures (1, C, H, W), and the last of `ends`."""
    (first, start), (last, end) = ends.items()
    columns = max(map(len, rows.values())) + 2
    figure = Figure(figsize=(1.4 * columns, 1.95 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (title, pictures) in zip(axes, rows.items(), strict=True):
        for axis in line:
            axis.axis("off")
        placed = [(first, start), *pictures]
        for axis, (caption, picture) in [*zip(line, placed, strict=False), (line[-1], (last, end))]:
            axis.imshow(_drawable(picture[0]), interpolation="nearest")
            axis.set_title(caption, fontsize=9)
        line[0].text(-0.12, 0.5, title, transform=line[0].transAxes, rotation=90, va="center", ha="right", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _opaque(masks: Tensor) -> Tensor:
    """Masks (N, C, H, W) without that of alpha, which would hide what it says is missing."""
    return masks[:, :-1] if masks.shape[1] in (2, 4) else masks


def _drawable(picture: Tensor) -> np.ndarray:
    """A picture (C, H, W) as matplotlib shows it, (H, W, 3) or with alpha (H, W, 4): it has no grey with alpha, and
    stretches grey to what the picture holds of it."""
    colours = picture if picture.shape[0] > 2 else torch.cat([picture[:1].expand(3, -1, -1), picture[1:]])
    return colours.clamp(0, 1).permute(1, 2, 0).numpy()
