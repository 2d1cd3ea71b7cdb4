"""A comparison as a page: one file, without a script, that opens offline."""

from pathlib import Path
from typing import Any

import jinja2

from memrec_core.metrics import KINDS
from workflows.comparison.compared import INTERVALS, PAIRED, Comparison
from workflows.comparison.words import (
    difference_words,
    groups_of,
    named,
    networks_of,
    quiet_words,
    rate_words,
    summary_of,
    worth_a_line,
)
from workflows.words import loss_words

TEMPLATE = "page.html.j2"
WIDTH, HEIGHT, MARGIN = 140, 16, 4
"""Of the drawing of a difference, in pixels: from -100 to 100 points."""


def page_of(comparison: Comparison) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    used = comparison.differences["interval"].unique()
    return environment.get_template(TEMPLATE).render(
        comparison=comparison,
        sections=[_section(comparison, name, kind) for name in [*comparison.runs][1:] for kind in KINDS],
        changed=[(kind, [*groups_of(comparison, kind)]) for kind in KINDS],
        named=named,
        intervals={interval: words for interval, words in INTERVALS.items() if interval in used},
        paired=PAIRED,
        width=WIDTH,
        height=HEIGHT,
    )


def _section(comparison: Comparison, name: str, kind: str) -> dict[str, Any]:
    """The table of a run and a kind of recovery; the network is in it where there are several."""
    rows = comparison.differences.assign(network=networks_of(comparison, comparison.differences))
    several = rows["network"].nunique() > 1
    rows = rows[(rows["run"] == name) & (rows["kind"] == kind)]
    entries = [
        {
            "key": [
                *([row["network"]] if several else []),
                loss_words(row["target_loss"]),
                row["degradation"],
                comparison.titles[row["method"]],
                row["split"],
            ],
            "base": rate_words(row),
            "other": rate_words(row, "_other"),
            "difference": difference_words(row),
            "drawn": [_place(row[f"difference{end}"]) for end in ("_low", "", "_high")],
            "sure": row["difference_low"] > 0 or row["difference_high"] < 0,
            "came": row["came"] if row["common"] else "–",
            "went": row["went"] if row["common"] else "–",
        }
        for row in worth_a_line(rows).to_dict("records")
    ]
    return {
        "name": name,
        "kind": kind,
        "summary": summary_of(comparison, rows) if (rows["split"] == "train").any() else "",
        "network": "" if several or rows.empty else rows["network"].iloc[0],
        "threshold": f"{KINDS[kind]:g}",
        "titles": [*(["network"] if several else []), "training loss", "degradation", "method", "split"],
        "rows": entries,
        "quiet": quiet_words(rows),
    }


def _place(difference: float) -> float:
    """Where a difference of rates is drawn."""
    return round(MARGIN + (WIDTH - 2 * MARGIN) * (difference + 1) / 2, 1)
