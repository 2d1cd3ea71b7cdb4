"""Runs side by side: the rates of each, and how they differ from those of the first."""

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Any, NamedTuple

import pandas as pd

from memrec_core.errors import InputError
from memrec_core.metrics import KINDS, paired_difference, rate_difference
from workflows.comparison.matching import KEY, labels_between, matched, remarks_on, unmatched, unmatched_words
from workflows.comparison.sides import sides_of
from workflows.run.images import sentences_of
from workflows.run.opened import OpenRun
from workflows.run.rates import caveats, makers_of

PAIRED, INDEPENDENT = "paired", "independent"
INTERVALS = {
    PAIRED: "the same images in both runs: Newcombe's 95 % interval for pairs (1998, Statistics in Medicine 17, "
    "2635-2650, method 10)",
    INDEPENDENT: "other images in the two runs, or not all the same: Newcombe's 95 % interval for independent rates "
    "(1998, method 10), as memrec has it for training beside control images",
}
MOST_RUNS = len(ascii_uppercase)


class Comparison(NamedTuple):
    """What follows from runs, the first of which is A.

    `runs` has the folder by the letter. `differences` has a row for each group that A and another run have, and each
    kind of recovery: count, rate and bounds of both, the other's rate minus A's with its bounds, by which `interval`;
    how many images are `common`, and how many of these came back in the other alone (`came`) or in A alone (`went`).
    `changed` has these images. `unmatched` has the groups that one run of a pair has alone, `missing` says so in words.
    """

    runs: dict[str, str]
    remarks: list[str]
    differences: pd.DataFrame
    changed: pd.DataFrame
    unmatched: pd.DataFrame
    missing: list[str]
    titles: dict[str, str]


def compare(runs: Sequence[OpenRun]) -> Comparison:
    """Compare the first run with each of the others. Raises InputError for fewer than two, the same one twice, and runs
    that have nothing in common; and as `rates` and `results` of a run do."""
    named = dict(zip(ascii_uppercase, _checked(runs), strict=False))
    rates = {name: run.rates() for name, run in named.items()}
    (first, base), *others = named.items()
    parts = [_pair(name, base, rates[first], other, rates[name]) for name, other in others]
    remarks, differences, changed, alone, missing = zip(*parts, strict=True)
    return Comparison(
        {name: run.store.uri for name, run in named.items()},
        [*_on_figures(named, rates), *(remark for some in remarks for remark in some)],
        pd.concat(differences, ignore_index=True),
        pd.concat(changed, ignore_index=True),
        pd.concat([frame for some in alone for frame in some], ignore_index=True),
        [sentence for some in missing for sentence in some],
        {label: title for run in reversed(runs) for label, title in run.experiment.titles.items()},
    )


def _checked(runs: Sequence[OpenRun]) -> Sequence[OpenRun]:
    if len(runs) < 2:
        raise InputError("one run alone can't be compared; give two or more, the first of which the others are held to")
    if len(runs) > MOST_RUNS:
        raise InputError(f"{len(runs)} runs can't be compared; give {MOST_RUNS} at the most")
    places = [run.store.location.rstrip("/") for run in runs]
    for place in places:
        if places.count(place) > 1:
            raise InputError(f"{place} is given twice; give each run once")
    return runs


def _on_figures(named: Mapping[str, OpenRun], rates: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """What a reader must know of each run's figures: what is missing, what its images are, and what has made it, also
    where that is something else than has made A."""
    for name, run in named.items():
        for sentence in [*caveats(rates[name]), *sentences_of(run)]:
            yield f"{name}: {sentence}"
    first, *others = named
    for name in others:
        yield from _on_makers(name, rates[first], rates[name])


def _on_makers(name: str, of_base: pd.DataFrame, of_other: pd.DataFrame) -> Iterator[str]:
    """That other versions or devices have made the run than A, where both say what has."""
    base, other = (makers_of(rates) for rates in (of_base, of_other))
    if base and other and {*base} != {*other}:
        then, now = (" and ".join(map(str, sorted(makers))) for makers in (base, other))
        yield f"A was made by {then}, {name} by {now}; last bits, and what a method does, may differ."


def _pair(
    name: str, base: OpenRun, of_base: pd.DataFrame, other: OpenRun, of_other: pd.DataFrame
) -> tuple[list[str], pd.DataFrame, pd.DataFrame, list[pd.DataFrame], list[str]]:
    """The remarks, differences, changed images, what one alone has, and that in words."""
    labels = labels_between(base.experiment, other.experiment)
    of_other = labels.rates(of_other)
    both = matched(of_base, of_other)
    sides = sides_of(base, other, labels, both[KEY])
    both = both.merge(sides.counts, "left", on=KEY).fillna({"common": 0})
    differences = pd.concat([_difference(both, kind) for kind in KINDS])
    order = differences.index
    differences = differences.assign(run=name).iloc[order.argsort(kind="stable")].reset_index(drop=True)
    alone, missing = [], []
    for owner, own, lacking, theirs in (("A", of_base, name, of_other), (name, of_other, "A", of_base)):
        keys = unmatched(own, theirs)
        if len(keys):
            alone.append(keys.assign(only_in=owner, not_in=lacking))
            missing.append(f"Only in {owner}, not in {lacking}: {unmatched_words(keys, theirs)}.")
    changed = sides.changed.assign(run=name)
    return [*remarks_on(base, other, labels, name)], differences, changed, alone or [_no_keys()], missing


def _no_keys() -> pd.DataFrame:
    return pd.DataFrame(columns=[*KEY, "only_in", "not_in"])


def _difference(both: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Of one kind of recovery the counts and rates of both runs, and the difference with its interval."""
    n, n_other, common = both["images"], both["images_other"], both["common"]
    paired = (n == n_other) & (common == n)
    independent = rate_difference(both[f"{kind}_count_other"], n_other, both[f"{kind}_count"], n)
    together, came, went = (both[f"{kind}_{name}"].fillna(0).astype("int64") for name in ("both", "other", "base"))
    of_pairs = paired_difference(together, came, went, (common - together - came - went).clip(lower=0))
    columns: dict[str, Any] = {"kind": kind}
    for ending in ("", "_other"):
        columns[f"images{ending}"] = both[f"images{ending}"]
        for what in ("count", "rate", "low", "high"):
            columns[f"{what}{ending}"] = both[f"{kind}_{what}{ending}"]
    for name, one, alone in zip(
        ("difference", "difference_low", "difference_high"), of_pairs, independent, strict=True
    ):
        columns[name] = pd.Series(one, both.index).where(paired, pd.Series(alone, both.index))
    columns |= {"interval": paired.map({True: PAIRED, False: INDEPENDENT}), "common": common.astype("int64")}
    return both[KEY].assign(**columns, came=came, went=went)
