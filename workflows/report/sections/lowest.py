"""The rates at the lowest training loss of each network, or of one that was not trained here: bars and figures."""

import pandas as pd
from markupsafe import Markup

from workflows.report.charts.panel import COLOURS
from workflows.report.facts import Facts
from workflows.report.levels import by_model, last_of
from workflows.report.section import Section
from workflows.report.templates import filled
from workflows.words import EXACTLY, Row, between, count, difference, percent, power

TEMPLATE = """
<p class="note">A bar is the share of the images that came back, the thin line on it its 95 % interval
(Clopper-Pearson). The difference, in points, is that of training and control images, with Newcombe's interval.</p>
{{ ui.switch("kind", "Came back", kinds) }}
{% macro key(line) %}
<svg class="key" viewBox="-6 -6 12 12" width="12" height="12" aria-hidden="true">
<use class="mark c{{ line.colour }}" href="#k{{ line.colour }}"/></svg>
{% endmacro %}
{% for title, lines in models %}
<h3>{{ title }}</h3>
{% for kind, words in kinds %}
<div class="scroll" data-kind="{{ kind }}" tabindex="0" role="region" aria-label="{{ title }}: came back {{ words }}">
<table class="rates">
<caption>Came back {{ words }}, {{ title }}</caption>
<thead><tr>
{% for column in columns %}<th scope="col">{{ column }}</th>{% endfor %}
</tr></thead>
<tbody>
{% for line in lines %}
<tr{% if line.first %} class="first"{% endif %}>
<th scope="row">{{ line.degradation }}</th><th scope="row">{{ key(line) }}{{ line.method }}</th>
<td data-title="{{ columns[2] }}">{% if line.train %}{{ ui.bar(line.train, kind, "c" ~ line.colour) }}
<b>{{ line.percent(kind) }} %</b> <small>{{ line.counted("train", kind) }}</small>{% endif %}</td>
{% if control %}
<td data-title="{{ columns[3] }}">{% if line.control %}{{ ui.bar(line.control, kind, "c" ~ line.colour, true) }}
<small>{{ line.counted("control", kind) }}</small>{% endif %}</td>
<td data-title="{{ columns[4] }}">{{ line.difference(kind) }}</td>
{% endif %}
</tr>
{% endfor %}
</tbody></table></div>
{% endfor %}
{% endfor %}
"""
COLUMNS = ["degradation", "method", "training images", "control images", "difference"]


class Line:
    """A method under a degradation: the rates of training and of control images."""

    def __init__(self, degradation: str, method: str, place: int, sides: dict[str, Row], first: bool) -> None:
        self.degradation, self.method, self.colour, self.sides, self.first = (
            degradation,
            method,
            place % COLOURS,
            sides,
            first,
        )

    @property
    def train(self) -> Row | None:
        return self.sides.get("train")

    @property
    def control(self) -> Row | None:
        return self.sides.get("control")

    def percent(self, kind: str) -> str:
        return percent(self.sides["train"][f"{kind}_rate"])

    def counted(self, split: str, kind: str) -> str:
        """How many of how many, with the interval of the rate."""
        row = self.sides[split]
        return f"{count(row, kind)} ({between(row[f'{kind}_low'], row[f'{kind}_high'])})"

    def difference(self, kind: str) -> str:
        """What training images have over control images."""
        row = self.train
        if row is None or pd.isna(row[f"{kind}_excess"]):
            return ""
        return difference(*(row[f"{kind}_excess{end}"] for end in ("", "_low", "_high")))


def _body(facts: Facts) -> Markup:
    models = []
    for model, of_model in by_model(facts.rates):
        loss = of_model["target_loss"].min()
        title = model if pd.isna(loss) else f"{model} at a training loss of {power(loss)}"
        models.append((title, _lines(facts, last_of(of_model, facts.rates))))
    if not models:  # methods without a network alone
        models = [
            (data_set, _lines(facts, of_data)) for data_set, of_data in facts.rates.groupby("data_set", sort=False)
        ]
    columns = COLUMNS if facts.has_control else COLUMNS[:3]
    return filled(TEMPLATE, models=models, kinds=[*EXACTLY.items()], control=facts.has_control, columns=columns)


SECTION = Section("lowest", "What came back, by mask and method", _body)


def _lines(facts: Facts, rates: pd.DataFrame) -> list[Line]:
    lines: list[Line] = []
    for degradation in facts.degradations:
        for method, title in facts.titles.items():
            tried = rates[(rates["degradation"] == degradation) & (rates["method"] == method)]
            sides: dict[str, Row] = {str(row["split"]): row for row in tried.to_dict("records")}
            if sides:
                first = not lines or lines[-1].degradation != degradation
                lines.append(Line(degradation, title, facts.places[method], sides, first))
    return lines
