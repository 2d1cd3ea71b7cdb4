"""Figure F.4: recovery against the threshold under which an image counts as back, at the lowest training loss."""

from collections.abc import Iterator

from workflows.figures.panels import RECOVERY, panels, panels_of
from workflows.figures.source import Drawing, NothingToDrawError, Source


def figure_f4(source: Source) -> Iterator[Drawing]:
    labels = source.degradations(noisy=False)
    if not labels:
        raise NothingToDrawError("all degradations of the run have noise")
    for model in source.models_to_draw():
        rows = source.of_training_images(source.thresholds, model)
        rows = rows[(rows["target_loss"] == rows["target_loss"].min()) | rows["target_loss"].isna()]
        if parts := panels_of(rows, labels, RECOVERY):
            yield Drawing(f"figureF4-{model}", panels(source, parts, "threshold", "MSE threshold"))
