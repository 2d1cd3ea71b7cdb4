"""A comparison for programs: JSON, and two tables as CSV."""

import json
from typing import Any

import pandas as pd

from workflows.comparison.compared import INTERVALS, Comparison

FORMAT = 1
"""Of the JSON; another one once a name in it means something else."""


def to_json(comparison: Comparison) -> str:
    document = {
        "format": FORMAT,
        "runs": comparison.runs,
        "intervals": INTERVALS,
        "remarks": comparison.remarks,
        "differences": _records(comparison.differences),
        "changed": _records(comparison.changed),
        "unmatched": _records(comparison.unmatched),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def differences_csv(comparison: Comparison) -> str:
    """A row for each group, kind of recovery and run but the first; see Comparison."""
    return comparison.differences.to_csv(index=False, lineterminator="\n")


def changed_csv(comparison: Comparison) -> str:
    """A row for each image that changed sides in a group."""
    return comparison.changed.to_csv(index=False, lineterminator="\n")


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    """The rows as JSON has them: null is null."""
    plain = frame.astype(object)
    return plain.where(frame.notna(), None).to_dict("records")
