"""From the rows of a run to its recovery rates."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from memrec_core.errors import InputError
from memrec_core.metrics import ACCURATE, APPROXIMATE, THRESHOLDS, clopper_pearson, rate_difference
from memrec_core.recovery.result import STATUSES
from workflows.database import connected
from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment
from workflows.run.catalogue import Catalogue
from workflows.run.claims import COUNTED, claims_from, keep_claims, kept_claims
from workflows.run.compacted import Compaction, Source, WrongFilesError, read_from
from workflows.run.images import kept_catalogues
from workflows.run.plan import planned_units
from workflows.run.rates_file import are_of, forget_others, mixed_words
from workflows.run.rates_schema import DONE, GROUP, MADE_BY, PLANNED, RATES_SCHEMA, THRESHOLDS_SCHEMA, UNITS
from workflows.run.rows import CHECKSUM, FILE, Pieces, count_parts, set_files_aside
from workflows.run.run import Run
from workflows.run.schema import Maker
from workflows.run.store import AUDIT, RATES, Store
from workflows.run.store import THRESHOLDS as THRESHOLDS_FILE
from workflows.run.survey import survey
from workflows.run.unit import Unit, digest_of
from workflows.terminal import say

MEANS = ("psnr", "mse_missing", "mask_error", "evaluations")
_MEANT = {mean: mean for mean in MEANS} | {"psnr": "CASE WHEN psnr < 'infinity'::DOUBLE THEN greatest(psnr, 0) END"}
"""What means are of: one image without any error would make the PSNR of all infinite, and one whose iterates diverged
would take hundreds of dB from it."""
_PARTS = f"""
    SELECT {FILE}, {", ".join(GROUP)},
           count(*)                                       AS images,
           {CHECKSUM}                                     AS checksum,
           sum(multiplicity)                              AS copies,
           count(*) FILTER (mse < {ACCURATE})             AS accurate_count,
           count(*) FILTER (mse < {APPROXIMATE})          AS approximate_count,
           {", ".join(f"count(*) FILTER (status = '{status}') AS {status}" for status in STATUSES)},
           {", ".join(f"sum({own}) AS {mean}, count({own}) AS {mean}_count" for mean, own in _MEANT.items())},
           sum(fraction_missing)                          AS missing,
           count(fraction_missing)                        AS missing_count,
           sum(seconds)                                   AS seconds,
           {", ".join(f'count(*) FILTER (mse < {threshold}) AS "{threshold}"' for threshold in THRESHOLDS)},
           {", ".join(f"{count} AS {name}" for name, count in COUNTED.items())}
    FROM results
    GROUP BY ALL
"""
"""Of some rows, what each file has of each group."""
_COLUMNS = [*GROUP, *MEANS, "image_id", "multiplicity", "mse", "status", "fraction_missing", "seconds", "claimed"]
"""All that the rates are made of; never the pictures."""
_COUNTS = ("images", "copies", "accurate_count", "approximate_count")
_RATES = f"""
    SELECT {", ".join(GROUP)},
           round(sum(missing) / sum(missing_count), 12)   AS fraction_missing,
           {", ".join(f"sum({count})::BIGINT AS {count}" for count in _COUNTS)},
           {", ".join(f"sum({mean}) / sum({mean}_count) AS mean_{mean}" for mean in MEANS)},
           {", ".join(f"sum({count})::BIGINT AS {count}" for count in STATUSES)},
           sum(seconds)                                   AS seconds,
           {", ".join(f'sum("{name}")::BIGINT AS "{name}"' for name in (*THRESHOLDS, *COUNTED))}
    FROM parts
    GROUP BY ALL
"""


class _Tables(NamedTuple):
    """The rates at the two thresholds of the paper, and at all, and how right methods are about their results."""

    rates: pd.DataFrame
    thresholds: pd.DataFrame
    claims: pd.DataFrame


def aggregate(run: Run, show: Callable[[pd.DataFrame, pd.DataFrame], None] | None = None) -> pd.DataFrame:
    """The rates of a run, written to rates.parquet: one row a (checkpoint, degradation, method, split). They are shown,
    with the claims, before they are written: who may only read the run has them all the same, and then the StoreError.

    Only units of the plan count, so a foreign or half-written file never does. Columns: the identity; `images`, each
    picture once, and `copies`, with all its near-duplicates; `left_out`, the control images that do not count since
    they are near-duplicates of training images, and `seen`, those that count all the same. For accurate and approximate
    recovery the count, the rate in [0, 1] and its 95 % Clopper-Pearson bounds, and, for training images beside a
    control set, the rate minus that of the control images (`_excess`) with Newcombe's bounds. The mean PSNR in dB of
    the images with some error, the mean MSE on the missing pixels, the mean share of the mask estimated wrongly, mean
    evaluations, images by status and total seconds. The rates at all of metrics.THRESHOLDS go to thresholds.parquet, a
    row a threshold. How right methods are about their results goes to claims.parquet, which is not there where none
    says anything of them.

    Raises InputError where there are none, or it is not known what images they are of, and
    ResultsError where the rows of a unit can't be read, or are not the unit's; its file is set aside.
    """
    with Compaction(run.store) as compaction:
        units = _units_of(run)
        try:
            tables = _tables_of_units(run, units, compaction)
        except WrongFilesError as error:
            set_files_aside(run.store, error)
        if show is not None:
            show(tables.rates, tables.claims)
        _forget_verdict(run.store, units)
        forget_others(run.store, units.done)  # beside which what follows would be, should the disk be full
        keep_claims(run.store, tables.claims)
        for name, table, schema in (
            (THRESHOLDS_FILE, tables.thresholds, THRESHOLDS_SCHEMA),
            (RATES, tables.rates, RATES_SCHEMA),  # the last: they say what units the others are of
        ):
            run.store.write_table(name, pa.Table.from_pandas(table, schema, preserve_index=False))
        compaction.publish()
    return tables.rates


def _forget_verdict(store: Store, units: "_Units") -> None:
    """An audit's, unless it is of the rates of just these units, which are there."""
    if store.exists(AUDIT) and not are_of(store, units.done, len(units.planned)):
        store.remove(AUDIT)
        say(f"{store.show(AUDIT)} was the verdict on other results, and is removed; memrec audit makes it anew")


def rates_of(run: Run) -> pd.DataFrame:
    """The rates of a run's units that are there: as they were aggregated, or from the rows where other units are there
    by now. Raises as `aggregate` does, and leaves all files where they are."""
    units = _units_of(run)
    rates = _current_rates(run, units)
    return _tables_of_units(run, units).rates if rates is None else rates


def claims_of(run: Run) -> pd.DataFrame:
    """How right methods are about their results, likewise."""
    units = _units_of(run)
    return _tables_of_units(run, units).claims if _current_rates(run, units) is None else kept_claims(run.store)


def thresholds_of(run: Run) -> pd.DataFrame:
    """The rates at all thresholds, likewise."""
    units = _units_of(run)
    if _current_rates(run, units) is None or not run.store.exists(THRESHOLDS_FILE):
        return _tables_of_units(run, units).thresholds
    return run.store.read_table(THRESHOLDS_FILE).to_pandas()


class _Units(NamedTuple):
    """Those of a run's plan, and those of them that are there."""

    planned: list[Unit]
    done: list[Unit]


def _units_of(run: Run) -> _Units:
    named, waiting = planned_units(run)
    return _Units([*named, *waiting], survey(run.store, named, waiting).done)


def _current_rates(run: Run, units: _Units) -> pd.DataFrame | None:
    """Those that were aggregated; None where they are not of the units that are there."""
    if not run.store.exists(RATES):
        return None
    rates = run.store.read_table(RATES).to_pandas()
    return None if incomplete(rates, units.done, len(units.planned)) else rates


def _tables_of_units(run: Run, units: _Units, compaction: Compaction | None = None) -> _Tables:
    """What is made of the rows of the units, which may be compacted as they are read."""
    known = kept_catalogues(run.store, units.planned)
    counted = partial(_counted, run.store, known, compaction)
    rates, makers = read_from(run.store, units.done, counted, mend=compaction is not None)
    if rates.empty:
        raise InputError(f"{run.store.uri} has no results yet; memrec recover makes them")
    below = list(map(str, THRESHOLDS))
    thresholds = rates.melt([*GROUP, "fraction_missing", "images"], below, "threshold", "recovered").astype(
        {"threshold": "float64"}
    )
    thresholds = thresholds[[*GROUP, "fraction_missing", "threshold", "images", "recovered"]]
    claims = claims_from(rates)
    rates = rates.drop(columns=[*below, *COUNTED])
    for kind in ("accurate", "approximate"):
        _add_rate(rates, kind, f"{kind}_count")
        _add_excess(rates, kind)
    _add_rate(thresholds, "recovery", "recovered")
    _add_crossed(rates, known)
    tables = _Tables(*(_in_order(table, run.experiment) for table in (rates, thresholds, claims)))
    of_units = {DONE: len(units.done), PLANNED: len(units.planned), UNITS: digest_of(units.done)}
    tables.rates.attrs = {**of_units, MADE_BY: list(map(list, makers))}
    return tables


def _counted(
    store: Store, known: dict[str, Catalogue], compaction: Compaction | None, sources: list[Source]
) -> tuple[pd.DataFrame, list[Maker]]:
    """Counts and means of each group, and how many images are below each threshold; and what has made the rows."""
    pieces = Pieces(store, sources, _COLUMNS, rewritten=compaction is not None)
    keep = {} if compaction is None else {"keep": compaction.add}
    if compaction is not None:
        compaction.begin(sources, pieces.makers)
    with connected() as database:
        count_parts(database, _PARTS, pieces, known, **keep)
        return database.execute(_RATES).df(), sorted(set().union(*pieces.makers.values()))


def _add_crossed(rates: pd.DataFrame, known: dict[str, Catalogue]) -> None:
    """Of each row's split, how many images were trained on too: those that are left out, and those that count."""
    for column, trained_on in (("left_out", Catalogue.left_out), ("seen", Catalogue.seen)):
        counts = {label: len(trained_on(catalogue)) for label, catalogue in known.items()}
        control = rates["split"] == "control"
        rates[column] = rates["data_set"].map(counts).where(control, 0).astype("int64")


def _add_rate(table: pd.DataFrame, kind: str, count: str) -> None:
    table[f"{kind}_rate"] = table[count] / table["images"]
    table[f"{kind}_low"], table[f"{kind}_high"] = clopper_pearson(table[count], table["images"])


def _add_excess(rates: pd.DataFrame, kind: str) -> None:
    """The rate of training images minus that of control images, beside the former."""
    columns = [f"{kind}_count", "images"]
    identity = [column for column in GROUP if column != "split"]
    control = rates[rates["split"] == "control"][[*identity, *columns]]
    both = rates.merge(control, "left", identity, suffixes=("", "_control")).where(rates["split"] == "train")
    found, images, found_control, images_control = (
        both[column].astype("float64") for column in (*columns, *(f"{column}_control" for column in columns))
    )
    bounds = rate_difference(found, images, found_control, images_control)
    for name, values in zip(("excess", "excess_low", "excess_high"), bounds, strict=True):
        rates[f"{kind}_{name}"] = values


def _in_order(rates: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Sorted as the experiment lists its models, degradations and methods, from the highest training loss down, and
    from the highest threshold."""
    places: dict[Hashable, list[str]] = {
        "data_set": [data.label for data in experiment.data],
        "model": [*(model.label for model in experiment.models), GENERIC],
        "degradation": [degradation.label for degradation in experiment.degradations],
        "method": list(experiment.titles),
        "split": ["train", "control"],
    }

    def key(column: pd.Series) -> pd.Series:
        return column.map(places[column.name].index) if column.name in places else -column

    by = ["data_set", "model", "target_loss", "degradation", "method", "split", "threshold"]
    return rates.sort_values([name for name in by if name in rates], key=key, ignore_index=True)


def incomplete(rates: pd.DataFrame, there: Sequence[Unit] | None = None, planned: int | None = None) -> str:
    """A sentence that says what the rates are of, where units are missing, or other units are `there` by now than when
    they were aggregated, of so many `planned`; empty where neither is so."""
    done = rates.attrs.get(DONE)
    planned = rates.attrs.get(PLANNED) if planned is None else planned
    if done is None:
        return "Nothing is known of the work units that the rates are of; aggregate them again."
    if there is not None and digest_of(there) != rates.attrs.get(UNITS):
        these = f"{len(there)} are" if len(there) != done else "others are"
        return f"Incomplete: the rates are of {done} work units, and {these} there by now; aggregate them again."
    if done == planned:
        return ""
    return f"Incomplete: {done} of {planned} work units are there, and the rates are of their images alone."


def caveats(rates: pd.DataFrame) -> list[str]:
    """What a reader must know of the rates, a sentence each: that units are missing, or that several made them."""
    return [*filter(None, [incomplete(rates), mixed(rates)])]


def makers_of(rates: pd.DataFrame) -> list[Maker]:
    """What had made the rows that the rates are of; nothing where they don't say."""
    return [Maker(*one) for one in rates.attrs.get(MADE_BY, ())]


def mixed(rates: pd.DataFrame) -> str:
    """A sentence where the rates are of rows that several versions or devices have made; empty where one has."""
    return mixed_words(makers_of(rates))
