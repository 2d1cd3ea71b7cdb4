"""Each image of a run, and how often it came back: a row an image and network, for the page and for images.csv."""

import io

import pandas as pd

from memrec_core.metrics import ACCURATE, APPROXIMATE
from workflows.database import connected
from workflows.experiment.models import GENERIC
from workflows.words import no_formula

CSV = "report/images.csv"
_QUERY = f"""
    SELECT data_set, model, split, image_id, any_value(label) AS label, any_value(multiplicity) AS copies,
           count(*)                              AS attacks,
           count(*) FILTER (mse < {ACCURATE})    AS accurate,
           count(*) FILTER (mse < {APPROXIMATE}) AS approximate,
           min(mse)                              AS best_mse,
           max(mse)                              AS worst_mse,
           arg_min(method, mse)                  AS best_method,
           arg_min(degradation, mse)             AS best_degradation
    FROM recoveries WHERE model <> '{GENERIC}'
    GROUP BY data_set, model, split, image_id
    ORDER BY accurate DESC, approximate DESC, best_mse, split DESC, image_id
"""


def image_table(rows: pd.DataFrame) -> pd.DataFrame:
    """From the rows at the lowest training loss: of each image and network by how many attacks it was tried to get back
    and by how many it came back, accurately and approximately; the smallest error, and by what."""
    with connected() as database:
        database.register("recoveries", rows)
        return database.execute(_QUERY).df()


def as_csv(table: pd.DataFrame) -> bytes:
    """The table as CSV. A text that a spreadsheet would take for a formula begins with an apostrophe."""
    texts = table.select_dtypes(exclude="number").columns
    safe = table.assign(**{name: table[name].map(no_formula, na_action="ignore") for name in texts})
    buffer = io.StringIO()
    safe.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue().encode(errors="replace")
