"""What a run's images are: images.parquet, one row an image that was read, so that no others take their place.

A result is of pixels. So the run keeps what identifies each image's pixels from its first step on, and goes on with the
very same, wherever they lie; their names and places prove nothing.
"""

import json
from collections.abc import Mapping, Sequence

import pyarrow as pa

from memrec_core.errors import InputError
from workflows.run.audit_set import images_of, load_splits
from workflows.run.catalogue import Catalogue, Image, check_same
from workflows.run.checkpoint_files import sidecars_of
from workflows.run.run import Run
from workflows.run.store import IMAGES, PLAN, Store
from workflows.run.unit import Unit
from workflows.terminal import say

COLUMNS = pa.schema(
    [
        pa.field("data_set", pa.string()),
        pa.field("split", pa.string()),
        pa.field("id", pa.string()),
        pa.field("label", pa.string()),
        pa.field("digest", pa.string()),
        pa.field("copy_of", pa.string()),
        pa.field("audited", pa.bool_()),
    ]
)
REMARKS = b"memrec_remarks"


def keep_catalogues(store: Store, catalogues: dict[str, Catalogue]) -> None:
    """Keep what the run's images are, by the data sets' labels, or see that they are those of its first step, copies
    and all. Data sets that it has not had are added.

    Raises InputError for other images, and for a run whose first step kept nothing of them.
    """
    if not store.exists(IMAGES):
        if store.exists(PLAN):
            raise _unknown_pictures(store)
        store.write_new_table(IMAGES, _table_of(catalogues))
    kept = catalogues_of(store)
    if catalogues.keys() - kept.keys():
        store.write_table(IMAGES, _table_of(catalogues | kept))
        kept = catalogues_of(store)
    for label, known in catalogues.items():
        check_same(store.uri, label, kept[label].images, known.images)
        if kept[label].images != known.images:
            raise InputError(
                f"which images of data set {label} are near-duplicates is kept in {store.show(IMAGES)}, and another "
                "process has just found others; give the same command again"
            )


def _table_of(catalogues: dict[str, Catalogue]) -> pa.Table:
    rows = [{"data_set": label, **image._asdict()} for label, known in catalogues.items() for image in known.images]
    remarks = json.dumps({label: known.remarks for label, known in catalogues.items()})
    return pa.Table.from_pylist(rows, COLUMNS.with_metadata({REMARKS: remarks}))


def kept_catalogues(store: Store, units: Sequence[Unit]) -> dict[str, Catalogue]:
    """What the run's images are, by the data sets' labels. Raises InputError unless the plan's units are of them."""
    if not store.exists(IMAGES):
        raise _unknown_pictures(store)
    kept = catalogues_of(store)
    for label in {unit.data_set for unit in units} - kept.keys():
        raise InputError(f"{store.show(IMAGES)} does not name data set {label}, which the plan is of; restore it")
    check_images(units, kept, store)
    return kept


def _unknown_pictures(store: Store) -> InputError:
    return InputError(
        f"{store.uri} does not say which pictures it is of (it has no {IMAGES}), since an earlier revision of memrec "
        "made it; choose another --run"
    )


def catalogues_of(store: Store) -> dict[str, Catalogue]:
    """What the run's images are, by the data sets' labels; nothing for a run that has not begun."""
    if not store.exists(IMAGES):
        return {}
    try:
        table = store.read_table(IMAGES)
    except InputError:
        table = None
    if table is None or not table.schema.equals(COLUMNS):
        raise InputError(f"{store.show(IMAGES)} is not a run's list of images; restore it, or choose another --run")
    try:
        remarks = json.loads((table.schema.metadata or {}).get(REMARKS, b"{}"))
    except ValueError as error:
        raise InputError(f"{store.show(IMAGES)} is damaged; restore it, or choose another --run") from error
    found: dict[str, list[Image]] = {label: [] for label in remarks}
    for row in table.to_pylist():
        found.setdefault(row.pop("data_set"), []).append(Image(**row))
    return {label: Catalogue(tuple(images), tuple(remarks.get(label, ()))) for label, images in found.items()}


def sentences_of(run: Run) -> list[str]:
    """What a reader of the run's figures must know of its images."""
    elsewhere, asked_for = bool(run.experiment.given_models), _catalogues_asked_for(run)
    return [sentence for label, known in asked_for.items() for sentence in known.sentences(label, elsewhere)]


def samples_of(run: Run) -> dict[str, str]:
    """What a reader of rates must know of the data sets, by their labels, of which a sample alone is recovered."""
    return {label: drawn for label, known in _catalogues_asked_for(run).items() if (drawn := known.drawn())}


def _catalogues_asked_for(run: Run) -> dict[str, Catalogue]:
    """The images of the data sets that the experiment still asks for."""
    asked = {data.label for data in run.experiment.data}
    return {label: known for label, known in catalogues_of(run.store).items() if label in asked}


def check_still_there(run: Run) -> None:
    """See that the images of a run that is done are still those that it is of, where they can be read.

    Raises InputError for others; says so where they can't be read, which changes nothing of what is done.
    """
    kept = catalogues_of(run.store)
    for data in (data for data in run.experiment.data if data.label in kept):
        try:
            splits = load_splits(data, run.experiment.seed)
        except InputError as error:
            say(f"data set {data.label} can't be compared with the images of this run ({error})")
            continue
        now = tuple(image for split, own in splits.items() for image in images_of(split, own))
        check_same(run.store.uri, data.label, kept[data.label].images, now)


def check_trained_on(run: Run, catalogues: dict[str, Catalogue]) -> None:
    """Raises InputError where a checkpoint was trained on other pixels than those of its data set."""
    trained_on = {model.label: catalogues[model.data].fingerprint("train") for model in run.experiment.models}
    for name, metadata in sidecars_of(run):
        found, expected = metadata.get("trained_on"), trained_on[metadata["model"]]
        if found != expected:
            said = "was trained on other pictures than the training images here"
            if found is None:
                said = "does not say what it was trained on, since an earlier revision of memrec made it"
            raise InputError(
                f"{run.store.show(name)} {said}; restore the pictures, remove the checkpoint's .json to make it again, "
                "or choose another --run"
            )


def check_images(units: Sequence[Unit], catalogues: Mapping[str, Catalogue], store: Store) -> None:
    """Raises InputError where a data set has other images than when the plan was made."""
    for label, catalogue in catalogues.items():
        planned = {(unit.start, unit.stop): unit.images for unit in units if unit.data_set == label}
        if not planned:
            continue  # no model uses that data set
        if max(stop for _, stop in planned) != len(catalogue) or any(
            catalogue.digest(*bounds) != images for bounds, images in planned.items()
        ):
            raise InputError(
                f"the images of data set {label} are not those of which the plan of {store.uri} was made "
                f"({len(catalogue)} now); restore the data, or choose another --run"
            )
