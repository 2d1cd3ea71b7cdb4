"""Which of a run's rates belong together: those at the lowest training loss, and those without a network beside."""

import pandas as pd

from workflows.experiment.models import GENERIC


def at_lowest_loss(of_model: pd.DataFrame) -> pd.DataFrame:
    """Of a model's rates, those at its lowest training loss; all of a network that was not trained here."""
    lowest = of_model["target_loss"].min()
    return of_model if pd.isna(lowest) else of_model[of_model["target_loss"] == lowest]


def generic_beside(of_model: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Of the rates, those of the methods without a network on a model's own data set."""
    return rates[(rates["model"] == GENERIC) & rates["data_set"].isin(of_model["data_set"])]


def by_model(rates: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rates of each network, by its label."""
    return [(str(model), of_model) for model, of_model in rates[rates["model"] != GENERIC].groupby("model", sort=False)]


def last_of(of_model: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """A model's rates at its lowest training loss, with those without a network."""
    return pd.concat([at_lowest_loss(of_model), generic_beside(of_model, rates)])
