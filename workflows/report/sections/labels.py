"""What came back by the images' labels (classes)."""

import pandas as pd
from markupsafe import Markup

from memrec_core.metrics import ACCURATE, clopper_pearson
from workflows.database import connected
from workflows.report.facts import Facts
from workflows.report.section import Section
from workflows.report.tabular import Cell, Table
from workflows.report.templates import filled
from workflows.words import in_one_line, share

MOST = 250
"""So many labels are listed for each network."""
TEMPLATE = """
<p class="note">Training images that came back exactly under at least one degradation, with the 95 % interval of their
share, at the lowest training loss of each network. Of few images an interval is wide.</p>
{% for table in tables %}{{ ui.table(table) }}{% endfor %}
"""
_QUERY = f"""
    SELECT model, label, method, count(*) AS images, count(*) FILTER (mse < {ACCURATE}) AS found
    FROM (SELECT model, label, method, data_set, image_id, min(mse) AS mse FROM recoveries
          WHERE split = 'train' AND label IS NOT NULL
          GROUP BY ALL)
    GROUP BY ALL
"""


def label_tables(facts: Facts) -> list[Table]:
    """A table for each network, of the labels that its training images have."""
    with connected() as database:
        database.register("recoveries", facts.rows)
        found = database.execute(_QUERY).df()
    labelled = facts.images[facts.images["label"].notna() & (facts.images["split"] == "train")]
    return [
        _table(facts, str(model), of_model, found[found["model"] == model])
        for model, of_model in labelled.groupby("model")
    ]


def _table(facts: Facts, model: str, images: pd.DataFrame, by_method: pd.DataFrame) -> Table:
    methods = [method for method in facts.titles if method in set(by_method["method"])]
    rows = by_method.to_dict("records")
    counts = {(row["label"], row["method"]): (int(row["found"]), int(row["images"])) for row in rows}
    lines = []
    for label, labelled in images.groupby("label"):
        back, total = int((labelled["accurate"] > 0).sum()), len(labelled)
        cells = [_cell(*counts.get((label, method), (0, 0))) for method in methods]
        lines.append((-back / total, [str(label), Cell(f"{total:,}", total), _cell(back, total), *cells]))
    lines.sort(key=lambda line: line[0])
    more = f", the first {MOST} of {len(lines)} labels" if len(lines) > MOST else ""
    columns = ["label", "images", "by any method", *(facts.titles[method] for method in methods)]
    return Table(f"By label, {model}{more}", columns, [line for _, line in lines[:MOST]], sortable=True)


def _cell(found: int, images: int) -> Cell:
    if not images:
        return Cell("")
    low, high = (float(bound) for bound in clopper_pearson(found, images))
    return Cell(f"{found:,}: {in_one_line(share(found / images, low, high))}", found / images)


def _body(facts: Facts) -> Markup | None:
    tables = label_tables(facts)
    return filled(TEMPLATE, tables=tables) if tables else None


SECTION = Section("labels", "By label", _body)
