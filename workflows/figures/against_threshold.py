"""Figure F.4: recovery against the threshold under which an image counts as back, at the lowest training loss."""

from collections.abc import Iterator

from workflows.figures.panels import RECOVERY, Panel, panels
from workflows.figures.source import Drawing, NothingToDrawError, Source


def figure_f4(source: Source) -> Iterator[Drawing]:
    labels = source.degradations(noisy=False)
    if not labels:
        raise NothingToDrawError("all degradations of the run have noise")
    for model in source.models_to_draw():
        rows = source.of_training_images(source.thresholds, model)
        rows = rows[(rows["target_loss"] == rows["target_loss"].min()) | rows["target_loss"].isna()]
        parts = [Panel(label, RECOVERY, rows[rows["degradation"] == label]) for label in labels]
        figure = panels(source, [part for part in parts if len(part.rows)], "threshold", "MSE threshold")
        yield Drawing(f"figureF4-{model}", figure)
