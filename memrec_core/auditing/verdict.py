"""What follows from an audit's evidence, in a word and a sentence; never that a network is safe."""

from dataclasses import dataclass, replace
from math import ceil, log, log1p

import numpy as np

from memrec_core.auditing.evidence import Comparison, Evidence, Side, by_any, per_cent
from memrec_core.auditing.instrument import Instrument, in_words
from memrec_core.metrics import APPROXIMATE, KINDS, clopper_pearson

LEAKS, BOUNDED, INCONCLUSIVE = "leaks", "bounded", "inconclusive"
CONFIDENCE = 0.95
ERROR = (1 - CONFIDENCE) / len(KINDS)
"""Of each of the two tests (Bonferroni): of networks that treat both sides alike at most 5 % are said to leak."""
LEAST_P = 1e-300
BOUNDING = "approximate"
"""The kind of recovery that a bound is of."""
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
    """Leaks are looked for among accurate and approximate recoveries. Where the sides are not known to be `alike`, see
    exchangeability.py, a difference of approximate recoveries need not be memory, and shows no leak. A bound is one of
    approximate recoveries, of which accurate ones are a part. There is none where the network can't reproduce its
    images, where it gave no numbers for one of them, or with an instrument that does not work. It is of the images that
    could have come back: those that are had without the network are no evidence of it."""
    found = {kind: by_any(evidence, threshold) for kind, threshold in KINDS.items()}
    for kind, counts in found.items():
        if counts.p < ERROR and kind == "approximate" and not alike:
            return Verdict(INCONCLUSIVE, kind, _of_other_pictures(counts, evidence, alike))
        if counts.p < ERROR:
            return Verdict(LEAKS, kind, _leaks(counts, kind, evidence))
    counts = found[BOUNDING]
    if not median(evidence.train) < APPROXIMATE:
        return Verdict(INCONCLUSIVE, BOUNDING, _lossy(evidence, counts))
    if unasked := int(evidence.train.unasked.sum()):
        return Verdict(INCONCLUSIVE, BOUNDING, _without_numbers(unasked, counts, evidence))
    if not instrument.works:
        return Verdict(
            INCONCLUSIVE, BOUNDING, f"Inconclusive: {_came_back(counts, BOUNDING, evidence)}. {in_words(instrument)}"
        )
    if upper_end(counts, evidence, instrument) < max_rate:
        return Verdict(BOUNDED, BOUNDING, _bounded(counts, evidence, max_rate))
    needed = _needed(counts, counts.train_count - int(evidence.train.plain.sum()), max_rate)
    return Verdict(INCONCLUSIVE, BOUNDING, _open(counts, evidence, max_rate, needed), needed)


def upper_end(counts: Comparison, evidence: Evidence, instrument: Instrument) -> float:
    """The upper end of the interval of the share that came back, of the training images that could have come back: what
    a limit is held against. 1 where the evidence allows no bound."""
    asked = counts.train_count - int(evidence.train.plain.sum())
    reproduced = median(evidence.train) < APPROXIMATE and not evidence.train.unasked.any()
    return replace(counts, train_count=asked).interval[1] if asked and reproduced and instrument.works else 1.0


def in_words_of_plain(evidence: Evidence) -> str | None:
    """How many training images are no evidence, a sentence; None where all are some."""
    count, images = int(evidence.train.plain.sum()), units_of(evidence)
    if not count:
        return None
    return (
        f"{count:,} of {len(evidence.train):,} training {images} are so plain that smooth values in place of what is "
        f"erased are as near (MSE under {APPROXIMATE:g}): those can't come back approximately, and a bound is of the "
        "others."
    )


def _needed(counts: Comparison, asked: int, max_rate: float) -> int | None:
    """How many training images in all, if as many of them as now are no evidence."""
    needed = images_needed(replace(counts, train_count=asked), max_rate) if asked else None
    return None if needed is None else ceil(needed * counts.train_count / asked)


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


def _of_other_pictures(counts: Comparison, evidence: Evidence, alike: bool | None) -> str:
    why = (
        "can be told apart as pictures" if alike is False else "have too few images to tell whether they are of a kind"
    )
    return (
        f"Inconclusive: {_came_back(counts, BOUNDING, evidence)}; that is significantly more, with p {_p(counts.p)}, "
        f"but the two sides {why}, and pictures of another kind may come back more easily without any memory; give "
        f"{'control images of the same kind' if alike is False else '20 images a side or more'}."
    )


def _without_numbers(unasked: int, counts: Comparison, evidence: Evidence) -> str:
    return (
        f"Inconclusive: for {unasked:,} of {counts.train_count:,} training {units_of(evidence)} the network gives "
        "values that are not finite, so that nothing is known of them "
        f"({_came_back(counts, BOUNDING, evidence)}); mend the network."
    )


def _bounded(counts: Comparison, evidence: Evidence, max_rate: float) -> str:
    return (
        f"Bounded under these attacks: {_came_back(counts, BOUNDING, evidence)}; the upper end of the interval"
        f"{_of_asked(evidence)} is under the limit of {per_cent(max_rate)}. Other attacks may recover more."
    )


def _of_asked(evidence: Evidence) -> str:
    """How many could have come back, where not all could."""
    plain = int(evidence.train.plain.sum())
    return f" of the {len(evidence.train) - plain:,} that could have come back" if plain else ""


def _open(counts: Comparison, evidence: Evidence, max_rate: float, needed: int | None) -> str:
    more = "" if needed is None else f"; {needed:,} training {units_of(evidence)} with no larger share would bound it"
    return (
        f"Inconclusive: {_came_back(counts, BOUNDING, evidence)}; that is not significantly more than of the control "
        f"images, and the interval{_of_asked(evidence)} is not under the limit of {per_cent(max_rate)}{more}."
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
    images, attacks = units_of(evidence), len(evidence.attacks)
    other = "approximate" if kind == "accurate" else "accurate"
    beside = by_any(evidence, KINDS[other])
    also = f"{beside.train:,} and {beside.control:,} {'exactly' if other == 'accurate' else 'approximately'}"
    return (
        f"{counts.train:,} of {counts.train_count:,} training {images} came back {exactly} ({per_cent(low)} to "
        f"{per_cent(high)}), {counts.control:,} of {counts.control_count:,} control {images}, by "
        f"{'the one attack' if attacks == 1 else f'any of {attacks} attacks'} (MSE under {KINDS[kind]:g}; {also})"
    )


def units_of(evidence: Evidence) -> str:
    """What counts as one, in words."""
    return "images" if evidence.train.sizes is None else "groups of images"


def _p(p: float) -> str:
    """Of counts in thousands it is less than a float can be."""
    return f"= {p:.1g}" if p > LEAST_P else f"< {LEAST_P:g}"
