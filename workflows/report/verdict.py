"""What an audit found, as the top of its run's page has it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from memrec_core.errors import InputError
from workflows.run.store import AUDIT, Store

KINDS = {"accurate": "exactly", "approximate": "approximately"}
Document = Mapping[str, Any]


class Line(NamedTuple):
    """A row of a table: what it is of, and its cells."""

    title: str
    cells: list[str]


class Verdict(NamedTuple):
    """The words of the page's first section, and its two tables."""

    word: str
    sentence: str
    facts: list[tuple[str, str]]
    attacks: list[Line]
    membership: list[Line]
    reason: str
    limitations: list[str]


def verdict_of(store: Store) -> Verdict | None:
    """What audit.json of a run says; None where the run is no audit's, or has no verdict yet. Raises InputError where
    it is damaged."""
    if not store.exists(AUDIT):
        return None
    try:
        return _verdict(json.loads(store.read(AUDIT)))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{store.show(AUDIT)} is not the answer of an audit; remove it, or give the same memrec audit again"
        ) from error


def _verdict(found: Document) -> Verdict:
    known = {name: own for name, own in found["membership"].items() if own["reason"] is None}
    reasons = [own["reason"] for own in found["membership"].values() if own["reason"] is not None]
    return Verdict(
        str(found["verdict"]),
        str(found["sentence"]),
        [*_facts(found)],
        [_attack(attack, f"{attack['method']}, {attack['degradation']}") for attack in found["attacks"]]
        + [_attack(found["any_attack"], "any of them")],
        [_member(name, own) for name, own in known.items()],
        next(iter(reasons), ""),
        [*map(str, found["limitations"])],
    )


def _facts(found: Document) -> Iterator[tuple[str, str]]:
    model, data = found["model"], found["data"]
    yield "Network", ", ".join(f"{key} {value}" for key, value in model.items() if value is not None)
    yield (
        "Images",
        f"{data['train']['count']:,} training images ({data['train']['fingerprint']}), {data['control']['count']:,} "
        f"control images ({data['control']['fingerprint']})",
    )
    yield "Limit", f"{_percent(found['max_rate'])} % of the training images"
    yield "Threat model", found["threat_model"]
    yield "Instrument", _instrument(found["instrument"])
    yield "Exchangeability", _exchangeability(found["exchangeability"])
    left_out = found["duplicates"]
    yield (
        "Left out",
        f"{left_out['crossing']} control images that are near-duplicates of training images; copies: "
        f"{left_out['train']} training and {left_out['control']} control images",
    )
    floor = found["reconstruction"]
    yield (
        "Reconstruction",
        f"median MSE of the network's output for an undamaged training image {_number(floor['train_median_mse'])}, "
        f"for a control image {_number(floor['control_median_mse'])}",
    )


def _instrument(found: Document) -> str:
    return (
        f"{'works' if found['works'] else 'does not work'}: of {found['count']} training images, "
        f"{_percent(found['nearest'])} % came back exactly from a network that returns the nearest training image, "
        f"{_percent(found['identity'])} % from one that returns its input"
    )


def _exchangeability(found: Document) -> str:
    if found["alike"] is None:
        return f"not known: {found['reason']}"
    low, high = found["interval"]
    told = "can't be told apart" if found["alike"] else "can be told apart"
    return f"the two sides {told} as pictures, without the network (AUC {found['auc']:.2f}, {low:.2f} to {high:.2f})"


def _attack(found: Document, title: str) -> Line:
    cells = []
    for kind in KINDS:
        counts, excess = found[kind], found[kind]["excess"]
        cells += [_rate(counts["train"]), _rate(counts["control"])]
        cells += [f"{_percent(excess['value'])} ({_percent(excess['low'])} – {_percent(excess['high'])})"]
        cells += [f"{counts['p']:.1g}"]
    return Line(title, cells)


def _rate(found: Document) -> str:
    return (
        f"{found['count']}/{found['images']}: {_percent(found['rate'])} "
        f"({_percent(found['low'])} – {_percent(found['high'])})"
    )


def _member(name: str, found: Document) -> Line:
    low, high = found["auc_interval"]
    least, most = found["true_positives_interval"]
    return Line(
        name,
        [
            f"{found['auc']:.3f} ({low:.3f} – {high:.3f})",
            f"{_percent(found['true_positives'])} ({_percent(least)} – {_percent(most)})",
        ],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g}"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.1e}"
