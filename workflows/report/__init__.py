"""One HTML page of a run: the rates against the training loss, pictures, and the numbers. Opens without a network."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.offline

from memrec_core.errors import InputError
from workflows.report.curves import noise_curves, rate_curves, threshold_curves
from workflows.report.fills import fill_tables
from workflows.report.findings import findings, prior_words
from workflows.report.pictures import picture_rows
from workflows.report.verdict import verdict_of
from workflows.run.claims import kept_claims
from workflows.run.images import kept_catalogues, sentences_of
from workflows.run.plan import planned_units
from workflows.run.rates import incomplete
from workflows.run.run import Run
from workflows.run.store import RATES, RECOVERY, REPORT, THRESHOLDS
from workflows.run.survey import survey

TEMPLATES, PAGE = Path(__file__).parent, "page.html.j2"


def write_report(run: Run) -> None:
    """Write report/index.html from the run's rates and results. Raises InputError where there are no rates yet."""
    experiment, store = run.experiment, run.store
    if not store.exists(RATES):
        raise InputError(f"{store.uri} has no {RATES} yet; memrec aggregate makes it")
    rates = store.read_table(RATES).to_pandas()
    if rates.empty:
        raise InputError(f"{store.uri} has no results yet; memrec recover makes them")
    units, waiting = planned_units(run)
    known = kept_catalogues(store, [*units, *waiting])
    done = survey(store, units, waiting).done
    degradations = [degradation.label for degradation in experiment.degradations]
    templates = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=templates, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.get_template(PAGE).render(
        experiment=experiment,
        experiment_yaml=experiment.to_yaml(),
        verdict=verdict_of(store),
        incomplete=incomplete(rates, done, len(units) + len(waiting)),
        findings=findings(rates, experiment.titles),
        images=sentences_of(run),
        seen=int(rates["seen"].sum()),
        curves=rate_curves(rates, degradations, experiment.titles),
        threshold_curves=threshold_curves(store.read_table(THRESHOLDS).to_pandas(), degradations, experiment.titles),
        noise_curves=noise_curves(rates, experiment.degradations, experiment.titles),
        fill_tables=fill_tables(rates, experiment.degradations, experiment.titles),
        claims=_rows(kept_claims(store), experiment.titles),
        prior_words=prior_words(experiment),
        pictures=picture_rows(run, done, known),
        rates=_rows(rates, experiment.titles),
        recovery_path=store.show(RECOVERY),
        plotly_js=plotly.offline.get_plotlyjs(),
    )
    store.write(REPORT, page.encode())


def _rows(rates: pd.DataFrame, titles: dict[str, str]) -> list[dict[Hashable, Any]]:
    """The rates, or claims, as the page's table shows them."""
    titled = rates.assign(method=rates["method"].map(titles)).astype(object)
    return titled.where(rates.notna(), None).to_dict("records")
