"""Recipes of training, by what comes back of the images: equal loss is not equal memorisation.

    python -m benchmarks.recipes [--networks fc10 ...] [--counts 50 ...] [--seeds 42 7] [--recipes adam,built ...]
                                 [--losses 1e-4 1e-6 1e-8] --results FILE

A recipe is an optimiser and a start, of memrec_core.training's RECIPES and STARTS, then a learning rate where it is not
the network's, or "-", then the size of a batch where it is not all images: adam_batched,contracting,3e-4,64. Each line
of FILE is the JSON of a checkpoint: the steps to it, and how many images come back by each method behind each of the
six masks. What FILE has already is not done again. It prints Markdown: the steps of each seed and the seconds; then for
each method the accurate % of all seeds and masks, in brackets mask by mask, and behind the stroke the approximate % of
all.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.networks import shape_of
from memrec_core import autoencoders, datasets, metrics, training
from memrec_core.datasets.image_set import ImageSet
from memrec_core.degradations import Erasure, joined
from memrec_core.degradations.masks import MASKS
from memrec_core.errors import TrainingError
from memrec_core.metrics import ACCURATE, APPROXIMATE
from memrec_core.reconstruction import reconstruction_error
from memrec_core.recovery import METHODS, Denoiser, Problem
from workflows.experiment.data_folder import default_root

SIX = tuple(MASKS.values())
ASKED = ("unknown_mask", "known_mask", "autoencoder_iterations")
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Network:
    """A network of 32 x 32 images, with the learning rate and gamma of its experiment's small variant."""

    architecture: str
    data: str
    options: dict[str, Any]
    learning_rate: float
    gamma: float
    first_mask: str = "coin_flips"


NETWORKS = {
    "fc10": Network("fc10", "tiny_imagenet", {"width": 512}, 1e-3, 0.5),
    "fc10-prelu": Network("fc10", "tiny_imagenet", {"width": 512, "activation": "prelu"}, 1e-3, 0.5),
    "fc20": Network("fc20", "tiny_imagenet", {"width": 512}, 5e-4, 0.5),
    "demo": Network("fc10", "photos", {"width": 256}, 1e-3, 0.5),
    "unet": Network("unet", "svhn", {"channels": [64, 64, 64, 64]}, 3e-3, 1.0, "zeros"),
}


def main() -> int:
    asked = _arguments()
    done = _done(asked.results)
    for name in asked.networks:
        for count in asked.counts:
            for seed in asked.seeds:
                for recipe in asked.recipes:
                    case = {"network": name, "count": count, "seed": seed, "recipe": recipe}
                    if not all(_key({**case, "loss": loss}) in done for loss in asked.losses):
                        for row in measured(case, asked.losses):
                            with asked.results.open("a", encoding="utf-8") as file:
                                file.write(json.dumps(row) + "\n")
    print(table(list(_done(asked.results).values()), asked))
    return 0


def measured(case: dict[str, Any], losses: Sequence[float]) -> Iterator[dict[str, Any]]:
    """A row for each loss; where the training does not reach one, `step` is None and nothing is recovered."""
    kind = NETWORKS[case["network"]]
    root: dict[str, Any] = {} if kind.data == "photos" else {"root": default_root(kind.data)}
    images = datasets.load(kind.data, **root, count=case["count"], size=32, seed=case["seed"])
    torch.manual_seed(case["seed"])
    model = autoencoders.build(kind.architecture, shape_of(images.images), **kind.options)
    rows: list[dict[str, Any]] = []

    def keep(model: nn.Module, reached: training.Reached) -> None:
        fitted = reconstruction_error(model, images.images)
        figures = {"step": reached.step, "seconds": reached.seconds, "median_mse": fitted.median().item()}
        with torch.no_grad():
            rows.append({**case, "loss": reached.target, **figures, "found": recovered(kind, model, images)})

    options = recipe(case["recipe"], kind)
    try:
        training.train(model, images.images, losses, case["seed"], keep, max_steps=MOST_STEPS, **options)
    except TrainingError as error:
        print(f"{case}: {error}", flush=True)
    yield from rows
    for loss in sorted(losses, reverse=True)[len(rows) :]:
        yield {**case, "loss": loss, "step": None, "seconds": None, "median_mse": None, "found": {}}


def recipe(text: str, kind: Network) -> dict[str, Any]:
    """The options of training.train."""
    optimiser, start, rate, batch = [*text.split(","), "-", "-"][:4]
    return {
        "optimiser": optimiser,
        "start": start,
        "learning_rate": kind.learning_rate if rate == "-" else float(rate),
        "batch_size": None if batch == "-" else int(batch),
    }


def recovered(kind: Network, model: nn.Module, images: ImageSet) -> dict[str, dict[str, list[int]]]:
    """By method and mask, how many images come back accurately, and approximately."""
    applied = [Erasure(mask) for mask in SIX]
    problem = Problem(
        torch.cat([own.degrade(images.images, images.ids, 42) for own in applied]),
        joined(
            [own.operator(shape_of(images.images), images.ids, 42) for own in applied], [len(images.ids)] * len(SIX)
        ),
        [0.0] * len(SIX) * len(images.ids),
        images.ids,
        42,
        repeats=len(SIX),
    )
    found = {}
    for method in ASKED:
        result = METHODS[method]().recover(Denoiser(model, kind.gamma, kind.first_mask), problem)
        errors = metrics.mse(result.images, images.images.repeat(len(SIX), 1, 1, 1)).view(len(SIX), -1)
        found[method] = {mask: _counts(own) for mask, own in zip(SIX, errors, strict=True)}
    return found


def _counts(errors: Tensor) -> list[int]:
    return [int((errors < threshold).sum()) for threshold in (ACCURATE, APPROXIMATE)]


def table(rows: list[dict[str, Any]], asked: argparse.Namespace) -> str:
    lines = []
    for name in asked.networks:
        for count in asked.counts:
            lines += [f"\n{name}, {count} images\n", f"| recipe | loss | steps | seconds | {' | '.join(ASKED)} |"]
            lines += ["|---|---|---|---|" + "---|" * len(ASKED)]
            for loss in asked.losses:
                for recipe in asked.recipes:
                    own = [
                        row
                        for row in rows
                        if (row["network"], row["count"], row["recipe"], row["loss"]) == (name, count, recipe, loss)
                        and row["seed"] in asked.seeds
                    ]
                    if own:
                        steps = " / ".join("none" if row["step"] is None else str(row["step"]) for row in own)
                        seconds = " / ".join("" if row["seconds"] is None else f"{row['seconds']:.0f}" for row in own)
                        cells = [_cell(own, method) for method in ASKED]
                        lines.append(f"| {recipe} | {loss:g} | {steps} | {seconds} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(rows: list[dict[str, Any]], method: str) -> str:
    """The accurate % over all seeds and masks, and mask by mask, then the approximate % over all."""
    rows = [row for row in rows if row["found"]]
    if not rows:
        return ""
    images = sum(row["count"] for row in rows)
    accurate, near = (
        [100 * sum(row["found"][method][mask][which] for row in rows) / images for mask in SIX] for which in (0, 1)
    )
    by_mask = " ".join(f"{share:.0f}" for share in accurate)
    return f"**{sum(accurate) / len(SIX):.0f}** ({by_mask}) / {sum(near) / len(SIX):.0f}"


def _done(file: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    return {_key(row): row for row in rows}


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("network", "count", "seed", "recipe", "loss"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["fc10", "fc20"])
    parser.add_argument("--counts", nargs="+", type=int, default=[50])
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 7])
    parser.add_argument("--recipes", nargs="+", default=["adam,built", "adam_quick,built", "adam_quick,mean"])
    parser.add_argument("--losses", nargs="+", type=float, default=[1e-4, 1e-6, 1e-8])
    parser.add_argument("--results", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
