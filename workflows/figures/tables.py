"""Tables like 1 and 2 of the paper: rates by method and degradation, as LaTeX, Markdown and CSV."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from memrec_core.metrics import KINDS
from workflows.figures.source import Source
from workflows.run.rates import caveats
from workflows.words import percent, with_bounds

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
}
Cells = Sequence[Sequence[str]]


class Rates(NamedTuple):
    """A table of one network at its lowest training loss: the name of its files, its caption, and its cells, the first
    row and column of which are titles. `frame` has the same, a row a rate."""

    name: str
    caption: str
    cells: Cells
    frame: pd.DataFrame


def tables_of(source: Source) -> Iterator[Rates]:
    titles = source.run.experiment.titles
    labels = [one.label for one in source.run.experiment.degradations]
    for model in source.models():
        rows = source.of_training_images(source.rates, model)
        if rows.empty:
            continue
        lowest = rows["target_loss"].min()
        rows = rows[(rows["target_loss"] == lowest) | rows["target_loss"].isna()]
        notes = [f"Of {own}, {source.samples[own]}." for own in rows["data_set"].unique() if own in source.samples]
        notes += caveats(source.rates)
        counts = sorted({*rows["images"]})
        images = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        methods = [method for method in titles if (rows["method"] == method).any()]
        for kind in KINDS:
            cells = [["", *labels]]
            for method in methods:
                cells.append([titles[method], *(_cell(rows, method, label, kind) for label in labels)])
            trained_to = "" if pd.isna(lowest) else f" at a training loss of {lowest:g}"
            caption = (
                f"{kind.capitalize()} recovery (MSE under {_threshold(kind)}) of training images by {model}"
                f"{trained_to}: % of the {images} images, and its 95 % interval{'. ' if notes else ''}{' '.join(notes)}"
            )
            yield Rates(f"table-{kind}-{model}", caption, cells, _frame(rows, kind))


def _threshold(kind: str) -> str:
    """As 1e-7."""
    return f"{KINDS[kind]:.0e}".replace("e-0", "e-")


def _cell(rows: pd.DataFrame, method: str, degradation: str, kind: str) -> str:
    found = rows[(rows["method"] == method) & (rows["degradation"] == degradation)].to_dict("records")
    if not found:
        return "–"
    return with_bounds(*(found[0][f"{kind}_{name}"] for name in ("rate", "low", "high")), form=percent, to="–")


def _frame(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    columns = ["data_set", "model", "target_loss", "train_loss", "degradation", "method", "images"]
    return rows[[*columns, *(f"{kind}_{name}" for name in ("count", "rate", "low", "high"))]]


def as_latex(table: Rates) -> str:
    """With the rules of booktabs."""
    first, *rest = [[_in_latex(cell) for cell in row] for row in table.cells]
    lines = [
        r"% \usepackage{booktabs}, \usepackage[T1]{fontenc}",
        r"\begin{table}",
        rf"\caption{{{_in_latex(table.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(first) - 1)}}}",
        r"\toprule",
        rf"{' & '.join(first)} \\",
        r"\midrule",
        *(rf"{' & '.join(row)} \\" for row in rest),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _in_latex(text: str) -> str:
    escaped = "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
    return escaped.replace("–", "--")


def as_markdown(table: Rates) -> str:
    first, *rest = [[_in_markdown(cell) for cell in row] for row in table.cells]
    lines = [first, ["---", *["---:"] * (len(first) - 1)], *rest]
    return f"{_in_markdown(table.caption)}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in lines)


def _in_markdown(text: str) -> str:
    """As text: nothing of it is markup, nor ends a cell."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&!])", r"\\\1", " ".join(text.split()))


def as_csv(table: Rates) -> str:
    return table.frame.to_csv(index=False, lineterminator="\n")


WRITTEN: dict[str, Callable[[Rates], str]] = {"tex": as_latex, "md": as_markdown, "csv": as_csv}
"""By the ends of the files' names."""
