"""An audit as a JSON document, which audit.schema.json describes. Keys are added to it, never taken away."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import memrec_core
from memrec_core.auditing.evidence import Attack, Comparison
from memrec_core.auditing.verdict import THRESHOLDS

if TYPE_CHECKING:
    from memrec_core.auditing.audit import Audit

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


def as_json(audit: "Audit") -> str:
    return json.dumps(document(audit), indent=2, allow_nan=False)


def document(audit: "Audit") -> dict[str, Any]:
    """As mappings, lists, numbers, text and None."""
    evidence = audit.evidence
    return {
        "schema_version": VERSION,
        "tool": {"name": "memrec", "version": memrec_core.__version__},
        "verdict": audit.verdict,
        "sentence": audit.sentence,
        "decided_by": audit.found.kind,
        "images_needed": audit.found.needed,
        "max_rate": audit.max_rate,
        "model": dict(audit.subject.model),
        "data": {
            "train": {"count": len(evidence.train), "fingerprint": audit.subject.train_fingerprint},
            "control": {"count": len(evidence.control), "fingerprint": audit.subject.control_fingerprint},
        },
        "threat_model": THREAT_MODEL,
        "attacks": [
            {"method": attack.method, "degradation": attack.degradation, **_kinds(audit, attack)}
            for attack in evidence.attacks
        ],
        "any_attack": _kinds(audit, "any"),
        "membership": {name: asdict(found) for name, found in audit.membership.items()},
        "reconstruction": {
            "train_median_mse": _median(evidence.train.reconstruction),
            "control_median_mse": _median(evidence.control.reconstruction),
        },
        "instrument": {**asdict(audit.instrument), "works": audit.instrument.works},
        "exchangeability": asdict(audit.exchangeability),
        "duplicates": asdict(audit.duplicates),
        "settings": dict(audit.settings),
        "limits": {"thresholds_mse": dict(THRESHOLDS), "confidence": 0.95},
        "limitations": [*LIMITATIONS, *audit.warnings],
    }


def _kinds(audit: "Audit", attack: Attack | str) -> dict[str, Any]:
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


def _median(errors: Any) -> float | None:
    import numpy as np

    value = float(np.median(errors))
    return value if np.isfinite(value) else None
