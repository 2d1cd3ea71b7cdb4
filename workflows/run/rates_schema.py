"""The schemas of a run's rates: rates.parquet, a row for each group of results, and thresholds.parquet, a row for each
group and threshold."""

import pyarrow as pa

from memrec_core.metrics import ACCURATE, APPROXIMATE
from workflows.run.schema import SCHEMA, Column, described

DONE, PLANNED, UNITS = "units_done", "units_planned", "units"
"""Attributes of the rates' data frame, which its Parquet file keeps: how many work units they are of, and a digest
of which."""
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
    return [
        (f"{kind}_rate", pa.float64(), f"share of the images that {words}, in [0, 1]"),
        (f"{kind}_low", pa.float64(), "lower bound of its 95 % Clopper-Pearson interval"),
        (f"{kind}_high", pa.float64(), "upper bound of its 95 % Clopper-Pearson interval"),
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
    ("mean_psnr", pa.float64(), "mean PSNR, dB"),
    ("mean_mse_missing", pa.float64(), "mean squared error over the missing entries alone; null where there are none"),
    (
        "mean_mask_error",
        pa.float64(),
        "mean share of the mask's entries that were estimated wrongly; null without an estimate",
    ),
    ("mean_evaluations", pa.float64(), "mean applications of the autoencoder, or of a generic prior, for an image"),
    ("converged", pa.int64(), "how many images converged"),
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

RATES_SCHEMA, THRESHOLDS_SCHEMA = (
    pa.schema([*map(SCHEMA.field, GROUP), *described(columns)]) for columns in (_RATES, _THRESHOLDS)
)
