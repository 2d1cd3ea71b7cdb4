"""The schema of the results: one row for each (checkpoint, degradation, method, image).

It may grow: a reader needs the columns that it uses, and passes over those that it does not know.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

VERSION = "2"
VERSION_KEY, UNIT, IMAGES = b"memrec_schema_version", b"memrec_unit", b"memrec_images"
"""What a file's metadata says of itself: its schema's version, its unit's name, the digest of that unit's images."""
MEMREC, TORCH, DEVICE, METHOD = b"memrec_version", b"torch_version", b"memrec_device", b"memrec_method"
"""And what made it: the versions of memrec and torch, the device, and the method's name and settings, as JSON."""
MAKERS = b"memrec_makers"
"""And of a compacted file, in their place: all of the first three that its rows are from, as JSON."""

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""PNG, in the struct that Hugging Face `datasets` shows as an image where the metadata say so."""
_HUGGING_FACE = b"huggingface"

Column = tuple[str, pa.DataType, str]
"""A column's name and type, and what it holds."""

_COLUMNS: list[Column] = [
    ("model", pa.string(), "label of the network in the experiment; generic for a method that uses none"),
    (
        "checkpoint",
        pa.string(),
        "digest of the weights file, of the checkpoint or of a generic prior; empty for a method that uses neither",
    ),
    (
        "target_loss",
        pa.float64(),
        "target of the training ladder that the checkpoint was kept for (MSE); null for given networks and generic",
    ),
    ("train_loss", pa.float64(), "training loss at the checkpoint (MSE over all training images); null likewise"),
    (
        "recipe",
        pa.string(),
        "name of the recipe of memrec_core.training that trained the network; null likewise, and for a checkpoint that "
        "does not say",
    ),
    ("data_set", pa.string(), "label of the data set in the experiment, its name unless another was given"),
    ("split", pa.string(), "train, or control for images that were not trained on"),
    ("image_id", pa.string(), "id of the image in its data set; unique within its split"),
    (
        "multiplicity",
        pa.int32(),
        "how often the picture is in its split, itself and its near-duplicates; a row counts once",
    ),
    ("label", pa.string(), "class of the image; null where the data set has none"),
    (
        "train_mse",
        pa.float64(),
        "mean squared error of the network's output for the image itself, undamaged: of a training image, its own "
        "training loss; null for a method that uses no network",
    ),
    ("degradation", pa.string(), "label of the degradation: the mask or blur, and fill and noise where there are some"),
    (
        "fraction_missing",
        pa.float64(),
        "share of missing entries, in [0, 1]; null under a degradation that erases none",
    ),
    ("noise_std", pa.float64(), "standard deviation of the noise; pixels are in [0, 1]"),
    ("method", pa.string(), "label of the method in the experiment, its name unless another was given"),
    ("seed", pa.int64(), "seed of the experiment"),
    ("mse", pa.float64(), "mean squared error of the recovered image"),
    ("psnr", pa.float64(), "10 log10(1 / mse), dB"),
    ("mse_missing", pa.float64(), "mean squared error over the missing entries alone; null likewise"),
    ("status", pa.string(), "converged, cycling, max_iterations or non_finite"),
    ("outer_iterations", pa.int32(), "outer iterations until the image stopped"),
    ("evaluations", pa.int32(), "applications of the autoencoder, or of a generic prior"),
    ("mask_error", pa.float64(), "share of the mask's entries that were estimated wrongly; null without an estimate"),
    (
        "claimed",
        pa.bool_(),
        "whether the method, without the original, believes the recovered image to be one that the network was trained "
        "on; null for a method that does not judge its results",
    ),
    ("confidence", pa.float64(), "what that rests on, in [0, 1]; null likewise"),
    ("kept_share", pa.float64(), "share of the pixels that the method takes to be the image's own; null likewise"),
    (
        "spectral_radius",
        pa.float64(),
        "of the network's Jacobian at the image; null but in the rows of the method that the experiment's attractors "
        "names, for it is the same for all",
    ),
    (
        "basin",
        pa.float64(),
        "largest share of the pixels, chosen at random, without which the image comes back accurately, told the mask, "
        "in steps of 1/64; null likewise",
    ),
    ("seconds", pa.float64(), "time of the work unit over its number of recoveries"),
    ("original", PICTURE, "the image; null unless the experiment asks for pictures"),
    ("degraded", PICTURE, "the degraded image, likewise"),
    ("recovered", PICTURE, "the recovered image, likewise"),
    (
        "estimated_mask",
        PICTURE,
        "the estimate of the mask, white where a pixel is taken to be kept, likewise; null for a method that is "
        "told the mask or uses none",
    ),
]

REQUIRED = {
    "model",
    "checkpoint",
    "target_loss",
    "train_loss",
    "data_set",
    "split",
    "image_id",
    "multiplicity",
    "degradation",
    "fraction_missing",
    "noise_std",
    "method",
    "mse",
    "psnr",
    "mse_missing",
    "status",
    "evaluations",
    "mask_error",
    "seconds",
    "original",
    "degraded",
    "recovered",
}
"""The columns that the rates and the page need. One that comes later is none of them: the files of before lack it."""


def described(columns: Sequence[Column]) -> list[pa.Field]:
    """The columns as fields, which keep their descriptions."""
    return [pa.field(name, kind, metadata={"description": text}) for name, kind, text in columns]


def _shown_as_images(columns: list[Column]) -> str:
    """What tells `datasets` which columns are pictures; it infers the others from their types."""
    features = {name: {"_type": "Image"} for name, kind, _ in columns if kind == PICTURE}
    return json.dumps({"info": {"features": features}})


SCHEMA = pa.schema(described(_COLUMNS), {VERSION_KEY: VERSION, _HUGGING_FACE: _shown_as_images(_COLUMNS)})


class Maker(NamedTuple):
    """What has made some rows: the versions of memrec and torch, and the device."""

    memrec: str
    torch: str
    device: str

    def __str__(self) -> str:
        return f"memrec {self.memrec}, torch {self.torch}, on {self.device}"


def makers_of(metadata: Mapping[bytes, bytes]) -> list[Maker]:
    """What has made the rows of a file, as its metadata says: one of a unit's, several perhaps of a compacted one."""
    if MAKERS in metadata:
        return [Maker(*one) for one in json.loads(metadata[MAKERS])]
    return [Maker(*(metadata.get(key, b"not recorded").decode() for key in (MEMREC, TORCH, DEVICE)))]


def schema_of(unit: str, images: str, made_by: Mapping[bytes, str] | None = None) -> pa.Schema:
    """The schema of the file of a unit, which says in its metadata what it is, and what it was `made_by`."""
    return SCHEMA.with_metadata({**SCHEMA.metadata, UNIT: unit, IMAGES: images, **(made_by or {})})


def check_columns(schema: pa.Schema) -> str:
    """What keeps a file of this schema from being read as results, as the end of a sentence; empty where nothing does.

    A required column must be there, and each that is known must be there once, with a type that its own can be read
    from.
    """
    for name, kind, _ in _COLUMNS:
        found = schema.get_all_field_indices(name)
        if len(found) > 1:
            return f"has {len(found)} columns {name}"
        if not found and name in REQUIRED:
            return f"has no column {name}"
        if found and _widest(schema.field(found[0]).type) != _widest(kind):
            return f"has a column {name} of type {schema.field(found[0]).type}, not {kind}"
    return ""


def _widest(kind: pa.DataType) -> pa.DataType:
    """The same for all types that hold the same values, if more or fewer of them, or laid out in another way."""
    if pa.types.is_dictionary(kind):
        return _widest(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _widest(field.type)) for field in kind])
    for belongs, widest in (
        (pa.types.is_integer, pa.int64()),
        (pa.types.is_floating, pa.float64()),
        (pa.types.is_large_string, pa.string()),
        (pa.types.is_string_view, pa.string()),
        (pa.types.is_large_binary, pa.binary()),
        (pa.types.is_binary_view, pa.binary()),
    ):
        if belongs(kind):
            return widest
    return kind
