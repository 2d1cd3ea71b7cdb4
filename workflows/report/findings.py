"""What a run found, in a few sentences."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from workflows.experiment.models import GENERIC
from workflows.experiment.resolved import Experiment


def findings(rates: pd.DataFrame, titles: dict[str, str]) -> list[str]:
    """One sentence for each model and degradation, about the checkpoint with the lowest training loss, and one for each
    data set and degradation about the methods that use no network."""
    sentences = []
    for (data_set, model, degradation), group in rates.groupby(["data_set", "model", "degradation"], sort=False):
        lowest = group["target_loss"].min()
        last = group if pd.isna(lowest) else group[group["target_loss"] == lowest]
        trained = {row["method"]: row for row in last[last["split"] == "train"].to_dict("records")}
        control = last[last["split"] == "control"].to_dict("records")
        parts = [_share(trained[method], title) for method, title in titles.items() if method in trained]
        if model == GENERIC:
            what = f"Generic inpainting of {data_set}, which uses no autoencoder, {degradation}"
        else:
            trained_to = ", which was not trained here" if pd.isna(lowest) else f", at a training loss of {lowest:g}"
            what = f"{model}, {degradation}{trained_to}"
        sentence = f"{what}: {'; '.join(parts)}."
        if control:
            best = max(control, key=lambda row: row["accurate_count"])
            count = f"at most {int(best['accurate_count'])}" if best["accurate_count"] else "none"
            sentence += f" Of the {int(best['images'])} control images: {count}."
        sentences.append(sentence)
    return sentences


def prior_words(experiment: Experiment) -> str:
    """Which generic priors were used, and whether they may have seen the images; empty where there are none."""
    priors = [entry for entry in experiment.methods if entry.prior]
    return " ".join(
        f"{entry.title}'s diffusion prior: {entry.prior}. May it have seen the audited images? "
        f"{getattr(entry.method, 'may_have_seen', 'not stated')}."
        for entry in priors
    )


def _share(row: Mapping[Hashable, Any], title: str) -> str:
    return f"{title} {int(row['accurate_count'])} of {int(row['images'])} ({100 * row['accurate_rate']:.0f} %)"
