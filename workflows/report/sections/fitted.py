"""The error of each recovery beside how well the network gives back the image itself, undamaged: its own loss."""

from collections.abc import Iterator

import pandas as pd
from markupsafe import Markup

from memrec_core.metrics import ACCURATE, APPROXIMATE
from workflows.experiment.models import GENERIC
from workflows.report.charts.axis import Axis, powers
from workflows.report.charts.chart import SPLITS, Chart
from workflows.report.charts.panel import COLOURS
from workflows.report.charts.scatter import Cloud, scatter
from workflows.report.facts import Facts
from workflows.report.section import Section
from workflows.report.tabular import Table
from workflows.report.templates import filled
from workflows.words import power

MOST = 200
"""Points of a method and split in a panel."""
TEMPLATE = """
<p class="note">Equal training loss is not equal memorisation: a loss may lie in a few images. To the right is how well
the network gives back an image that nothing was done to (its own loss; of control images, how well it does on others),
up how near the recovery came. Dots are training images, crosses control images; lines are the thresholds 10⁻⁷ and
5·10⁻⁴. An error of 0 lies at the end of its axis.{% if sampled %}
At most {{ most }} of each method and kind of images are drawn in a panel, evenly by their own loss; the table
has all.{% endif %}</p>
<ul class="legend" aria-label="Legend">
{% for name, colour in methods %}<li><svg viewBox="0 0 34 14" width="34" height="14" aria-hidden="true">
<path class="dots c{{ colour }}" d="M9 7h0"/><path class="crosses c{{ colour }}" d="M21 4l6 6m-6 0l6-6"/></svg>
{{ name }}</li>
{% endfor %}
</ul>
{% for model, chart in models %}
<h3>{{ model }}</h3>
{{ ui.chart(chart) }}
{% endfor %}
"""


def fitted_charts(facts: Facts) -> list[tuple[str, Chart]]:
    """By each network's label a chart, a panel for each degradation, of the rows whose own loss is known."""
    rows = facts.rows[(facts.rows["model"] != GENERIC) & facts.rows["train_mse"].notna() & facts.rows["mse"].notna()]
    return [(str(model), _chart(facts, own)) for model, own in rows.groupby("model", sort=False)]


def _chart(facts: Facts, rows: pd.DataFrame) -> Chart:
    x, y = powers("the image's own loss (MSE)", rows["train_mse"]), powers("", rows["mse"])
    panels = []
    for degradation in facts.degradations:
        clouds = list(_clouds(facts, rows[rows["degradation"] == degradation]))
        if clouds:
            title = f"{degradation}: error of the recovery by the image's own loss"
            panels.append((degradation, scatter(title, _described(clouds, x), clouds, x, y, (ACCURATE, APPROXIMATE))))
    return Chart("error of the recovery by the image's own loss", panels, [], _table(facts, rows))


def _clouds(facts: Facts, rows: pd.DataFrame) -> Iterator[Cloud]:
    for split in ("control", "train"):  # training images lie over the others
        for method, title in facts.titles.items():
            own = rows[(rows["split"] == split) & (rows["method"] == method)].sort_values("train_mse")
            own = own.iloc[:: -(-len(own) // MOST) or 1]
            if len(own):
                points = tuple(zip(own["train_mse"], own["mse"], strict=True))
                yield Cloud(title, facts.places[method], split == "control", points)


def _described(clouds: list[Cloud], x: Axis) -> str:
    """What a panel shows, in words."""
    parts = []
    for cloud in clouds:
        back = sum(error < ACCURATE for _, error in cloud.points)
        split = SPLITS["control" if cloud.control else "train"]
        parts.append(f"{cloud.name}: {back} of {len(cloud.points)} {split} that are drawn came back exactly")
    return f"{'; '.join(parts)}; against {x.title}."


def _table(facts: Facts, rows: pd.DataFrame) -> Table:
    """The median of the images' own losses, of those that came back and of those that did not."""
    back = rows.assign(back=rows["mse"] < ACCURATE)
    groups = back.groupby(["degradation", "method", "split", "back"])["train_mse"].agg(["median", "size"])
    cells = []
    for degradation in facts.degradations:
        for method, title in facts.titles.items():
            for split, words in SPLITS.items():
                ends = [(degradation, method, split, came) for came in (True, False)]
                if any(end in groups.index for end in ends):
                    cells.append([degradation, title, words, *(_median(groups, end) for end in ends)])
    columns = ["degradation", "method", "images", "median own loss of those exact", "of the others"]
    return Table("Images' own losses, by whether they came back exactly", columns, cells, heads=3)


def _median(groups: pd.DataFrame, key: tuple[str, str, str, bool]) -> str:
    if key not in groups.index:
        return "none"
    return f"{power(float(groups.loc[key, 'median']))} ({int(groups.loc[key, 'size'])})"  # pyright: ignore[reportArgumentType]


def _body(facts: Facts) -> Markup | None:
    models = fitted_charts(facts)
    counts = facts.rows.groupby(["model", "degradation", "method", "split"]).size()
    known = set(facts.rows[facts.rows["train_mse"].notna()]["method"])
    methods = [(title, facts.places[label] % COLOURS) for label, title in facts.titles.items() if label in known]
    if not models:
        return None
    return filled(TEMPLATE, models=models, methods=methods, most=MOST, sampled=bool((counts > MOST).any()))


SECTION = Section("fitted", "How well each image is fitted", _body)
