"""What erased pixels hold, beside what comes back, where a mask is there with several fills."""

import pandas as pd
from markupsafe import Markup

from workflows.report.facts import Facts
from workflows.report.levels import by_model, last_of
from workflows.report.section import Section
from workflows.report.tabular import Table
from workflows.report.templates import filled
from workflows.report.variations import variations
from workflows.words import power, rate

TEMPLATE = """
<p class="note">Training images that came back exactly, by what stands in the place of the erased pixels.</p>
{% for table in tables %}{{ ui.table(table) }}{% endfor %}
"""


def fill_tables(facts: Facts) -> list[Table]:
    """One for each network, at its lowest training loss, of the masks that are there with several fills."""
    varied = variations(facts.experiment.degradations, "fill")
    rates = facts.rates
    rates = rates[rates["degradation"].isin(varied) & (rates["split"] == "train")]
    tables = []
    for model, of_model in by_model(rates):
        last, loss = last_of(of_model, rates), of_model["target_loss"].min()
        shares = {
            (varied[str(row["degradation"])].base, str(row["method"]), varied[str(row["degradation"])].value.label): row
            for row in last.to_dict("records")
        }
        fills = list(dict.fromkeys(fill for *_, fill in shares))
        rows = [
            [mask, title, *(_share(shares.get((mask, method, fill))) for fill in fills)]
            for mask in dict.fromkeys(mask for mask, *_ in shares)
            for method, title in facts.titles.items()
            if method in set(last["method"])
        ]
        at = "" if pd.isna(loss) else f", at a training loss of {power(loss)}"
        tables.append(Table(f"{model}{at}", ["mask", "method", *fills], rows, heads=2))
    return tables


def _share(row: dict | None) -> str:
    return "–" if row is None else rate(row, "accurate")


def _body(facts: Facts) -> Markup | None:
    tables = fill_tables(facts)
    return filled(TEMPLATE, tables=tables) if tables else None


SECTION = Section("fills", "What the erased pixels hold", _body)
