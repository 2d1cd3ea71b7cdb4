"""The schemas of a run's rates: rates.parquet, a row for each group of results, and thresholds.parquet, a row for each
group and threshold; and that of claims.parquet, a row for each group of a method that claims something, over both
splits."""

import pyarrow as pa

from memrec_core.metrics import ACCURATE, APPROXIMATE
from workflows.run.schema import SCHEMA, Column, described

DONE, PLANNED, UNITS, MADE_BY = "units_done", "units_planned", "units", "made_by"
"""Attributes of the rates' data frame, which its Parquet file keeps: how many work units they are of, a digest of
which, and what had made these (lists of the versions of memrec and torch, and the device)."""
GROUP = [
    "data_set",
    "model",
    "target_loss",
    "train_loss",
    "checkpoint",
    "degradation",
    "noise_std",
    "method",
    "split",
]
"""The columns of the results that tell a group from all others."""
_OF_GROUP: list[Column] = [
    (
        "fraction_missing",
        pa.float64(),
        "mean share of missing entries, in [0, 1]; null under a degradation that erases none",
    ),
]
_IMAGES: Column = ("images", pa.int64(), "how many images the row is of, each picture once")


def _rate(kind: str, words: str) -> list[Column]:
    """A rate and its interval."""
    return [(f"{kind}_rate", pa.float64(), f"share of the images that {words}, in [0, 1]"), *_bounds(kind)]


def _bounds(kind: str, null: str = "") -> list[Column]:
    return [
        (f"{kind}_{end}", pa.float64(), f"{words} bound of its 95 % Clopper-Pearson interval{null}")
        for end, words in (("low", "lower"), ("high", "upper"))
    ]


def _rate_and_excess(kind: str, threshold: float) -> list[Column]:
    """A rate and its interval, and what training images have over control images."""
    beside = "of training images, minus that of control images; null on control images, and where there are none"
    return [
        *_rate(kind, f"came back with an MSE under {threshold:g}"),
        (f"{kind}_excess", pa.float64(), f"the {kind} rate {beside}"),
        (f"{kind}_excess_low", pa.float64(), "lower bound of its 95 % interval (Newcombe); null likewise"),
        (f"{kind}_excess_high", pa.float64(), "upper bound of its 95 % interval (Newcombe); null likewise"),
    ]


_RATES: list[Column] = [
    *_OF_GROUP,
    _IMAGES,
    ("copies", pa.int64(), "the same with all their near-duplicates"),
    ("accurate_count", pa.int64(), f"how many of the images came back with an MSE under {ACCURATE:g}"),
    ("approximate_count", pa.int64(), f"how many of the images came back with an MSE under {APPROXIMATE:g}"),
    (
        "mean_psnr",
        pa.float64(),
        "mean PSNR, dB, of the images with some error: an MSE of 0 has no finite one, one above 1 counts as 0 dB; null "
        "where none has any",
    ),
    ("mean_mse_missing", pa.float64(), "mean squared error over the missing entries alone; null where there are none"),
    (
        "mean_mask_error",
        pa.float64(),
        "mean share of the mask's entries that were estimated wrongly; null without an estimate",
    ),
    ("mean_evaluations", pa.float64(), "mean applications of the autoencoder, or of a generic prior, for an image"),
    ("converged", pa.int64(), "how many images converged"),
    ("cycling", pa.int64(), "how many ended on a cycle, round which their iterates went for good"),
    ("max_iterations", pa.int64(), "how many met the limit of iterations"),
    ("non_finite", pa.int64(), "how many left the finite numbers"),
    ("seconds", pa.float64(), "time of all their recoveries together"),
    *_rate_and_excess("accurate", ACCURATE),
    *_rate_and_excess("approximate", APPROXIMATE),
    (
        "left_out",
        pa.int64(),
        "control images that don't count since they are near-duplicates of training images; 0 on those",
    ),
    ("seen", pa.int64(), "control images that count although they are near-duplicates of training images; likewise"),
]
_THRESHOLDS: list[Column] = [
    *_OF_GROUP,
    ("threshold", pa.float64(), "the MSE under which an image counts as recovered"),
    _IMAGES,
    ("recovered", pa.int64(), "how many of the images came back with an MSE under the threshold"),
    *_rate("recovery", "did"),
]


def _precision_and_recall(kind: str, threshold: float) -> list[Column]:
    """How right the claims are, where a training image is back with an MSE under the threshold."""
    return [
        (f"{kind}_count", pa.int64(), f"how many of the training images came back with an MSE under {threshold:g}"),
        (f"{kind}_right", pa.int64(), "how many of those were claimed"),
        (f"{kind}_precision", pa.float64(), "share of the claimed images that are such; null where none was claimed"),
        *_bounds(f"{kind}_precision", "; null likewise"),
        (f"{kind}_recall", pa.float64(), "share of such images that were claimed; null where there are none"),
        *_bounds(f"{kind}_recall", "; null likewise"),
    ]


_CLAIMS: list[Column] = [
    ("images", pa.int64(), "how many images the method judged, of both splits, each picture once"),
    ("control", pa.int64(), "how many of those are control images"),
    ("claimed", pa.int64(), "how many it claimed to be images that the network was trained on"),
    ("claimed_control", pa.int64(), "how many of those are control images: wrong claims"),
    *_precision_and_recall("accurate", ACCURATE),
    *_precision_and_recall("approximate", APPROXIMATE),
]

RATES_SCHEMA, THRESHOLDS_SCHEMA = (
    pa.schema([*map(SCHEMA.field, GROUP), *described(columns)]) for columns in (_RATES, _THRESHOLDS)
)
CLAIMS_SCHEMA = pa.schema([*(SCHEMA.field(name) for name in GROUP if name != "split"), *described(_CLAIMS)])
