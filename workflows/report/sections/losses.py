"""The rates against the training loss, as in figures 3, F.2 and F.3 of the paper."""

import pandas as pd
from markupsafe import Markup

from workflows.report.charts.axis import powers
from workflows.report.charts.chart import MEASURES, Plot
from workflows.report.facts import Facts
from workflows.report.levels import by_model, generic_beside
from workflows.report.section import Section
from workflows.report.templates import filled

TEMPLATE = """
<p class="note">The training loss falls to the right. Solid lines are training images, dashed ones with hollow marks
control images; bands are 95 % intervals (Clopper-Pearson); the mean PSNR has none, and leaves out images that
came back without any error.</p>
{{ ui.switch("measure", "Show", measures) }}
{% for model, charts in models %}
<h3>{{ model }}</h3>
{% for chart in charts %}{{ ui.chart(chart, true) }}{% endfor %}
{% endfor %}
"""
SWITCH = (("accurate", "exact"), ("approximate", "approximate"), ("psnr", "mean PSNR"))


def _body(facts: Facts) -> Markup | None:
    models = []
    for model, of_model in by_model(facts.rates[facts.rates["target_loss"].notna()]):
        losses = of_model["target_loss"].unique()
        if len(losses) < 2:
            continue
        # what methods without a network do is the same at every training loss
        generic = generic_beside(of_model, facts.rates).drop(columns="target_loss")
        rates = pd.concat([of_model, generic.merge(pd.DataFrame({"target_loss": losses}), "cross")])
        plot = Plot("target_loss", powers("training loss (MSE)", losses), facts.titles)
        charts = [plot.chart(measure.title, rates, facts.degradations, measure) for measure in MEASURES]
        models.append((model, charts))
    return filled(TEMPLATE, models=models, measures=SWITCH) if models else None


SECTION = Section("losses", "Rates against the training loss", _body)
