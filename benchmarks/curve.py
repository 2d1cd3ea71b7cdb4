"""How long a training to 1e-4 takes by the number of its images: from what this machine can do to 25,000.

    python -m benchmarks.curve --results FILE [--recipe adam_batched] [--counts 50 ...] [--size 32]
                               [--width WIDTH] [--most-epochs 1000] [--seed 42] [--device cpu]

trains an fc20 on so many images of Tiny ImageNet from the start `contracting`: by `adam_batched` in batches of 64 or by
`soap_one_sided` in batches of half of them, of 500 at least. It is 512 wide, or as wide as makes the floor a tenth of
the target (`training.rank_for`; of more than 2,048 images that is a bound, so give --width), and its rate is the
smaller the wider it is. Each training is a line of JSON of FILE, and what FILE has is not done again. A training that
has not come to its target after --most-epochs is kept as one that did not.

It prints Markdown: the trainings of that recipe and size; then what a power of the number of images, fitted to the
epochs of those that came to the target, says of table 1 at its full size in such batches. The interval holds another
such training in 95 of 100 cases if the power goes on so far, which nobody knows; where some did not come to the target,
it is too low.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml

from benchmarks.networks import shape_of
from memrec_core import autoencoders, datasets, training
from memrec_core.errors import TrainingError
from memrec_core.training import RECIPES
from workflows.experiment.data_folder import default_root
from workflows.experiment.loading import SHIPPED

TARGET, NARROWEST = 1e-4, 512
SPARE = 1 / 10
"""The floor's share of the target. With the width that can just reach it, the target is the best that there is."""
PASSES = 6
"""Operations for each weight and image of a step: a product and a sum forward, and twice that backward."""


class Kind(NamedTuple):
    """A recipe's smallest batch, the share of the images that a larger one has, and the products of its optimiser in a
    step: how many operations for each element of a weight and each of that weight's shorter side."""

    smallest: int
    share: float = 0.0
    own: float = 0.0

    def per_epoch(self, count: int) -> int:
        """Steps."""
        return math.ceil(count / self.batch(count))

    def batch(self, count: int) -> int:
        return max(self.smallest, math.ceil(self.share * count))


KINDS = {
    "adam_batched": Kind(64),
    "soap_one_sided": Kind(500, 1 / 2, 4.4),  # into the basis, out of it, and each fifth time the factor of two: 2 each
}
STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31}
"""Quantiles for 95 %, by degrees of freedom."""


class Sized(NamedTuple):
    """A training that is asked about."""

    count: int
    width: int
    size: int


def table1() -> Sized:
    """The full size of table 1, as its experiment file has it."""
    tree = yaml.safe_load((SHIPPED / "table1.yaml").read_text("utf-8"))
    return Sized(tree["data"]["count"], tree["models"][0]["width"], tree["data"]["size"])


def main() -> int:
    asked = _arguments()
    done = _done(asked.results)
    for count in asked.counts:
        row = done.get((asked.recipe, count, asked.size, asked.seed))
        if row is None or (row["steps"] is None and row["most_epochs"] < asked.most_epochs):
            with asked.results.open("a", encoding="utf-8") as file:
                row = trained(asked, count)
                file.write(json.dumps(row) + "\n")
    own = (asked.recipe, asked.size)
    rows = [row for row in _done(asked.results).values() if (row["recipe"], row["size"]) == own]
    print(report(rows, KINDS[asked.recipe]))
    return 0


def trained(asked: argparse.Namespace, count: int) -> dict[str, Any]:
    """What a training took; `steps` is None where it did not come to its target."""
    kind, size, seed = KINDS[asked.recipe], asked.size, asked.seed
    images = datasets.load(
        "tiny_imagenet", root=default_root("tiny_imagenet"), count=count, size=size, seed=seed
    ).images
    width = asked.width or max(NARROWEST, training.rank_for(images, SPARE * TARGET))
    images = images.to(asked.device)
    torch.manual_seed(seed)
    model = autoencoders.build("fc20", shape_of(images), width=width).to(asked.device)
    row = {
        "recipe": asked.recipe,
        "count": count,
        "size": size,
        "seed": seed,
        "width": width,
        "most_epochs": asked.most_epochs,
        "device": torch.cuda.get_device_name(images.device) if images.is_cuda else "cpu",
    }
    rate = RECIPES[asked.recipe].learning_rate * NARROWEST / width
    options = {"optimiser": asked.recipe, "start": "contracting", "learning_rate": rate}
    batch, most_steps = kind.batch(count), asked.most_epochs * kind.per_epoch(count)
    try:
        history = training.train(model, images, [TARGET], seed, batch_size=batch, max_steps=most_steps, **options)
    except TrainingError as error:
        print(f"{count} images: {error}", flush=True)
        return {**row, "steps": None, "epochs": None, "seconds": None}
    reached = history.reached[-1]
    return {**row, "steps": reached.step, "epochs": reached.step / kind.per_epoch(count), "seconds": reached.seconds}


def _weights(width: int, size: int) -> int:
    return 2 * 3 * size * size * width + 18 * width * width


def operations(epochs: float, sized: Sized, kind: Kind) -> float:
    """Of the products of a training of fc20."""
    weights = _weights(sized.width, sized.size)
    steps = epochs * kind.per_epoch(sized.count)
    return PASSES * epochs * sized.count * weights + kind.own * steps * weights * sized.width


def report(rows: list[dict[str, Any]], kind: Kind) -> str:
    lines = ["| images | size | width | steps | epochs | TFLOP | seconds |", "|---:|---:|---:|---:|---:|---:|---:|"]
    reached = [row for row in rows if row["steps"] is not None]
    for row in rows:
        start = f"| {row['count']:,} | {row['size']} | {row['width']} |"
        if row["steps"] is None:
            lines.append(f"{start} not reached | | | |")
        else:
            work = operations(row["epochs"], Sized(row["count"], row["width"], row["size"]), kind) / 1e12
            lines.append(f"{start} {row['steps']:,} | {row['epochs']:.0f} | {work:.3g} | {row['seconds']:.0f} |")
    if len({row["count"] for row in reached}) > 2:
        full = table1()
        low, middle, high = expected_epochs(reached, full.count)
        work = [operations(epochs, full, kind) / 1e15 for epochs in (low, middle, high)]
        lines.append(
            f"\n{full.count:,} images, {full.width} wide, {full.size} x {full.size}: {middle:.0f} epochs "
            f"({low:.0f} to {high:.0f}), {work[1]:.3g} PFLOP ({work[0]:.3g} to {work[2]:.3g}), by {len(reached)} of "
            f"{len(rows)} trainings"
        )
    return "\n".join(lines)


def expected_epochs(rows: list[dict[str, Any]], count: int) -> tuple[float, float, float]:
    """The epochs for so many images and the ends of their interval: a line through the logarithms of both."""
    known = np.log([row["count"] for row in rows])
    values = np.log([row["epochs"] for row in rows])
    slope, level = np.polyfit(known, values, 1)
    free = len(rows) - 2
    spread = math.sqrt(float(np.square(values - slope * known - level).sum()) / free)
    away = math.log(count) - known.mean()
    error = spread * math.sqrt(1 + 1 / len(rows) + away**2 / float(np.square(known - known.mean()).sum()))
    middle, reach = slope * math.log(count) + level, STUDENT[min(free, max(STUDENT))] * error
    return math.exp(middle - reach), math.exp(middle), math.exp(middle + reach)


def _done(file: Path) -> dict[tuple[str, int, int, int], dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    rows = [{"recipe": "adam_batched", **row} for row in rows]  # which earlier ones don't name
    return {(row["recipe"], row["count"], row["size"], row["seed"]): row for row in rows}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=KINDS, default="adam_batched")
    parser.add_argument("--counts", nargs="+", type=int, default=[50, 100, 200, 500, 1000])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--width", type=int)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--most-epochs", type=int, default=1000)
    parser.add_argument("--results", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
