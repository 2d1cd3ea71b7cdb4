"""From a network and the images of both sides to what follows, in memory; memrec audit does the same as a run."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from memrec_core.arguments import check_batch, check_called, check_device, check_number, check_seed, listed
from memrec_core.arguments import described as described_value
from memrec_core.auditing.as_json import as_json, plain
from memrec_core.auditing.attacks import DEGRADATIONS, METHODS, attacks_of, measure
from memrec_core.auditing.distinct import Duplicates, distinct
from memrec_core.auditing.evidence import Attack, Comparison, Evidence, by_any, by_attack
from memrec_core.auditing.exchangeability import Exchangeability, exchangeability
from memrec_core.auditing.groups import by_group, check_apart, with_groups
from memrec_core.auditing.instrument import Instrument, check_instrument, in_words
from memrec_core.auditing.membership import Membership, membership
from memrec_core.auditing.network import loaded, remarks_on, settled
from memrec_core.auditing.order import fingerprint, names_of, ordered
from memrec_core.auditing.verdict import BOUNDED, INCONCLUSIVE, LEAKS, Verdict, in_words_of_plain, verdict
from memrec_core.autoencoders import forms
from memrec_core.autoencoders.given import Wrapped
from memrec_core.datasets.image_set import ImageSet, remarks_on_both
from memrec_core.degradations import Degradation, shape_of
from memrec_core.errors import InputError
from memrec_core.metrics import KINDS
from memrec_core.network import device_of
from memrec_core.recovery import Method

MAX_RATE = 0.01
LEAST_RATE = 1e-9
CHANNELS = range(1, 5)
MANY = 0.2
"""A share of the control images that no network gives back exactly which it has not seen."""
STATUS = {BOUNDED: 0, LEAKS: 3, INCONCLUSIVE: 4}
"""The exit status of the command for each verdict."""


@dataclass(frozen=True)
class Subject:
    """What was audited, in words that a report repeats: the network, how it was loaded, its digest if it has one, what
    identifies each side's pixels, and what a reader must know of how the network is applied."""

    model: Mapping[str, Any]
    train_fingerprint: str
    control_fingerprint: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """The answer, and all that it rests on.

    `verdict` is leaks, bounded or inconclusive, and `sentence` says it with its numbers; `rates` how many images came
    back under each attack and under any, `membership` whether an error tells who was trained on.
    """

    subject: Subject
    evidence: Evidence
    found: Verdict
    max_rate: float
    instrument: Instrument
    exchangeability: Exchangeability
    duplicates: Duplicates
    settings: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        return self.found.word

    @property
    def sentence(self) -> str:
        return self.found.sentence

    @cached_property
    def rates(self) -> dict[str, dict[Attack | str, Comparison]]:
        """By kind of recovery, accurate and approximate, and by attack, with `any` for all together."""
        return {
            kind: {**by_attack(self.evidence, threshold), "any": by_any(self.evidence, threshold)}
            for kind, threshold in KINDS.items()
        }

    @cached_property
    def membership(self) -> dict[str, Membership]:
        """By the error on the erased pixels under each attack, and, as `reconstruction`, by that of the network's
        output for the undamaged image."""
        train, control = self.evidence.train, self.evidence.control
        by_errors = {
            str(attack): membership(own, others)
            for attack, own, others in zip(self.evidence.attacks, train.missing, control.missing, strict=True)
        }
        return {**by_errors, "reconstruction": membership(train.reconstruction, control.reconstruction)}

    @property
    def warnings(self) -> list[str]:
        """What of these images weakens the figures, a sentence each."""
        return [*_warnings(self)]

    @property
    def exit_status(self) -> int:
        return STATUS[self.verdict]

    def to_json(self) -> str:
        """The document that audit.schema.json describes."""
        return as_json(self)


def audit(
    model: str | Callable[..., Any],
    train: Tensor | ImageSet,
    control: Tensor | ImageSet,
    *,
    weights: str | Path | None = None,
    range: tuple[float, float] = (0.0, 1.0),
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    output: str | None = None,
    deterministic: str | Callable[..., Any] | None = None,
    allow_torch: bool = False,
    train_groups: Sequence[str] | None = None,
    control_groups: Sequence[str] | None = None,
    max_rate: float = MAX_RATE,
    degradations: Sequence[Degradation] = DEGRADATIONS,
    methods: Sequence[Method] = METHODS,
    seed: int = 42,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    told: Callable[[Attack], None] | None = None,
) -> Audit:
    """How much `model` gives away of the images that it was trained on.

    Args:
        model: a module, any function of a batch, the name of a function that builds one, or `diffusers:FOLDER`; see
            `autoencoders.forms.named`.
        train: images that it was trained on, (N, C, H, W) in [0, 1], or an ImageSet, whose ids random numbers follow
            from, as in a run; else they follow from the pixels. Their order changes nothing.
        control: others, of the same kind, that it was not trained on.
        weights: as `autoencoders.given` has them, and so are range, mean, std, output, deterministic and allow_torch.
            What a network needs to be certain, such as its own method `reconstruct`, and a multiple that the sides of
            its images must have, are found where they are left out.
        train_groups: what each training image is of, such as a patient; a group's images count as one.
        control_groups: likewise of control images; no group is on both sides.
        max_rate: the share of training images that may come back, in (0, 1).
        degradations: what is done to the images.
        methods: what recovers them; each is one attack under each degradation that it makes sense under.
        seed: of all random numbers.
        batch_size: how many images are side by side; all where left out.
        device: where the network, the very module that was handed over too, and its images are from then on; where its
            weights are if left out.
        told: called with each attack once it is done.

    Raises InputError for invalid images or settings, and for what is not a network, or one that clearly was trained
    with another range of pixels.
    """
    check_number("max_rate", max_rate, "a share between 0 and 1, such as 0.01", lambda value: LEAST_RATE <= value < 1)
    _check_kinds(degradations, methods)
    check_seed(seed)
    check_device(device)
    check_called(told=told)
    attacks = attacks_of(degradations, methods)
    own, others = _sides(train, control, train_groups, control_groups)
    named = forms.named(model, weights, range=range, mean=mean, std=std, output=output, deterministic=deterministic)
    named = settled(named, shape_of(own.images))
    network = loaded(named, own.images, allow_torch)
    remarks = (*remarks_on(named, network, own.images), *of_pictures(_said(train, control)))
    device = device_of(network) if device is None else device
    network = network.to(device)
    prints = fingerprint(own.digests), fingerprint(others.digests)
    subject = Subject(described(network, named.weights), *prints, remarks)
    own, others, left_out = distinct(own, others)
    place: dict[str, Any] = {"batch_size": batch_size, "device": device, "told": told}
    found = measure(network, own, "train", degradations, methods, seed, **place)
    found_control = measure(network, others, "control", degradations, methods, seed, **place)
    if train_groups is not None:
        found, found_control, own, others = by_group(found, found_control, own, others)
    evidence = Evidence(attacks, found, found_control)
    return conclude(subject, evidence, own, others, left_out, max_rate, degradations, methods, seed)


def conclude(
    subject: Subject,
    evidence: Evidence,
    train: ImageSet,
    control: ImageSet,
    left_out: Duplicates,
    max_rate: float,
    degradations: Sequence[Degradation],
    methods: Sequence[Method],
    seed: int,
) -> Audit:
    """What follows from the errors of the images of both sides, each picture once, and what shows that it can be
    trusted. Where there are groups, `evidence` is of these, and `train` and `control` have an image of each."""
    instrument = check_instrument(train, degradations, methods, seed)
    alike = exchangeability(train.images, control.images, seed)
    return Audit(
        subject,
        evidence,
        verdict(evidence, max_rate, instrument, alike.alike),
        max_rate,
        instrument,
        alike,
        left_out,
        {"seed": seed, "methods": {own.name: settings_of(own) for own in methods}},
    )


def _warnings(audit: Audit) -> Iterator[str]:
    yield from audit.subject.remarks
    if not audit.instrument.works:
        yield in_words(audit.instrument)
    if (plain := in_words_of_plain(audit.evidence)) is not None:
        yield plain
    alike = audit.exchangeability
    if alike.reason is not None:
        yield f"Whether training and control images are of a kind is not known: {alike.reason}."
    elif not alike.alike and alike.auc is not None:
        yield (
            "Training and control images can be told apart as pictures, without the network (AUC "
            f"{alike.auc:.2f}): a difference between them need not be memory."
        )
    copies = audit.duplicates
    if left_out := copies.crossing + copies.train + copies.control:
        yield (
            f"{left_out} images were left out: {copies.crossing} control images that are near-duplicates of training "
            f"images, and {copies.train} training and {copies.control} control images that are copies of others."
        )
    counts = audit.rates["accurate"]["any"]
    if counts.control_rate >= MANY:
        yield (
            f"{counts.control:,} of {counts.control_count:,} control images came back exactly; were they trained on "
            "too?"
        )


def of_pictures(remarks: Iterable[str]) -> Iterator[str]:
    """What was said of the pictures as they were read, as sentences of a report."""
    return (f"Of the pictures: {remark}." for remark in remarks)


def _said(train: Tensor | ImageSet, control: Tensor | ImageSet) -> Iterable[str]:
    """That of image sets; of tensors nothing is known."""
    if isinstance(train, ImageSet) and isinstance(control, ImageSet):
        return remarks_on_both(train, control)
    return ()


def settings_of(method: Method) -> dict[str, Any]:
    """A method's settings as JSON keeps them."""
    return {field.name: plain(getattr(method, field.name)) for field in fields(method)}


def described(network: Wrapped, weights: str | Path | None) -> dict[str, Any]:
    """What a report says of the network."""
    return {**network.given.spec, "weights": None if weights is None else str(weights), "trusted_code": False}


def _check_kinds(degradations: object, methods: object) -> None:
    """Raise InputError unless both are lists of what they are called."""
    for name, given, is_one, example in (
        ("degradations", degradations, lambda own: hasattr(own, "degrade"), 'memrec.Erasure("center")'),
        ("methods", methods, lambda own: hasattr(own, "recover"), "memrec.KnownMask()"),
    ):
        entries = listed(given)
        if entries is None or not all(is_one(own) and not isinstance(own, type) for own in entries):
            raise InputError(f"{name} {described_value(given)} is no list of such; give one, such as [{example}]")


def _sides(train: Any, control: Any, train_groups: Any, control_groups: Any) -> tuple[ImageSet, ImageSet]:
    """Both sides' images in an order of their own, with their groups, if any, as labels."""
    own, others = _image_set(train, "training"), _image_set(control, "control")
    if shape_of(own.images) != shape_of(others.images):
        raise InputError(
            f"training images are {shape_of(own.images)} and control images {shape_of(others.images)} as (channels, "
            "height, width); give images of one shape"
        )
    if (train_groups is None) != (control_groups is None):
        raise InputError("train_groups and control_groups belong together; give both, or neither")
    if train_groups is not None:
        own, others = with_groups(own, train_groups, "training"), with_groups(others, control_groups, "control")
        check_apart(own, others)
    return ordered(own), ordered(others)


def _image_set(images: Tensor | ImageSet, what: str) -> ImageSet:
    """Checked. Images that are given alone have their places as ids."""
    batch = check_batch(images.images if isinstance(images, ImageSet) else images, f"{what} images")
    if not len(batch):
        raise InputError(f"there are no {what} images; give (N, C, H, W) with N of 1 and more")
    if batch.shape[1] not in CHANNELS and batch.shape[3] in CHANNELS:
        raise InputError(
            f"{what} images have {batch.shape[1]} channels, and {batch.shape[3]} columns; give them with the channels "
            "first, (N, C, H, W)"
        )
    if not (batch.min() >= 0 and batch.max() <= 1):
        raise InputError(
            f"{what} images have values from {batch.min():g} to {batch.max():g}, and expected are pixels in [0, 1]; "
            "give them so, and say with range or mean and std what the network takes"
        )
    if isinstance(images, ImageSet):
        return replace(images, images=batch.detach().float().cpu())
    unnamed = ImageSet(batch.detach().float().cpu(), tuple(map(str, range(len(batch)))), (None,) * len(batch))
    return replace(unnamed, ids=names_of(unnamed.digests))
