"""The course of one recovery as pictures: the iterates (figure 1 of the paper) and the mask's estimates (figure 2)."""

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from memrec_core import metrics
from memrec_core.degradations import Degradation
from memrec_core.errors import InputError, shown, unknown
from memrec_core.recovery import Denoiser, Problem
from workflows.experiment.resolved import Experiment
from workflows.run.audit_set import load_audit_set
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import load_checkpoint
from workflows.run.images import kept_catalogues
from workflows.run.run import Run
from workflows.run.store import IMAGES
from workflows.words import percent
from workflows.work.recover import Pictures, opaque

COLUMNS = 8


class Course(NamedTuple):
    """What a method had after each outer iteration: its estimate of the image, and of the mask where it has one."""

    images: list[Tensor]
    masks: list[Tensor]


class Walk(NamedTuple):
    """How methods went from one degraded image: the courses by the methods' titles, and what the image is called."""

    name: str
    original: Tensor
    problem: Problem
    courses: dict[str, Course]


def draw_course(run: Run, degradation: str | None = None, image: int | str = 0, model: str | None = None) -> list[str]:
    """Recover one image at the lowest training loss and draw how; returns the files' names.

    Args:
        run: whose networks and images they are; the pictures go to its folder.
        degradation: the label of one; the first where left out.
        image: its number in the audit set, training images first, or its id, or split/id where both splits have it.
        model: the label of one; the first where left out.

    Raises InputError for a degradation, model or image that the run does not have, a missing checkpoint, and where none
    of the experiment's methods has a course.
    """
    name, original, problem, courses = walk_of(run, degradation, image, model)
    degraded = problem.degraded
    rows = {title: _captioned(course.images, original) for title, course in courses.items()}
    drawn = {f"report/iterates-{name}.png": _draw(rows, {"degraded": degraded, "original": original})}
    mask = problem.operator.kept
    masks = {
        title: _captioned_masks(course.masks, mask)
        for title, course in courses.items()
        if course.masks and mask is not None
    }
    if masks and mask is not None:
        drawn[f"report/mask-{name}.png"] = _draw(masks, {"degraded": degraded, "true mask": opaque(mask)})
    for file, picture in drawn.items():
        run.store.write(file, picture)
    return list(drawn)


def walk_of(run: Run, degradation: str | None = None, image: int | str = 0, model: str | None = None) -> Walk:
    """Recover one image at the lowest training loss, and keep how; arguments and errors are those of `draw_course`."""
    experiment, store = run.experiment, run.store
    chosen = _named(experiment.degradations, degradation, "degradation")
    described = _named(experiment.models, model, "model")
    kept = kept_catalogues(store, [])
    audit = load_audit_set(experiment.data_set(described.data), experiment.seed, kept.get(described.data), store.uri)
    place = _place(audit.catalogue, str(image), described.data)
    network, _ = load_checkpoint(store, described, described.ladder(experiment.training.targets)[-1])
    original, ids = audit.images(slice(place, place + 1)), [audit.catalogue.audited[place].name]
    problem = Problem(
        degraded=chosen.degrade(original, ids, experiment.seed, Pictures(audit)),
        operator=chosen.operator(audit.image_shape, ids, experiment.seed),
        noise_std=[chosen.noise_std],
        ids=ids,
        seed=experiment.seed,
    )
    courses = _courses(experiment, Denoiser(network, described.gamma, described.first_mask), problem, chosen)
    return Walk(f"{described.label}-{chosen.label}-{place}", original, problem, courses)


def check_image(run: Run, image: str) -> None:
    """Raises InputError for an image that the run does not have, of its first network's data set. A run that does not
    say which pictures it is of is taken to have it."""
    if run.experiment.models and run.store.exists(IMAGES):
        data_set = run.experiment.models[0].data
        known = kept_catalogues(run.store, []).get(data_set)
        if known is not None:
            _place(known, image, data_set)


def _place(known: Catalogue, image: str, data_set: str) -> int:
    """The number of an image in the audit set."""
    place = known.place_of(image)
    if place is not None:
        return place
    twice = [own.name for own in known.audited if own.id == image]
    if twice:
        raise InputError(f"{data_set} has several images {image}; choose --image {' or '.join(twice)}")
    if image.removeprefix("-").isdecimal():  # a number that no image has
        number = shown(image, quoted=False)
        raise InputError(
            f"the run has images 0 to {len(known) - 1} of {data_set}, not {number}; choose another --image"
        )
    if any(own.is_not_drawn and image in (own.id, own.name) for own in known.images):
        raise InputError(
            f"image {image} of {data_set} was trained on, and was not drawn to be recovered (recover_count); choose "
            "another --image"
        )
    raise unknown(f"image of {data_set}", image, [own.id for own in known.audited])


def _named(entries: Sequence, label: str | None, what: str):
    """The entry of that label; the first where there is none."""
    for entry in entries:
        if label in (None, entry.label):
            return entry
    raise unknown(what, label, [entry.label for entry in entries])


def _courses(
    experiment: Experiment, network: Denoiser, problem: Problem, degradation: Degradation
) -> dict[str, Course]:
    """By their titles the courses of the methods that use the network, step by step, and accept the degradation."""
    courses = {}
    for entry in experiment.networked:
        if entry.method.accepts(degradation):
            course = Course([], [])
            entry.method.recover(network, replace(problem, on_iteration=partial(_keep, course)))
            if course.images:
                courses[experiment.titles[entry.label]] = course
    if not courses:
        raise InputError(
            f"none of the run's methods ({', '.join(experiment.titles)}) goes step by step under {degradation.label}; "
            "choose another --degradation"
        )
    return courses


def _keep(course: Course, image: Tensor, mask: Tensor | None) -> None:
    course.images.append(image.clone())
    if mask is not None:
        course.masks.append(mask.clone())


def moments(count: int, columns: int = COLUMNS) -> list[int]:
    """At most `columns` numbers from 1 to `count`, dense at the start, the last one among them."""
    return sorted({round(t) for t in np.geomspace(1, count, columns)})


def _captioned(iterates: list[Tensor], original: Tensor) -> list[tuple[str, Tensor]]:
    return [
        (f"t = {t}\n{metrics.psnr(metrics.mse(iterates[t - 1], original)).item():.1f} dB", iterates[t - 1])
        for t in moments(len(iterates))
    ]


def _captioned_masks(masks: list[Tensor], true: Tensor) -> list[tuple[str, Tensor]]:
    return [
        (f"t = {t}\n{percent((masks[t - 1] != true).double().mean().item())} % wrong", opaque(masks[t - 1]))
        for t in moments(len(masks))
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
            axis.imshow(drawable(picture[0]), interpolation="nearest")
            axis.set_title(caption, fontsize=9)
        line[0].text(-0.12, 0.5, title, transform=line[0].transAxes, rotation=90, va="center", ha="right", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def drawable(picture: Tensor) -> np.ndarray:
    """A picture (C, H, W) as matplotlib shows it, (H, W, 3) or with alpha (H, W, 4): it has no grey with alpha, and
    stretches grey to what the picture holds of it."""
    colours = picture if picture.shape[0] > 2 else torch.cat([picture[:1].expand(3, -1, -1), picture[1:]])
    return colours.clamp(0, 1).permute(1, 2, 0).numpy()
