"""The pictures of a run as PNG files that anything shows, named by the images' ids, with a CSV of what each one is."""

import csv
import io
import unicodedata
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow.dataset import Dataset, field

from memrec_core.errors import InputError, in_a_line
from workflows.errors import StoreError
from workflows.run.checkpoint_files import loss_label
from workflows.run.opened import OpenRun
from workflows.run.scan import scan_rows
from workflows.user_file import write_user_file
from workflows.words import no_formula

LIST, ELSEWHERE = "pictures.csv", "another --pictures"
LONGEST_NAME, BATCH = 120, 256
"""Bytes of a name that follows from an id, and how many rows are read at a time."""
_OF_IMAGE = ["data_set", "split", "image_id", "label"]
_OF_RECOVERY = ["model", "target_loss", "degradation", "method", "mse", "psnr"]
_PICTURES = ["original", "degraded", "recovered"]
COLUMNS = ["file", "picture", *_OF_IMAGE, *_OF_RECOVERY]
"""Of the CSV: the file's name, which picture it is, and what of the results' columns that has."""
Row = dict[str, Any]


class Exported(NamedTuple):
    """How many files were written, of how many images."""

    files: int
    images: int


def export_pictures(run: OpenRun, folder: str) -> Exported:
    """Write the pictures that the run has kept to a new folder of this machine: each image once, once under each
    degradation, and as each method recovered it. Raises InputError where there are none, or the folder is none for it.
    """
    place = _new_folder(folder)
    return scan_rows(run, lambda rows: _Export(run, place).of(rows))


def _new_folder(folder: str) -> Path:
    place = Path(folder).expanduser()
    if not folder.strip() or "://" in folder:
        raise InputError(f"--pictures {folder!r} is no folder of this machine; give a new one, such as pictures")
    try:
        there = next(parent for parent in (place.absolute(), *place.absolute().parents) if parent.exists())
        if not there.is_dir():
            raise InputError(f"--pictures {folder} can't be a folder, since {there} is a file; give another")
        if place.exists() and any(place.iterdir()):
            raise InputError(f"--pictures {folder} is there already; give a folder that is new or empty")
    except OSError as error:
        raise InputError(f"--pictures {folder} can't be a folder ({in_a_line(error)}); give another") from error
    return place


class FileNames:
    """Names of files that follow from texts: the same each time, and another than those of all other texts of the kind,
    also where capitals make no difference."""

    def __init__(self) -> None:
        self.names: dict[tuple[Hashable, str], str] = {}
        self.taken: set[tuple[Hashable, str]] = set()

    def of(self, kind: Hashable, text: str) -> str:
        if (kind, text) not in self.names:
            plain = _as_file_name(text)
            name, number = plain, 2
            while (kind, name.casefold()) in self.taken:
                name, number = f"{plain}-{number}", number + 1
            self.taken.add((kind, name.casefold()))
            self.names[kind, text] = name
        return self.names[kind, text]


class _Export:
    """Writes the files of the rows' pictures, and keeps what each is."""

    def __init__(self, run: OpenRun, place: Path) -> None:
        self.run, self.place = run, place
        self.names = FileNames()
        self.written: dict[str, Row] = {}

    def of(self, rows: Dataset) -> Exported:
        columns = [*_OF_IMAGE, *_OF_RECOVERY, *_PICTURES]
        parts = rows.to_batches(columns=columns, filter=field("original").is_valid(), batch_size=BATCH)
        try:
            for part in parts:
                for row in part.to_pylist():
                    self._write(row)
            if not self.written:
                raise InputError(
                    f"{self.run.store.uri} has kept no pictures; memrec run with --set pictures=8 keeps those of the "
                    "first 8 images of each split"
                )
            self._list()
        except OSError as error:
            raise StoreError(
                f"the pictures of {self.run.store.uri} can't be read ({in_a_line(error)}); give the same command again "
                "once they can"
            ) from error
        images = {tuple(row[name] for name in _OF_IMAGE[:3]) for row in self.written.values()}
        return Exported(len(self.written), len(images))

    def _write(self, row: Row) -> None:
        for picture, folder, of_recovery in self._places(row):
            file = f"{picture}/{folder}/{self.names.of((row['data_set'], row['split']), row['image_id'])}.png"
            if file not in self.written and row[picture] is not None:
                write_user_file(self.place / file, row[picture]["bytes"], ELSEWHERE, durable=False)
                self.written[file] = {name: row[name] for name in (*_OF_IMAGE, *of_recovery)} | {"picture": picture}

    def _places(self, row: Row) -> Iterator[tuple[str, str, list[str]]]:
        """Of each picture of a row the folder, and the columns that tell it from the other pictures of the image."""
        labels = ("data_set", "degradation", "model", "method")
        data_set, degradation, model, method = (self.names.of(label, row[label]) for label in labels)
        split, loss = row["split"], loss_label(row["target_loss"])
        yield "original", f"{data_set}/{split}", []
        yield "degraded", f"{data_set}/{degradation}/{split}", ["degradation"]
        yield "recovered", f"{data_set}/{model}/{loss}/{degradation}/{method}/{split}", _OF_RECOVERY

    def _list(self) -> None:
        text = io.StringIO()
        table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        table.writeheader()
        for name, row in sorted(self.written.items()):
            cells = {"file": name, **row}
            table.writerow({key: no_formula(cell) if isinstance(cell, str) else cell for key, cell in cells.items()})
        write_user_file(self.place / LIST, text.getvalue().encode(), ELSEWHERE)


def _as_file_name(text: str) -> str:
    """The text with letters, digits and - _ . alone, which lead out of no folder and hide no file."""
    letters = "".join(
        letter if letter.isalnum() or letter in "-_." else "_" for letter in unicodedata.normalize("NFC", text)
    )
    cut = letters.encode(errors="replace")[:LONGEST_NAME].decode(errors="ignore")
    return cut.lstrip(".").rstrip(". ") or "_"
