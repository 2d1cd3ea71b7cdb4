"""What a run found, in a few sentences."""

import pandas as pd

from workflows.experiment.written import Experiment
from workflows.methods import GENERIC, METHODS


def findings(rates: pd.DataFrame) -> list[str]:
    """One sentence for each model and degradation, about the checkpoint with the lowest training loss, and one for each
    data set and degradation about the methods that use no network."""
    sentences = []
    for (data_set, model, degradation), group in rates.groupby(["data_set", "model", "degradation"], sort=False):
        lowest = group["target_loss"].min()
        last = group if model == GENERIC else group[group["target_loss"] == lowest]
        trained = last[last["split"] == "train"].set_index("method")
        control = last[last["split"] == "control"].set_index("method")
        parts = [_share(trained.loc[method], METHODS[method].title) for method in METHODS if method in trained.index]
        if model == GENERIC:
            what = f"Generic inpainting of {data_set}, which uses no autoencoder, {degradation}"
        else:
            what = f"{model}, {degradation}, at a training loss of {lowest:g}"
        sentence = f"{what}: {'; '.join(parts)}."
        if not control.empty:
            best = control.loc[control["accurate_count"].idxmax()]
            count = f"at most {int(best.accurate_count)}" if best.accurate_count else "none"
            sentence += f" Of the {int(best.images)} control images: {count}."
        sentences.append(sentence)
    return sentences


def prior_words(experiment: Experiment) -> str:
    """Which prior ddnm used; empty without ddnm."""
    if "ddnm" not in experiment.methods or experiment.ddnm is None:
        return ""
    seen = experiment.ddnm.may_have_seen
    return f"DDNM's diffusion prior: {experiment.ddnm.prior}. May it have seen the audited images? {seen}."


def _share(row: pd.Series, title: str) -> str:
    return f"{title} {int(row.accurate_count)} of {int(row.images)} ({100 * row.accurate_rate:.0f} %)"
