"""The images that came back, one by one."""

import pandas as pd
from markupsafe import Markup

from memrec_core.metrics import clopper_pearson
from workflows.report.facts import Facts
from workflows.report.fragment import link_to
from workflows.report.image_table import CSV
from workflows.report.section import Section
from workflows.report.tabular import Cell, Table
from workflows.report.templates import filled
from workflows.words import SPLITS, power, share

MOST = 400
"""So many images are listed for each network; the file beside has all."""
TEMPLATE = """
<p class="note">At the lowest training loss of each network. An attack is a method under a degradation. Each image, with
what it came to, is in <a href="{{ csv }}">images.csv</a>.</p>
{% for model, sentences, table, left_out in models %}
<h3>{{ model }}</h3>
<ul>{% for words in sentences %}<li>{{ words }}</li>{% endfor %}</ul>
{% if table.rows %}
{{ ui.table(table) }}
{% if left_out %}<p class="note">{{ "{:,}".format(left_out) }} more are in the file.</p>{% endif %}
{% endif %}
{% endfor %}
"""


def _body(facts: Facts) -> Markup | None:
    table = facts.images
    if table.empty:
        return None
    models = []
    for model, images in table.groupby("model", sort=False):
        back = images[images["approximate"] > 0]
        models.append((model, came_back(images), _table(facts, str(model), back.head(MOST)), max(len(back) - MOST, 0)))
    return filled(TEMPLATE, models=models, csv=CSV.rpartition("/")[2])


SECTION = Section("images", "Images that came back", _body)


def came_back(images: pd.DataFrame) -> list[str]:
    """Of each split how many images came back from at least one of the attacks."""
    sentences = []
    for split, words in SPLITS.items():
        among = images[images["split"] == split]
        if len(among):
            parts = []
            for kind, how in (("accurate", "exactly"), ("approximate", "at least approximately")):
                found = int((among[kind] > 0).sum())
                low, high = (float(bound) for bound in clopper_pearson(found, len(among)))
                parts.append(f"{found:,} came back {how}: {share(found / len(among), low, high)}")
            least, most = int(among["attacks"].min()), int(among["attacks"].max())
            fewer = "" if least == most else f"{least} to "
            tried = f"{fewer}{most} attacks{' each, so that it may become more' if fewer else ''}"
            sentences.append(f"Of {len(among):,} {words} images, by at least one of {tried}, {'; '.join(parts)}.")
    return sentences


def _table(facts: Facts, model: str, back: pd.DataFrame) -> Table:
    shown = set() if facts.gallery is None else {shown.key for shown in facts.gallery.images}
    rows = []
    for row in back.to_dict("records"):
        key = (row["data_set"], row["split"], row["image_id"])
        rows.append(
            [
                Cell(row["image_id"], link=link_to(*key) if key in shown else None),
                Cell(f"{row['accurate']} of {row['attacks']}", int(row["accurate"])),
                Cell(f"{row['approximate']} of {row['attacks']}", int(row["approximate"])),
                Cell(power(row["best_mse"]), float(row["best_mse"])),
                f"{facts.titles[row['best_method']]}, {row['best_degradation']}",
                SPLITS[row["split"]],
                "" if pd.isna(row["label"]) else row["label"],
            ]
        )
    columns = ["image", "exactly by", "approximately by", "smallest MSE", "by the attack", "split", "label"]
    return Table(f"Images that came back, {model}", columns, rows, sortable=True)
