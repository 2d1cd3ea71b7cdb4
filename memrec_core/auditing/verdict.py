"""What follows from an audit's evidence, in a word and a sentence; never that a network is safe."""

from dataclasses import dataclass
from math import ceil, log, log1p

import numpy as np

from memrec_core.auditing.evidence import Comparison, Evidence, Side, by_any
from memrec_core.auditing.instrument import Instrument, in_words
from memrec_core.metrics import ACCURATE, APPROXIMATE, clopper_pearson

LEAKS, BOUNDED, INCONCLUSIVE = "leaks", "bounded", "inconclusive"
CONFIDENCE = 0.95
THRESHOLDS = {"accurate": ACCURATE, "approximate": APPROXIMATE}
ERROR = (1 - CONFIDENCE) / len(THRESHOLDS)
"""Of each of the two tests (Bonferroni): of networks that treat both sides alike at most 5 % are said to leak."""
LEAST_P = 1e-300
MOST_IMAGES = 10**7
"""Where more would be needed, no number of images is named."""


@dataclass(frozen=True)
class Verdict:
    """The `word`: `leaks` where training images came back, and significantly more than control images did; `bounded`
    where the upper end of the rate's interval is under the limit; `inconclusive` where neither is so. `kind` is the
    recovery that decided, accurate or approximate, and `sentence` says it all; `needed` how many training images in all
    would bound the rate, if they came back as these did, where the verdict is open and that can be said."""

    word: str
    kind: str
    sentence: str
    needed: int | None = None


def verdict(evidence: Evidence, max_rate: float, instrument: Instrument, alike: bool | None = None) -> Verdict:
    """Leaks are looked for among accurate and approximate recoveries; a bound is one of accurate recoveries where the
    network can give them at all, and of approximate ones otherwise; with an instrument that does not work there is
    none. Where the sides are not `alike`, see exchangeability.py, a difference of approximate recoveries need not be
    memory, but may be of plainer pictures, and shows no leak."""
    found = {kind: by_any(evidence, threshold) for kind, threshold in THRESHOLDS.items()}
    for kind, counts in found.items():
        if counts.p < ERROR and kind == "approximate" and alike is False:
            return Verdict(INCONCLUSIVE, kind, _of_other_pictures(counts, kind, evidence))
        if counts.p < ERROR:
            return Verdict(LEAKS, kind, _leaks(counts, kind, evidence))
    kind = reachable(evidence)
    if kind is None:
        return Verdict(INCONCLUSIVE, "approximate", _lossy(evidence, found["approximate"]))
    counts = found[kind]
    if not instrument.works:
        return Verdict(
            INCONCLUSIVE, kind, f"Inconclusive: {_came_back(counts, kind, evidence)}. {in_words(instrument)}"
        )
    if counts.interval[1] < max_rate:
        return Verdict(BOUNDED, kind, _bounded(counts, kind, evidence, max_rate))
    needed = images_needed(counts, max_rate)
    return Verdict(INCONCLUSIVE, kind, _open(counts, kind, evidence, max_rate, needed), needed)


def reachable(evidence: Evidence) -> str | None:
    """Which recoveries the network can give: those whose threshold its own reconstruction meets for half of the
    training images. What it can't reproduce undamaged it can't give back either, and that is no sign of safety."""
    floor = median(evidence.train)
    return next((kind for kind, threshold in THRESHOLDS.items() if floor < threshold), None)


def median(side: Side) -> float:
    """Of the errors of reconstruction; infinite where most are no numbers."""
    return float(np.median(np.nan_to_num(side.reconstruction, nan=np.inf, posinf=np.inf)))


def images_needed(counts: Comparison, max_rate: float) -> int | None:
    """How many training images bound the rate under `max_rate`, if so large a share of them comes back as of these.
    None where it is too large, or no sensible number is enough."""
    if counts.rate >= max_rate:
        return None
    count = max(counts.train_count, ceil(log((1 - CONFIDENCE) / 2) / log1p(-max_rate)))
    while count < MOST_IMAGES:
        if clopper_pearson(ceil(counts.rate * count), count, CONFIDENCE)[1] < max_rate:
            return count
        count = ceil(count * 1.02)
    return None


def _leaks(counts: Comparison, kind: str, evidence: Evidence) -> str:
    return (
        f"This network leaks: {_came_back(counts, kind, evidence)}; the difference has p {_p(counts.p)} (Fisher's "
        "exact test)."
    )


def _of_other_pictures(counts: Comparison, kind: str, evidence: Evidence) -> str:
    return (
        f"Inconclusive: {_came_back(counts, kind, evidence)}; that is significantly more, with p {_p(counts.p)}, but "
        "the two sides can be told apart as pictures, and plainer ones come back from any network; give control images "
        "of the same kind."
    )


def _bounded(counts: Comparison, kind: str, evidence: Evidence, max_rate: float) -> str:
    return (
        f"Bounded under these attacks: {_came_back(counts, kind, evidence)}; the upper end of the interval is under "
        f"the limit of {_per_cent(max_rate)}. Other attacks may recover more."
    )


def _open(counts: Comparison, kind: str, evidence: Evidence, max_rate: float, needed: int | None) -> str:
    more = "" if needed is None else f"; {needed:,} training images of which no larger share comes back would bound it"
    return (
        f"Inconclusive: {_came_back(counts, kind, evidence)}; that is not significantly more than of the control "
        f"images, and the interval is not under the limit of {_per_cent(max_rate)}{more}."
    )


def _lossy(evidence: Evidence, counts: Comparison) -> str:
    floor = median(evidence.train)
    return (
        f"Inconclusive: the network reproduces half of the undamaged training images with an MSE of {floor:.1e} or "
        f"more, and what it can't reproduce hardly comes back, whatever it memorised "
        f"({_came_back(counts, 'approximate', evidence)}); the membership figures say more."
    )


def _came_back(counts: Comparison, kind: str, evidence: Evidence) -> str:
    low, high = counts.interval
    exactly = "exactly" if kind == "accurate" else "approximately"
    images = "images" if evidence.train.sizes is None else "groups of images"
    attacks = len(evidence.attacks)
    return (
        f"{counts.train:,} of {counts.train_count:,} training {images} came back {exactly} ({_per_cent(low)} to "
        f"{_per_cent(high)}), {counts.control:,} of {counts.control_count:,} control {images}, by "
        f"{'the one attack' if attacks == 1 else f'any of {attacks} attacks'} (MSE under {THRESHOLDS[kind]:g})"
    )


def _p(p: float) -> str:
    """Of counts in thousands it is less than a float can be."""
    return f"= {p:.1g}" if p > LEAST_P else f"< {LEAST_P:g}"


def _per_cent(share: float) -> str:
    return f"{100 * share:.3g} %"
