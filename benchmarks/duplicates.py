"""What near-duplicates are found, and what other pictures are taken for one.

    python -m benchmarks.duplicates [TINY_IMAGENET] [CIFAR10]

prints the share of changed copies that are found, and the pairs among the publishers' own pictures.
"""

import io
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance

from memrec_core import datasets
from memrec_core.datasets.duplicates import near_duplicates, near_pairs
from memrec_core.datasets.image_file import pixels_of
from workflows.experiment.data_folder import default_root

COUNT, SIZE = 1000, 32


def resized(picture: Image.Image, side: int) -> Image.Image:
    return picture.resize((side, side), Image.Resampling.BOX if side < picture.width else Image.Resampling.BICUBIC)


def saved(picture: Image.Image, **options: Any) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, **options)
    return Image.open(buffer).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 75": lambda picture: saved(picture, format="JPEG", quality=75),
    "JPEG, quality 30": lambda picture: saved(picture, format="JPEG", quality=30),
    "WebP, quality 60": lambda picture: saved(picture, format="WEBP", quality=60),
    "GIF": lambda picture: saved(picture, format="GIF"),
    "half the size": lambda picture: resized(picture, 32),
    "a quarter of the size": lambda picture: resized(picture, 16),
    "a quarter of the size, JPEG": lambda picture: saved(resized(picture, 16), format="JPEG", quality=75),
    "an eighth of the size": lambda picture: resized(picture, 8),
    "three times the size": lambda picture: resized(picture, 192),
    "a tenth brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.1),
    "grey": lambda picture: picture.convert("L").convert("RGB"),
    "cropped by a pixel": lambda picture: picture.crop((1, 1, 64, 64)),
    "cropped by a tenth": lambda picture: picture.crop((6, 6, 64, 64)),
}


def tensor(pictures: list[Image.Image]) -> torch.Tensor:
    return (
        torch.from_numpy(np.stack([pixels_of(picture, (SIZE, SIZE)) for picture in pictures])).permute(0, 3, 1, 2) / 255
    )


def main(tiny_imagenet: str | None = None, cifar10: str | None = None) -> None:
    roots = {"tiny_imagenet": tiny_imagenet, "cifar10": cifar10, "svhn": None, "photos": None}
    for name, root in roots.items():
        place: dict[str, Any] = {"root": root or found} if (found := default_root(name)) or root else {}
        splits = [datasets.load(name, size=SIZE, split=split, **place).images for split in ("train", "control")]
        images, began = torch.cat(splits), time.perf_counter()
        places = near_duplicates(images)
        pairs = [(int(i), int(k)) for i, k in enumerate(places) if i != k]
        print(
            f"{name}: {len(images)} pictures, {len(pairs)} near-duplicates {pairs}, {time.perf_counter() - began:.1f} s"
        )
    root = tiny_imagenet or default_root("tiny_imagenet")
    originals = datasets.load("tiny_imagenet", size=64, count=COUNT, root=root).images
    pictures = [Image.fromarray(image.mul(255).byte().permute(1, 2, 0).numpy()) for image in originals]
    plain = tensor(pictures)
    for what, change in CHANGES.items():
        turned = [change(picture).transpose(Image.Transpose.ROTATE_90) for picture in pictures]
        found = near_pairs(tensor(turned), plain).tolist()
        right = len({i for i, k in found if i == k})
        print(f"| {what} | {100 * right / COUNT:.0f} % | {sum(i != k for i, k in found)} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
