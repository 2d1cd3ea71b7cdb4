"""An audit as a JSON document, which audit.schema.json describes. Keys are added to it, never taken away."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from math import isfinite
from typing import Any

import numpy as np

from memrec_core.auditing.evidence import Attack, Comparison, Side
from memrec_core.auditing.verdict import CONFIDENCE, median
from memrec_core.metrics import KINDS

VERSION = 1
"""Of the schema; a reader may rely on what an earlier number had."""
THREAT_MODEL = (
    "The attacker has the network and degraded training images (erased pixels), and neither the originals nor, but for "
    "the methods that say so, the masks."
)
LIMITATIONS = (
    "Other attacks may recover more: these look for images that the network reproduces from their parts.",
    "Only the images that were given were asked of; nothing is said of others that it was trained on.",
    "What an attacker learns of an image that does not come back, such as its attributes, was not tested, but for "
    "membership.",
)


def as_json(audit: Any) -> str:
    return json.dumps(document(audit), indent=2, allow_nan=False)


def document(audit: Any) -> dict[str, Any]:
    """An Audit (whose module imports this one) as mappings, lists, text, finite numbers and None."""
    evidence = audit.evidence
    found = {
        "schema_version": VERSION,
        "tool": {"name": "memrec", "version": import_module("memrec_core").__version__},
        "verdict": audit.verdict,
        "sentence": audit.sentence,
        "decided_by": audit.found.kind,
        "images_needed": audit.found.needed,
        "max_rate": audit.max_rate,
        "model": dict(audit.subject.model),
        "data": {
            "train": {**_counts(evidence.train), "fingerprint": audit.subject.train_fingerprint},
            "control": {**_counts(evidence.control), "fingerprint": audit.subject.control_fingerprint},
        },
        "threat_model": THREAT_MODEL,
        "attacks": [
            {"method": attack.method, "degradation": attack.degradation, **_kinds(audit, attack)}
            for attack in evidence.attacks
        ],
        "any_attack": _kinds(audit, "any"),
        "membership": {name: asdict(found) for name, found in audit.membership.items()},
        "reconstruction": {
            "train_median_mse": median(evidence.train),
            "control_median_mse": median(evidence.control),
        },
        "instrument": {**asdict(audit.instrument), "works": audit.instrument.works},
        "exchangeability": asdict(audit.exchangeability),
        "duplicates": asdict(audit.duplicates),
        "settings": dict(audit.settings),
        "limits": {"thresholds_mse": dict(KINDS), "confidence": CONFIDENCE},
        "limitations": [*LIMITATIONS, *audit.warnings],
    }
    return plain(found)


def plain(value: Any) -> Any:
    """A value as JSON has it: lists for tuples, numbers of Python for numpy's, None for what is no finite number."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _counts(side: Side) -> dict[str, int | None]:
    """How many images, and how many groups of them, if any; `count` is of what counts as one."""
    return {"count": len(side), "images": side.images, "groups": None if side.sizes is None else len(side)}


def _kinds(audit: Any, attack: Attack | str) -> dict[str, Any]:
    return {kind: _compared(found[attack]) for kind, found in audit.rates.items()}


def _compared(counts: Comparison) -> dict[str, Any]:
    excess, low, high = counts.excess
    return {
        "train": _rate(counts.train, counts.train_count, counts.interval),
        "control": _rate(counts.control, counts.control_count, counts.control_interval),
        "excess": {"value": excess, "low": low, "high": high},
        "p": counts.p,
    }


def _rate(count: int, images: int, interval: tuple[float, float]) -> dict[str, Any]:
    return {"count": count, "images": images, "rate": count / images, "low": interval[0], "high": interval[1]}
