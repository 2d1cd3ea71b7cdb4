"""A run as people and commands ask it.

What reads the results is imported where it is asked for: pandas and DuckDB take a second, which a status must not.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memrec_core.errors import InputError, shown
from workflows.run.identity import experiment_of
from workflows.run.plan import Plan, load_plan
from workflows.run.run import Run
from workflows.run.status import Status, status_of
from workflows.run.store import Store

if TYPE_CHECKING:
    import pandas as pd


class OpenRun(Run):
    """A run's experiment and folder, and what they tell: for notebooks, and for the commands.

    Nothing of it is kept in memory: a run that is under way answers with what is there by now.
    """

    def plan(self) -> Plan:
        """The work units. Raises InputError before there are any."""
        return load_plan(self)

    def status(self, verify: bool = False) -> Status:
        """What is done and what is left; to `verify`, each unit's file is looked into, not at its name alone."""
        return status_of(self, verify)

    def results(self, columns: Sequence[str] | None = None, **where: Any) -> "pd.DataFrame":
        """The rows of the run's units that are there, one a (checkpoint, degradation, method, image).

        Args:
            columns: those wanted, of workflows.run.schema; all where left out.
            where: by column the value that rows must have, or a list of values: method="known_mask", split="train".

        Raises InputError for a column that there is not or a value that it can't have, and ResultsError where a file's
        rows can't be read, or are not its unit's; it stays where it is, until memrec run or memrec aggregate sets it
        aside.
        """
        from workflows.run.results import results_of

        return results_of(self, columns, where)

    def rates(self) -> "pd.DataFrame":
        """The recovery rates of what is there: those of rates.parquet, or, where other units are there by now, from the
        rows. Nothing is written. Raises InputError where there are no results yet, and ResultsError as `results` does.
        """
        from workflows.run.rates import rates_of

        return rates_of(self)

    def thresholds(self) -> "pd.DataFrame":
        """The recovery rates at all of metrics.THRESHOLDS, a row a threshold, likewise."""
        from workflows.run.rates import thresholds_of

        return thresholds_of(self)

    def claims(self) -> "pd.DataFrame":
        """How right the methods that judge their results are about them: precision and recall of their claims, a row a
        (checkpoint, degradation, method), as `rates` are of what is there; without rows where no method does."""
        from workflows.run.rates import claims_of

        return claims_of(self)

    def pictures(self, **where: Any) -> "pd.DataFrame":
        """The rows of which pictures were kept, with `original`, `degraded`, `recovered` and `estimated_mask` (None
        where a method has none) as PIL images; `where` is that of `results`."""
        from workflows.run.results import pictures_of

        return pictures_of(self, where)


def open_run(uri: str | PathLike[str]) -> OpenRun:
    """The run in a folder: a local path, or an object store's URI such as s3://bucket/run. Raises InputError where
    there is none."""
    if not isinstance(uri, str | PathLike) or not str(uri).strip():
        raise InputError(f"{shown(uri)} is no run's folder; give its path, or a URI such as s3://bucket/run")
    store = Store(str(uri) if "://" in str(uri) else str(Path(uri).expanduser()))
    return OpenRun(experiment_of(store), store)
