"""All rates as a table."""

import math

from markupsafe import Markup

from workflows.report.facts import Facts
from workflows.report.levels import at_lowest_loss
from workflows.report.section import Section
from workflows.report.tabular import Cell, Table
from workflows.report.templates import filled
from workflows.words import Row, difference, number, rate

MOST = 1200
"""Of more rows, those at the lowest training losses are shown alone."""
TEMPLATE = """
{% if shortened %}<p class="note">Of {{ "{:,}".format(all) }} rows, those at the lowest training loss of each network;
the others are in <a href="../rates.parquet">rates.parquet</a>.</p>{% endif %}
<details>
<summary>{{ "{:,}".format(table.rows | length) }} rows, each a checkpoint, degradation, method and split</summary>
{{ ui.table(table) }}
</details>
"""
COLUMNS = [
    "data set",
    "model",
    "training loss",
    "degradation",
    "method",
    "split",
    "images",
    "copies",
    "left out",
    "exact",
]
COLUMNS += ["less control, %", "approximate", "mean PSNR, dB", "MSE, missing", "mask wrong, %", "evaluations"]
COLUMNS += ["not converged"]


def _body(facts: Facts) -> Markup:
    rates, shortened = facts.rates, len(facts.rates) > MOST
    if shortened:
        rates = rates.groupby("model", sort=False, group_keys=False)[rates.columns.tolist()].apply(at_lowest_loss)
    rows = [_row(facts, row) for row in rates.to_dict("records")]
    table = Table("Rates", COLUMNS, rows, heads=6, sortable=True, name="rates-table")
    return filled(TEMPLATE, table=table, shortened=shortened, all=len(facts.rates))


SECTION = Section("numbers", "Numbers", _body)


def _row(facts: Facts, row: Row) -> list[str | Cell]:
    means = (("mean_psnr", ".1f", 1), ("mean_mse_missing", ".1e", 1), ("mean_mask_error", ".2f", 100))
    return [
        row["data_set"],
        row["model"],
        number(row["train_loss"], ".3g"),
        row["degradation"],
        facts.titles[row["method"]],
        row["split"],
        str(row["images"]),
        str(row["copies"] - row["images"]),
        str(row["left_out"]),
        rate(row, "accurate"),
        _excess(row),
        rate(row, "approximate"),
        *(number(scale * row[name], form) for name, form, scale in means),
        number(row["mean_evaluations"], ".0f"),
        str(row["images"] - row["converged"]),
    ]


def _excess(row: Row) -> str:
    if math.isnan(row["accurate_excess"]):
        return ""
    return difference(*(row[f"accurate_excess{end}"] for end in ("", "_low", "_high")))
