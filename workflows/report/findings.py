"""What a run found, in a few sentences."""

import pandas as pd

from workflows.aggregate import METHOD_TITLES


def findings(rates: pd.DataFrame) -> list[str]:
    """One sentence for each model and degradation, about the checkpoint with the lowest training loss."""
    sentences = []
    for (model, degradation), group in rates.groupby(["model", "degradation"], sort=False):
        last = group[group["target_loss"] == group["target_loss"].min()]
        trained = last[last["split"] == "train"].set_index("method")
        control = last[last["split"] == "control"].set_index("method")
        parts = [
            _share(trained.loc[method], METHOD_TITLES[method]) for method in METHOD_TITLES if method in trained.index
        ]
        sentence = f"{model}, {degradation}, at a training loss of {last['target_loss'].iloc[0]:g}: {'; '.join(parts)}."
        if not control.empty:
            best = control.loc[control["accurate_count"].idxmax()]
            count = f"at most {int(best.accurate_count)}" if best.accurate_count else "none"
            sentence += f" Of the {int(best.images)} control images: {count}."
        sentences.append(sentence)
    return sentences


def _share(row: pd.Series, title: str) -> str:
    return f"{title} {int(row.accurate_count)} of {int(row.images)} ({100 * row.accurate_rate:.0f} %)"
