"""Figures 3, F.2, F.3 and G.1: recovery against the training loss."""

from collections.abc import Iterator
from functools import partial

from workflows.figures.panels import ACCURATE, APPROXIMATE, PSNR, Measure, Panel, panels, panels_of
from workflows.figures.source import Drawing, NothingToDrawError, Source

LOSS = "training loss"


def _under_masks(name: str, measure: Measure, source: Source) -> Iterator[Drawing]:
    """A panel for each degradation without noise, a figure for each network that was trained here."""
    labels = source.degradations(noisy=False)
    if not labels:
        raise NothingToDrawError("all degradations of the run have noise")
    for model in source.models_to_draw(trained=True):
        rows = source.of_training_images(source.rates, model)
        parts = panels_of(rows, labels, measure)
        if parts:
            yield Drawing(f"{name}-{model}", panels(source, parts, "target_loss", LOSS))


def _under_noise(source: Source) -> Iterator[Drawing]:
    """Under each degradation with noise the three measures side by side."""
    labels = source.degradations(noisy=True)
    if not labels:
        raise NothingToDrawError("no degradation of the run has noise (figureG1 is the experiment of it)")
    for model in source.models_to_draw(trained=True):
        rows = source.of_training_images(source.rates, model)
        for label in labels:
            own = rows[rows["degradation"] == label]
            if len(own):
                parts = [Panel("", measure, own) for measure in (ACCURATE, APPROXIMATE, PSNR)]
                yield Drawing(f"figureG1-{model}-{label}", panels(source, parts, "target_loss", LOSS))


figure_3 = partial(_under_masks, "figure3", ACCURATE)
figure_f2 = partial(_under_masks, "figureF2", APPROXIMATE)
figure_f3 = partial(_under_masks, "figureF3", PSNR)
figure_g1 = _under_noise
