"""What the method `adaptive` recovers, beside the paper's forms: on the networks that its settings were chosen on, on
those of the report, and on some of other kinds.

    python -m benchmarks.recovery tuning|report|others [--networks fc10 ...] [--losses 1e-8 ...] [--damage zeros ...]
                                  [--methods adaptive ...] [--cache DIR]

prints Markdown: for each mask the accurate % / the approximate % (applications an image) of the training images, and
over all masks the rates of the control images, and of the claims, train and control images together, precision and
recall. Networks are trained where the cache has none; DIR keeps them. Photographs are in the package; the other data
sets are looked for where experiments look for theirs.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.networks import SEED, Perceptron
from memrec_core import autoencoders, datasets, metrics, training
from memrec_core.datasets.image_set import ImageSet
from memrec_core.degradations import Erasure, joined
from memrec_core.degradations.fills import Colour, Noise, Patch
from memrec_core.degradations.masks import MASKS
from memrec_core.metrics import ACCURATE, APPROXIMATE
from memrec_core.recovery import METHODS, Denoiser, Problem, Recovery
from workflows.experiment.data_folder import default_root

SIX = tuple(MASKS.values())
HOLES = ("rectangle", "disc", "left_third")
CONTROL = 30
DAMAGE: dict[str, Callable[[str, int], Erasure]] = {
    "zeros": lambda mask, channels: Erasure(mask),
    "colour": lambda mask, channels: Erasure(mask, fill=Colour((0.8, 0.3, 0.1, 0.9)[:channels])),
    "noise": lambda mask, channels: Erasure(mask, fill=Noise()),
    "patch": lambda mask, channels: Erasure(mask, fill=Patch()),
    "noise_0.02": lambda mask, channels: Erasure(mask, noise_std=0.02),
    "noise_0.1": lambda mask, channels: Erasure(mask, noise_std=0.1),
}
"""What erased pixels hold, or the noise on all; patches are of control images, so that one answer alone is right."""


@dataclass(frozen=True)
class Case:
    """A network, the images that it is trained on, and the paper's gamma for it."""

    data: str
    count: int
    size: tuple[int, int]
    seed: int
    build: Callable[[tuple[int, int, int]], nn.Module]
    channels: int = 3
    learning_rate: float | None = 1e-3
    gamma: float = 0.5
    first_mask: str = "coin_flips"
    losses: tuple[float, ...] = field(default=(1e-4, 1e-6, 1e-8))

    def images(self, split: str) -> ImageSet:
        count = self.count if split == "train" else min(self.count, CONTROL)
        root = {} if self.data == "photos" else {"root": default_root(self.data)}
        return datasets.load(
            self.data, count=count, size=self.size, channels=self.channels, seed=self.seed, split=split, **root
        )


def _known(name: str, activation: str = "leaky_relu", **options: object) -> Callable[..., nn.Module]:
    return lambda shape: autoencoders.build(name, shape, activation=activation, **options)


def _perceptron(widths: Sequence[int], activation: type[nn.Module]) -> Callable[..., nn.Module]:
    return lambda shape: Perceptron(shape, widths, activation)


LEAST = (64,) * 4
SETS: dict[str, dict[str, Case]] = {
    "tuning": {
        "fc10": Case("tiny_imagenet", 50, (32, 32), 7, _known("fc10", width=512)),
        "fc20": Case("tiny_imagenet", 50, (32, 32), 7, _known("fc20", width=512)),
        "unet": Case("svhn", 10, (32, 32), 7, _known("unet", channels=LEAST), 3, None, 1.0, "zeros"),
        "prelu": Case("tiny_imagenet", 50, (32, 32), 8, _known("fc10", "prelu", width=512)),
        "grey": Case(
            "tiny_imagenet", 24, (28, 20), 7, _perceptron([256] * 9, nn.LeakyReLU), 1, losses=(1e-4, 1e-6, 2e-8)
        ),
        "elu": Case("cifar10", 40, (24, 24), 7, _perceptron([400] * 5, nn.ELU)),
    },
    "report": {
        "fc10": Case("tiny_imagenet", 50, (32, 32), 42, _known("fc10", width=512)),
        "fc20": Case("tiny_imagenet", 50, (32, 32), 42, _known("fc20", width=512)),
        "unet": Case("svhn", 10, (32, 32), 42, _known("unet", channels=LEAST), 3, None, 1.0, "zeros"),
    },
    "others": {
        "prelu": Case("tiny_imagenet", 50, (32, 32), 42, _known("fc10", "prelu", width=512)),
        "fc20-prelu": Case("tiny_imagenet", 50, (32, 32), 42, _known("fc20", "prelu", width=512)),
        "unet-softplus": Case(
            "svhn", 10, (32, 32), 42, _known("unet", "softplus", channels=LEAST), 3, None, 1.0, "zeros"
        ),
        "grey": Case("svhn", 24, (28, 20), 11, _perceptron([256] * 7, nn.LeakyReLU), 1),
        "gelu": Case("cifar10", 30, (16, 20), 12, _perceptron([320] * 6, nn.GELU)),
        "tanh": Case("photos", 30, (24, 24), 13, _perceptron([384] * 4, nn.Tanh), 4),
    },
}
"""Of each set by name. Settings of `adaptive` were chosen on `tuning`; RESULTS.md names the exception."""


def main() -> int:
    wanted = _arguments()
    cases = SETS[wanted.set]
    for name in wanted.networks or cases:
        case = cases[name]
        for loss in wanted.losses or case.losses:
            model = trained(case, loss, wanted.cache / wanted.set / name)
            for damage in wanted.damage:
                masks = (*SIX, *HOLES) if damage in ("colour", "noise", "patch") else SIX
                print(f"\n{wanted.set} {name}, loss {loss:g}, {damage}\n\n{_header(masks)}", flush=True)
                for method in wanted.methods:
                    print(_row(method, case, model, damage, masks), flush=True)
    return 0


def trained(case: Case, loss: float, folder: Path) -> nn.Module:
    """The network at that loss, from `folder` where it is there; otherwise trained down all its losses, and kept."""
    images = case.images("train").images
    torch.manual_seed(SEED)
    model = case.build((images.shape[1], images.shape[2], images.shape[3]))
    if not (folder / f"{loss:g}.safetensors").exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"training {folder.name} ...", file=sys.stderr, flush=True)
        training.train(
            model,
            images,
            case.losses,
            seed=SEED,
            learning_rate=case.learning_rate,
            on_checkpoint=lambda found, reached: save_file(
                {key: value.contiguous() for key, value in found.state_dict().items()},
                folder / f"{reached.target:g}.safetensors",
            ),
        )
    model.load_state_dict(load_file(folder / f"{loss:g}.safetensors"))
    return model.eval().requires_grad_(False)


def _row(method: str, case: Case, model: nn.Module, damage: str, masks: Sequence[str]) -> str:
    """A line of the table: what a method recovers of the training images, mask by mask, and of the control images."""
    found, errors = {}, {}
    for split in ("train", "control"):
        found[split], errors[split] = _recovered(method, case, model, damage, masks, split)
    by_mask = zip(errors["train"].view(len(masks), -1), found["train"].evaluations.view(len(masks), -1), strict=True)
    cells = [
        f"{_per_cent(error < ACCURATE)} / {_per_cent(error < APPROXIMATE)} ({count.double().mean():.0f})"
        for error, count in by_mask
    ]
    control = errors["control"]
    cells += [
        f"{_per_cent(errors['train'] < ACCURATE)} ({found['train'].evaluations.double().mean():.0f})",
        f"{_per_cent(control < ACCURATE)} / {_per_cent(control < APPROXIMATE)}",
        _claims(found, errors),
    ]
    return f"| {method} | {' | '.join(cells)} |"


def _recovered(
    method: str, case: Case, model: nn.Module, damage: str, masks: Sequence[str], split: str
) -> tuple[Recovery, Tensor]:
    """The recovery of a split's images from behind all masks, one after the other, and its errors."""
    images, control = case.images(split), case.images("control").images
    shape = (case.channels, *case.size)
    applied = [DAMAGE[damage](mask, case.channels) for mask in masks]
    problem = Problem(
        torch.cat([own.degrade(images.images, images.ids, SEED, control) for own in applied]),
        joined([own.operator(shape, images.ids, SEED) for own in applied], [len(images.ids)] * len(masks)),
        [own.noise_std for own in applied for _ in images.ids],
        images.ids,
        SEED,
        repeats=len(masks),
    )
    found = METHODS[method]().recover(Denoiser(model, case.gamma, case.first_mask), problem)
    return found, metrics.mse(found.images, images.images.repeat(len(masks), 1, 1, 1))


def _claims(found: dict[str, Recovery], errors: dict[str, Tensor]) -> str:
    """Precision and recall of the claims, of both splits together; right is an approximate recovery of a training
    image, and in brackets an accurate one."""
    if found["train"].claimed is None:
        return ""
    claimed = torch.cat([own.claimed for own in found.values() if own.claimed is not None])
    cells = []
    for threshold in (APPROXIMATE, ACCURATE):
        right = torch.cat([errors["train"] < threshold, torch.zeros_like(errors["control"], dtype=torch.bool)])
        both = (claimed & right).sum().item()
        cells.append(f"{100 * both / max(1, claimed.sum().item()):.1f} / {100 * both / max(1, right.sum().item()):.1f}")
    return f"{cells[0]} ({cells[1]}), {claimed.sum().item()}"


def _per_cent(flags: Tensor) -> str:
    return f"{100 * flags.double().mean():.0f}"


def _header(masks: Sequence[str]) -> str:
    titles = ["method", *masks, "all (applications)", "control", "claims: precision / recall, number"]
    return f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--networks", nargs="*", default=[])
    parser.add_argument("--losses", nargs="*", type=float, default=[])
    parser.add_argument("--damage", nargs="*", choices=DAMAGE, default=["zeros"])
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=["adaptive", "known_mask"])
    parser.add_argument("--cache", type=Path, default=Path("runs/recovery-networks"))
    wanted = parser.parse_args()
    if strange := set(wanted.networks) - set(SETS[wanted.set]):
        parser.error(
            f"{wanted.set} has no network {', '.join(sorted(strange))}; choose of {', '.join(SETS[wanted.set])}"
        )
    return wanted


if __name__ == "__main__":
    sys.exit(main())
