"""The schema of the results: one row for each (checkpoint, degradation, method, image)."""

import pyarrow as pa

VERSION = "2"
VERSION_KEY, UNIT, IMAGES = b"memrec_schema_version", b"memrec_unit", b"memrec_images"
"""What a file's metadata says of itself: its schema's version, its unit's name, the digest of that unit's images."""

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""PNG, in the struct that Hugging Face `datasets` shows as an image."""

_COLUMNS: list[tuple[str, pa.DataType, str]] = [
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
    ("data_set", pa.string(), "label of the data set in the experiment, its name unless another was given"),
    ("split", pa.string(), "train, or control for images that were not trained on"),
    ("image_id", pa.string(), "id of the image in its data set; unique within its split"),
    (
        "multiplicity",
        pa.int32(),
        "how often the picture is in its split, itself and its near-duplicates; a row counts once",
    ),
    ("label", pa.string(), "class of the image; null where the data set has none"),
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
    ("status", pa.string(), "converged, max_iterations or non_finite"),
    ("outer_iterations", pa.int32(), "outer iterations until the image stopped"),
    ("evaluations", pa.int32(), "applications of the autoencoder, or of a generic prior"),
    ("mask_error", pa.float64(), "share of the mask's entries that were estimated wrongly; null without an estimate"),
    ("seconds", pa.float64(), "time of the work unit over its number of recoveries"),
    ("original", PICTURE, "the image; null unless the experiment asks for pictures"),
    ("degraded", PICTURE, "the degraded image, likewise"),
    ("recovered", PICTURE, "the recovered image, likewise"),
]

SCHEMA = pa.schema(
    [pa.field(name, kind, metadata={"description": text}) for name, kind, text in _COLUMNS],
    metadata={VERSION_KEY: VERSION},
)


def schema_of(unit: str, images: str) -> pa.Schema:
    """The schema of the file of a unit, which says in its metadata what it is."""
    return SCHEMA.with_metadata({**SCHEMA.metadata, UNIT: unit.encode(), IMAGES: images.encode()})
