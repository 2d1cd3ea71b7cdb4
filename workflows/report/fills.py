"""What erased pixels hold, beside what comes back: a table for each model of masks, fills and methods."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from memrec_core.degradations import Degradation
from workflows.experiment.models import GENERIC
from workflows.report.curves import at_lowest_loss, generic_beside, trained_to
from workflows.report.variations import variations


@dataclass(frozen=True)
class FillTable:
    """By mask and by a method's title, the accurate rate of training images under each of the fills, as text."""

    title: str
    fills: list[str]
    masks: dict[str, dict[str, list[str]]]


def fill_tables(rates: pd.DataFrame, degradations: Sequence[Degradation], titles: dict[str, str]) -> list[FillTable]:
    """One for each model, at its lowest training loss, of the masks that are there with several fills."""
    varied = variations(degradations, "fill")
    rates = rates[rates["degradation"].isin(varied) & (rates["split"] == "train")]
    tables = []
    for model, own in rates[rates["model"] != GENERIC].groupby("model", sort=False):
        last = pd.concat([at_lowest_loss(own), generic_beside(own, rates)])
        shares = {
            (varied[label].base, varied[label].value.label, method): f"{100 * rate:.0f}"
            for label, method, rate in last[["degradation", "method", "accurate_rate"]].itertuples(index=False)
        }
        fills = list(dict.fromkeys(fill for _, fill, _ in shares))
        methods = [method for method in titles if method in set(last["method"])]
        masks = {
            mask: {titles[method]: [shares.get((mask, fill, method), "-") for fill in fills] for method in methods}
            for mask in dict.fromkeys(mask for mask, _, _ in shares)
        }
        tables.append(FillTable(f"{model}{trained_to(own)}", fills, masks))
    return tables
