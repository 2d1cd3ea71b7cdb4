"""A comparison's figures in words, the same for the terminal and the page."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from workflows.comparison.compared import PAIRED, Comparison
from workflows.comparison.matching import KEY
from workflows.experiment.models import GENERIC
from workflows.words import loss_words, points, with_bounds

Row = Mapping[Hashable, Any]
EXAMPLES = 8
"""How many images that changed sides are named of a group."""


class Group(NamedTuple):
    """The images of a group that changed sides, from A to a run; the first EXAMPLES of each kind by their ids."""

    title: str
    run: str
    came: list[str]
    went: list[str]
    came_count: int
    went_count: int


def rate_words(row: Row, ending: str = "") -> str:
    """The count, and the rate with its interval, in %."""
    rate = with_bounds(*(row[f"{name}{ending}"] for name in ("rate", "low", "high")))
    return f"{row[f'count{ending}']}/{row[f'images{ending}']}: {rate}"


def difference_words(row: Row) -> str:
    """The difference in percentage points, with its interval; a star where it is not of pairs."""
    star = "" if row["interval"] == PAIRED else "*"
    return f"{points(*(row[f'difference{end}'] for end in ('', '_low', '_high')))}{star}"


def worth_a_line(differences: pd.DataFrame) -> pd.DataFrame:
    """The rows of training images, and those of control images of which any came back."""
    return differences[(differences["split"] == "train") | (differences[["count", "count_other"]].max(axis=1) > 0)]


def quiet_words(differences: pd.DataFrame) -> str:
    """A sentence for the rows that are left out; empty where none are."""
    quiet = len(differences) - len(worth_a_line(differences))
    rows = "row" if quiet == 1 else "rows"
    return f"In {quiet} more {rows}, of control images, none came back in either run." if quiet else ""


def networks_of(comparison: Comparison, rows: pd.DataFrame) -> pd.Series:
    """What the network of each row is called. Methods without one are asked of every data set: where the runs have
    several, the name says which."""
    several = comparison.differences["data_set"].nunique() > 1
    return rows["model"].mask((rows["model"] == GENERIC) & several, rows["model"] + ", " + rows["data_set"])


def summary_of(comparison: Comparison, rows: pd.DataFrame) -> str:
    """Of the rows of a run and a kind, those of training images: in how many more came back, in how many fewer, as far
    as intervals say so, and where the difference is largest, with the network where the method was asked of several."""
    rows = rows[rows["split"] == "train"].assign(network=lambda own: networks_of(comparison, own))
    sure = rows[(rows["difference_low"] > 0) | (rows["difference_high"] < 0)]
    total, more = len(rows), int((sure["difference"] > 0).sum())
    told = f"{rows['run'].iloc[0]} has {more} higher than A and {len(sure) - more} lower"
    words = f"Of {total} rates of training images, {told}; of {total - len(sure)} the difference may be 0."
    if sure.empty:
        return words
    largest = max(sure.to_dict("records"), key=lambda row: abs(row["difference"]))
    loss = "" if pd.isna(largest["target_loss"]) else f", training loss {loss_words(largest['target_loss'])}"
    where = f"{comparison.titles[largest['method']]}, {largest['degradation']}{loss}"
    alike = rows["network"][rows["method"] == largest["method"]]
    network = f"{largest['network']}, " if alike.nunique() > 1 else ""
    return f"{words} The largest difference, in points: {difference_words(largest)}, {network}{where}."


def groups_of(comparison: Comparison, kind: str) -> Iterator[Group]:
    """The images that changed sides, by run and group, from the lowest training loss up."""
    changed = comparison.changed[comparison.changed["kind"] == kind]
    changed = changed.assign(network=networks_of(comparison, changed))
    by = ["run", "network", *KEY]
    for key, rows in changed.groupby(by, sort=False, dropna=False):
        row: dict[str, Any] = dict(zip(by, key, strict=True))
        came, went = rows[rows["only_in_other"]], rows[~rows["only_in_other"]]
        title = ", ".join(
            [
                row["network"],
                loss_words(row["target_loss"]),
                row["degradation"],
                comparison.titles[row["method"]],
                row["split"],
            ]
        )
        ids, ids_of_base = (some.head(EXAMPLES).tolist() for some in (came["image_id_other"], went["image_id"]))
        yield Group(title, row["run"], ids, ids_of_base, len(came), len(went))


def named(ids: list[str], count: int) -> str:
    return ", ".join(ids) + (f" and {count - len(ids):,} more" if count > len(ids) else "")
