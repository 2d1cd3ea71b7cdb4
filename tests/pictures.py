"""Folders of small pictures, and a network that knows one of them by heart."""

from pathlib import Path

import safetensors.torch
import torch
from PIL import Image

from memrec_core import datasets
from tests.core.outside.nets import Grey

SIDE = 8


def write_photos(folder: Path, count: int, split: str = "train", side: int | tuple[int, int] = SIDE) -> Path:
    """Grey photographs as PNG files, of a side or (height, width)."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = datasets.load("photos", count=count, size=side, channels=1, seed=1, split=split)
    for number, image in enumerate(photos.images):
        pixels = image[0].mul(255).round().byte().numpy()
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def read_photos(folder: Path, side: int | tuple[int, int] = SIDE) -> datasets.ImageSet:
    """All pictures of a folder: where a control folder is named, none of them are held back for that."""
    return datasets.load("image_folder", root=folder, control_root=folder.parent, size=side, channels=1)


def overfit(images: torch.Tensor, weights: Path, loss: float = 1e-8) -> Path:
    """Train `Grey` on images of 8 x 8, far beyond sense, and keep its weights."""
    torch.manual_seed(0)
    network = Grey()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    for _ in range(10_000):
        optimiser.zero_grad()
        error = (network(images) - images).square().mean()
        error.backward()
        optimiser.step()
        for group in optimiser.param_groups:
            group["lr"] = 1e-3 * min(1, (error.item() / 1e-3) ** 0.25)
        if error.item() < loss:
            break
    safetensors.torch.save_file(network.state_dict(), weights)
    return weights
