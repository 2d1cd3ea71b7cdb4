"""What a run's images are: images.parquet, one row an image that was read, so that no others take their place.

A result is of pixels. So the run keeps what identifies each image's pixels from its first step on, and goes on with the
very same, wherever they lie; their names and places prove nothing.
"""

import json

import pyarrow as pa

from memrec_core.datasets.remarks import shown
from memrec_core.errors import InputError
from workflows.audit_set import images_of, load_splits
from workflows.catalogue import Catalogue, Image
from workflows.checkpoint_files import sidecars_of
from workflows.experiment import Experiment
from workflows.progress import say
from workflows.store import IMAGES, PLAN, Store

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
    """Keep what the run's images are, by the data sets' labels, or see that they are those of its first step.

    Raises InputError for others, and for a run whose first step kept nothing of them.
    """
    if not store.exists(IMAGES):
        if store.exists(PLAN):
            raise InputError(
                f"{store.uri} does not say which pictures it is of (it has no {IMAGES}), since an earlier revision of "
                "memrec made it; choose another --run"
            )
        rows = [{"data_set": label, **image._asdict()} for label, known in catalogues.items() for image in known.images]
        remarks = json.dumps({label: known.remarks for label, known in catalogues.items()})
        store.write_new_table(IMAGES, pa.Table.from_pylist(rows, COLUMNS.with_metadata({REMARKS: remarks})))
    kept = catalogues_of(store)
    for label, known in catalogues.items():
        check_same(store, label, kept[label].images if label in kept else (), known.images)


def catalogues_of(store: Store) -> dict[str, Catalogue]:
    """What the run's images are, by the data sets' labels; nothing for a run that has not begun."""
    if not store.exists(IMAGES):
        return {}
    table = store.read_table(IMAGES)
    if not table.schema.equals(COLUMNS):
        raise InputError(f"{store.show(IMAGES)} is not a run's list of images; restore it, or choose another --run")
    remarks = json.loads((table.schema.metadata or {}).get(REMARKS, b"{}"))
    found: dict[str, list[Image]] = {label: [] for label in remarks}
    for row in table.to_pylist():
        found.setdefault(row.pop("data_set"), []).append(Image(**row))
    return {label: Catalogue(tuple(images), tuple(remarks.get(label, ()))) for label, images in found.items()}


def sentences_of(store: Store) -> list[str]:
    """What a reader of the run's figures must know of its images."""
    return [sentence for label, known in catalogues_of(store).items() for sentence in known.sentences(label)]


def check_same(store: Store, label: str, kept: tuple[Image, ...], now: tuple[Image, ...]) -> None:
    """Raises InputError, which says how many and names the first, unless a data set's images are those of the run."""
    if _identities(kept) == _identities(now):
        return
    were, are = ({image.name: image for image in images} for images in (kept, now))
    changed = [name for name in were if name in are and were[name].digest != are[name].digest]
    gone, new = ([name for name in one if name not in other] for one, other in ((were, are), (are, were)))
    counted = [
        f"{len(names)} {words} (first: {shown(names[0])})"
        for names, words in ((changed, "have other pixels"), (gone, "are gone"), (new, "are new"))
        if names
    ]
    raise InputError(
        f"the images of data set {label} are not those that {store.uri} was begun with: of {len(were)}, "
        f"{', '.join(counted) or 'the order is another'}; restore them, or choose another --run"
    )


def _identities(images: tuple[Image, ...]) -> list[tuple[str, str, str]]:
    return [(image.split, image.id, image.digest) for image in images]


def check_still_there(experiment: Experiment, store: Store) -> None:
    """See that the images of a run that is done are still those that it is of, where they can be read.

    Raises InputError for others; says so where they can't be read, which changes nothing of what is done.
    """
    kept = catalogues_of(store)
    for data in experiment.data:
        try:
            splits = load_splits(data, experiment.seed)
        except InputError as error:
            say(f"data set {data.label} can't be compared with the images of this run ({error})")
            continue
        now = tuple(image for split, own in splits.items() for image in images_of(split, own))
        check_same(store, data.label, kept[data.label].images if data.label in kept else (), now)


def check_trained_on(experiment: Experiment, store: Store, catalogues: dict[str, Catalogue]) -> None:
    """Raises InputError where a checkpoint was trained on other pixels than those of its data set."""
    trained_on = {model.label: catalogues[model.data].fingerprint("train") for model in experiment.models}
    for name, metadata in sidecars_of(experiment, store):
        found, expected = metadata.get("trained_on"), trained_on[metadata["model"]]
        if found != expected:
            said = "was trained on other pictures than the training images here"
            if found is None:
                said = "does not say what it was trained on, since an earlier revision of memrec made it"
            raise InputError(
                f"{store.show(name)} {said}; restore the pictures, remove the checkpoint's .json to train it again, or "
                "choose another --run"
            )
