"""The rates against the threshold under which an error counts as recovered, as in figure F.4: movable."""

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from memrec_core.metrics import ACCURATE
from workflows.report.charts.axis import powers
from workflows.report.charts.chart import SPLITS, Measure, Plot
from workflows.report.charts.panel import across
from workflows.report.facts import Facts
from workflows.report.levels import by_model, last_of
from workflows.report.section import Section
from workflows.report.tabular import Cell, Table, json_text
from workflows.report.templates import filled
from workflows.words import power, rate

RECOVERY = Measure("recovery", "share of the images with an error under the threshold", "recovery")
TEMPLATE = """
<p class="note">An image counts as recovered when its mean squared error is under the threshold; the paper's are 10⁻⁷
(exact, accurate) and 5·10⁻⁴ (approximate). At the lowest training loss of each network.</p>
<div class="slider js"><label for="threshold">Threshold</label>
<input type="range" id="threshold" min="0" max="{{ values | length - 1 }}" step="1" value="{{ start }}">
<output for="threshold">MSE under {{ values[start] }}</output></div>
{% for title, chart, table in models %}
<h3>{{ title }}</h3>
{{ ui.chart(chart) }}
{{ ui.table(table) }}
{% endfor %}
<script type="application/json" id="thresholds-data">{{ data }}</script>
"""


def _body(facts: Facts) -> Markup | None:
    thresholds = facts.thresholds
    values = sorted((float(value) for value in thresholds["threshold"].unique()), reverse=True)
    networks = by_model(thresholds)
    if not networks or not values:
        return None
    start = min(range(len(values)), key=lambda place: abs(values[place] - ACCURATE))
    axis, models, rates = powers("MSE threshold", values), [], {}
    for number, (model, of_model) in enumerate(networks):
        last = last_of(of_model, thresholds)
        chart = Plot("threshold", axis, facts.titles, True).chart(RECOVERY.title, last, facts.degradations, RECOVERY)
        table, found = _table(facts, last, values, start, f"t{number}")
        rates |= found
        models.append((model, chart, table))
    words = [power(value) for value in values]
    data = {"values": words, "x": [across(axis, value) for value in values], "rates": rates}
    return filled(TEMPLATE, values=words, start=start, models=models, data=Markup(json_text(data)))


SECTION = Section("thresholds", "Rates against the threshold", _body)


def _table(
    facts: Facts, last: pd.DataFrame, values: Sequence[float], start: int, name: str
) -> tuple[Table, dict[str, list[str]]]:
    """The rates at the threshold that the slider is at, and by the keys of its cells those at all thresholds."""
    splits = [split for split in SPLITS if (last["split"] == split).any()]
    rows, found = [], {}
    known = {tuple(key): curve for key, curve in last.groupby(["degradation", "method", "split"], sort=False)}
    for degradation in facts.degradations:
        for method, title in facts.titles.items():
            cells = []
            for split in splits:
                curve = known.get((degradation, method, split))
                if curve is None:
                    cells.append(Cell(""))
                    continue
                key = f"{name}-{len(found)}"
                found[key] = _texts(curve, values)
                cells.append(Cell(found[key][start], key=key))
            if any(cell.key for cell in cells):
                rows.append([degradation, title, *cells])
    titles = [SPLITS[split] for split in splits]
    return Table("Share with an error under the threshold", ["degradation", "method", *titles], rows, heads=2), found


def _texts(curve: pd.DataFrame, values: Sequence[float]) -> list[str]:
    at = curve.set_index("threshold")
    return [rate(dict(at.loc[value]), "recovery") for value in values]
