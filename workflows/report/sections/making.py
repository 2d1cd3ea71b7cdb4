"""How the results were made: when, by which versions, on which machine, and how the networks were trained."""

from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from memrec_core import __version__
from workflows.duration import duration
from workflows.report.facts import Facts
from workflows.report.section import Section
from workflows.report.tabular import Table
from workflows.report.templates import filled
from workflows.run.store import CLAIMS, IMAGES, RATES, RESULTS, THRESHOLDS
from workflows.words import power

TEMPLATE = """
<dl class="facts">
{% for name, words in facts %}<div><dt>{{ name }}</dt><dd>{{ words }}</dd></div>
{% endfor %}
</dl>
{% if trainings.rows %}{{ ui.table(trainings) }}{% endif %}
<h3>The files</h3>
<ul>
{% for link, words in files %}<li><a href="{{ link }}">{{ link | replace("../", "") }}</a>: {{ words }}</li>
{% endfor %}
</ul>
<pre tabindex="0">import pandas
results = pandas.read_parquet("{{ results }}")</pre>
<h3>The experiment</h3>
<details><summary>As it was resolved</summary><pre tabindex="0">{{ experiment }}</pre></details>
<p class="note">Method: Abitbul &amp; Dar, “How Much Training Data is Memorized in Overparameterized Autoencoders?
An Inverse Problem Perspective on Memorization Evaluation”, ECML PKDD 2024. The widths of the networks, the optimiser
and the masks are memrec's own.</p>
"""
FILES = {
    RATES: "the rates, a row a checkpoint, degradation, method and split",
    THRESHOLDS: "the rates at all thresholds",
    CLAIMS: "how right methods are about their results",
    IMAGES: "the images of the run",
}


def _body(facts: Facts) -> Markup:
    store = facts.store
    files = [(f"../{name}", words) for name, words in FILES.items() if store.exists(name)]
    files.insert(0, (f"../{RESULTS}/", "the results, a row an image, checkpoint, degradation and method"))
    return filled(
        TEMPLATE,
        facts=list(_facts(facts)),
        trainings=trainings(facts),
        files=files,
        results=store.show(RESULTS),
        experiment=facts.experiment.to_yaml(),
    )


SECTION = Section("making", "How it was made", _body)


def _facts(facts: Facts) -> Iterator[tuple[str, str]]:
    yield "Page", f"{facts.time:%Y-%m-%d %H:%M} UTC, by memrec {__version__}"
    yield (
        "Results",
        "; ".join(map(str, facts.made_by)) or "not recorded in these rates; memrec aggregate adds it",
    )
    driver = facts.driver
    if driver is not None:
        machine = (driver.machine or "a machine that is not recorded").split(" ")[0]
        yield "Last driver", f"{driver.state} at {driver.time:%Y-%m-%d %H:%M} UTC, on {machine}"
    seconds = driver.seconds_worked if driver is not None else None
    yield "Duration", "not recorded" if seconds is None else f"{duration(seconds)} in which a driver was at work"
    recoveries, seconds = int(facts.rates["images"].sum()), float(facts.rates["seconds"].sum())
    yield "Recovery", f"{recoveries:,} recoveries, {duration(seconds)} of work on all actors together"
    for what, reason in facts.failures.items():
        yield "Given up", f"{what}: {reason}"


def trainings(facts: Facts) -> Table:
    """Each checkpoint of a network that was trained here."""
    rows = []
    for sidecar in facts.sidecars:
        if sidecar.get("step") is not None:
            seconds = sidecar.get("seconds")
            rows.append(
                [
                    str(sidecar["model"]),
                    power(sidecar["target"]),
                    f"{sidecar['loss']:.3g}",
                    f"{sidecar['step']:,}",
                    "not recorded" if seconds is None or pd.isna(seconds) else duration(seconds),
                    str(sidecar.get("recipe") or "not recorded"),
                ]
            )
    return Table("Trainings", ["model", "target loss", "loss reached", "steps", "time", "recipe"], rows)
