"""How right the methods are that say what they believe of their results."""

import pandas as pd
from markupsafe import Markup

from workflows.report.facts import Facts
from workflows.report.section import Section
from workflows.report.tabular import Table
from workflows.report.templates import filled
from workflows.words import EXACTLY, in_one_line, number, share

TEMPLATE = """
<p class="note">Some methods say of each result, without having seen the original, whether they believe it to be an
image that the network was trained on: they claim it. Precision: of the images that a method claimed, how many were
right. Recall: of the training images that came back, how many it claimed. Right is a training image that came back,
exactly (MSE under 10⁻⁷) or approximately (MSE under 5·10⁻⁴); a claim on a control image is always wrong. In brackets
are 95 % Clopper-Pearson intervals.</p>
{{ ui.table(table) }}
"""


def _body(facts: Facts) -> Markup | None:
    if facts.claims.empty:
        return None
    several = [name for name in ("data_set", "model", "method") if facts.claims[name].nunique() > 1]
    rows = []
    for row in facts.claims.to_dict("records"):
        trained = row["claimed"] - row["claimed_control"]
        cells = [
            _share(row, f"{kind}_{name}", row[f"{kind}_right"], row[total.format(kind)])
            for kind in EXACTLY
            for name, total in (("precision", "claimed"), ("recall", "{}_count"))
        ]
        names = [facts.titles[row[name]] if name == "method" else row[name] for name in several]
        names += [number(row["train_loss"], ".3g"), row["degradation"]]
        counts = [f"{trained}/{row['images'] - row['control']}", f"{row['claimed_control']}/{row['control']}"]
        rows.append([*names, *counts, *cells])
    columns = [*(name.replace("_", " ") for name in several), "training loss", "degradation"]
    columns += ["train, claimed", "control, claimed"]
    columns += [f"{how}: {name}" for how in EXACTLY.values() for name in ("precision", "recall")]
    named = len(several) + 2
    return filled(TEMPLATE, table=Table(_caption(facts, several), columns, rows, heads=named, name="claims-table"))


SECTION = Section("claims", "What the method believed", _body)


def _caption(facts: Facts, several: list[str]) -> str:
    """What all rows have in common stands above them."""
    row = facts.claims.iloc[0]
    common = [facts.titles[row["method"]]] if "method" not in several else []
    common += [str(row[name]) for name in ("model", "data_set") if name not in several]
    return ", ".join(["Claims", *common])


def _share(row: dict, name: str, right: int, total: int) -> str:
    """A share with its interval, and of how many; nothing where it is of none."""
    if not total or pd.isna(row[name]):
        return ""
    return f"{in_one_line(share(row[name], row[f'{name}_low'], row[f'{name}_high']))},\u00a0{right}/{total}"
