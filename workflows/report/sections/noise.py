"""The rates against the noise, where a degradation is there with noise of several strengths."""

from markupsafe import Markup

from workflows.report.charts.axis import numbers
from workflows.report.charts.chart import ACCURATE, APPROXIMATE, Chart, Plot
from workflows.report.facts import Facts
from workflows.report.levels import by_model, last_of
from workflows.report.section import Section
from workflows.report.templates import filled
from workflows.report.variations import variations

TEMPLATE = """
<p class="note">The same degradations with Gaussian noise of several strengths, pixels in [0, 1], at the lowest training
loss.</p>
{% for model, charts in models %}
<h3>{{ model }}</h3>
{% for chart in charts %}{{ ui.chart(chart) }}{% endfor %}
{% endfor %}
"""


def noise_charts(facts: Facts) -> list[tuple[str, list[Chart]]]:
    """By each network's label, the charts of accurate and of approximate recovery."""
    varied = variations(facts.experiment.degradations, "noise_std")
    bases = {label: one.base for label, one in varied.items()}
    rates = facts.rates[facts.rates["degradation"].isin(bases)]
    rates = rates.assign(degradation=rates["degradation"].map(bases))
    axis = numbers("standard deviation of the noise", [float(one.value) for one in varied.values()])
    plot, labels = Plot("noise_std", axis, facts.titles), list(dict.fromkeys(bases.values()))
    return [
        (model, [plot.chart(kind.title, last_of(of_model, rates), labels, kind) for kind in (ACCURATE, APPROXIMATE)])
        for model, of_model in by_model(rates)
    ]


def _body(facts: Facts) -> Markup | None:
    models = noise_charts(facts)
    return filled(TEMPLATE, models=models) if models else None


SECTION = Section("noise", "Rates against the noise", _body)
