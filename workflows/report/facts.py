"""What the sections of a page are made of, read from the run's folder once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pandas as pd
from pyarrow.dataset import scalar

from memrec_core.errors import InputError
from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.report.gallery import Gallery, Sources, gallery_of
from workflows.report.image_table import image_table
from workflows.run.catalogue import Catalogue
from workflows.run.checkpoint_files import sidecars_of
from workflows.run.claims import kept_claims
from workflows.run.compacted import WrongFilesError
from workflows.run.heartbeat import Heartbeat
from workflows.run.images import kept_catalogues, sentences_of
from workflows.run.plan import planned_units
from workflows.run.rates import incomplete, makers_of, mixed
from workflows.run.results import chosen_rows
from workflows.run.rows import set_files_aside
from workflows.run.run import Run
from workflows.run.schema import Maker
from workflows.run.store import AUDIT, RATES, THRESHOLDS, Store
from workflows.run.survey import survey
from workflows.run.unit import Unit

COLUMNS = [
    *("data_set", "model", "split", "image_id", "label", "multiplicity"),
    *("degradation", "method", "mse", "train_mse"),
]


@dataclass(frozen=True)
class Facts:
    """All that a page may say of a run.

    Args:
        run: its experiment and folder.
        rates: as they were aggregated.
        thresholds: the rates at all thresholds.
        claims: how right methods are of their results; without rows where none says anything.
        audit: what audit.json says, of an audit's run.
        incomplete: what is missing, in a sentence; empty where nothing is.
        remarks: what a reader of the figures must know of the images, and of what made the results.
        catalogues: what the images are, by their data sets' labels.
        rows: each recovery at the lowest training loss of its network.
        gallery: the pictures; None where the run kept none.
        sidecars: what is known of each checkpoint.
        made_by: which versions and devices made the results, each once; nothing where the rates don't say.
        driver: what the last driver said of itself.
        failures: why what was given up was, by its name.
        time: when the page is made.
        done: the units that are there.
        pages: links to pages that have all pictures, and what they are called.
    """

    run: Run
    rates: pd.DataFrame
    thresholds: pd.DataFrame
    claims: pd.DataFrame
    audit: Mapping[str, Any] | None
    incomplete: str
    remarks: Sequence[str]
    catalogues: Mapping[str, Catalogue]
    rows: pd.DataFrame
    gallery: Gallery | None
    sidecars: Sequence[Mapping[str, Any]]
    made_by: Sequence[Maker]
    driver: Heartbeat | None
    failures: Mapping[str, str]
    time: datetime
    done: Sequence[Unit] = ()
    pages: list[tuple[str, str]] = field(default_factory=list)

    @property
    def experiment(self) -> Experiment:
        return self.run.experiment

    @property
    def store(self) -> Store:
        return self.run.store

    @cached_property
    def titles(self) -> dict[str, str]:
        """What the page calls the methods, by their labels."""
        return self.experiment.titles

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each method in their order, which is that of its colour."""
        return {method: place for place, method in enumerate(self.titles)}

    @cached_property
    def degradations(self) -> list[str]:
        """The labels of the degradations, in their order."""
        return [degradation.label for degradation in self.experiment.degradations]

    @cached_property
    def images(self) -> pd.DataFrame:
        """Each image at the lowest training loss, and how often it came back; see `image_table`."""
        return image_table(self.rows)

    @cached_property
    def has_control(self) -> bool:
        return bool((self.rates["split"] == "control").any())


def facts_of(run: Run) -> Facts:
    """What is known of a run.

    Raises InputError where there are no rates yet, and ResultsError where rows can't be read; their files are set
    aside.
    """
    store = run.store
    if not store.exists(RATES):
        raise InputError(f"{store.uri} has no {RATES} yet; memrec aggregate makes it")
    rates = store.read_table(RATES).to_pandas()
    if rates.empty:
        raise InputError(f"{store.uri} has no results yet; memrec recover makes them")
    units, waiting = planned_units(run)
    known = kept_catalogues(store, [*units, *waiting])
    done = survey(store, units, waiting).done
    last = _at_lowest_loss(done)
    try:
        rows = chosen_rows(store, last, known, COLUMNS, scalar(True), mend=True)
        gallery = gallery_of(Sources(run, done, known, rows))
    except WrongFilesError as error:
        set_files_aside(store, error)
    return Facts(
        run,
        rates,
        store.read_table(THRESHOLDS).to_pandas(),
        kept_claims(store),
        _audit(store),
        incomplete(rates, done, len(units) + len(waiting)),
        [*filter(None, [mixed(rates)]), *sentences_of(run)],
        known,
        rows,
        gallery,
        [metadata for _, metadata in sidecars_of(run)],
        makers_of(rates),
        Heartbeat.last(store),
        store.failures(),
        datetime.now(UTC),
        done,
    )


def _at_lowest_loss(done: Sequence[Unit]) -> list[Unit]:
    """Of the units those at the lowest training loss that any has of their network, and those without a network."""
    lowest: dict[str, float] = {}
    for unit in done:
        if unit.target_loss is not None:
            lowest[unit.model] = min(unit.target_loss, lowest.get(unit.model, unit.target_loss))
    return [unit for unit in done if unit.model == GENERIC or unit.target_loss == lowest.get(unit.model)]


def _audit(store: Store) -> Mapping[str, Any] | None:
    """Raises InputError where audit.json is damaged."""
    if not store.exists(AUDIT):
        return None
    try:
        found = json.loads(store.read(AUDIT))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise damaged_audit(store)
    return found


def damaged_audit(store: Store) -> InputError:
    return InputError(
        f"{store.show(AUDIT)} is not the answer of an audit; remove it, or give the same memrec audit again"
    )
