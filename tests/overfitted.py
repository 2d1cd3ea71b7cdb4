"""Networks that memrec did not build, each overfitted to a folder of pictures: what an audit is given, and how."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from memrec_core.autoencoders import diffusers_folder
from tests.core.outside import nets
from tests.pictures import SIDE, read_photos, write_photos

NETS = "tests.core.outside.nets"


@dataclass(frozen=True)
class Overfitted:
    """A network by its name, its weights if they are a file, and what else is to be said of it, in Python's words."""

    model: str
    folder: Path
    side: int | tuple[int, int]
    weights: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def flags(self) -> list[str]:
        """The same for the command."""
        listed = {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else value
            for name, value in self.settings.items()
        }
        weights = [] if self.weights is None else [f"--weights={self.weights}"]
        return [*weights, *(f"--{name}={value}" for name, value in listed.items())]


def dict_in_minus_one_to_one(folder: Path, count: int = 12, controls: int = 12) -> Overfitted:
    """One channel, 28 x 20, [-1, 1]; the images are an entry of a dict."""
    images = _pictures(folder, count, controls, (28, 20)) * 2 - 1
    network = _fitted(nets.Dense(96), images, lambda network: network(images)["recon"], 2e-3, 1500)
    settings = {"range": (-1, 1), "output": "recon"}
    return Overfitted(f"{NETS}:narrow", folder, (28, 20), _saved(network, folder), settings)


def that_samples(folder: Path, count: int = 12, controls: int = 12) -> Overfitted:
    """A variational autoencoder; a function that it is given takes the mean."""
    images = _pictures(folder, count, controls, SIDE)
    network = _fitted(nets.Sampling(), images, lambda network: nets.of_the_mean(network)(images)[0], 2e-3, 2500)
    settings = {"deterministic": f"{NETS}:of_the_mean"}
    return Overfitted(f"{NETS}:Sampling", folder, SIDE, _saved(network, folder), settings)


def of_diffusers(folder: Path, count: int = 2, controls: int = 2) -> Overfitted:
    """A tiny AutoencoderKL in the folder that `save_pretrained` makes. It is hardly fitted, since it is slow."""
    images = _pictures(folder, count, controls, SIDE) * 2 - 1
    torch.manual_seed(0)
    network: Any = diffusers_folder.kind("AutoencoderKL")(
        in_channels=1,
        out_channels=1,
        block_out_channels=[8],
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        mid_block_add_attention=False,
        sample_size=SIDE,
    )
    _fitted(network, images, lambda network: network(images).sample, 3e-3, 2)
    network.save_pretrained(folder / "vae")
    return Overfitted(f"diffusers:{folder / 'vae'}", folder, SIDE, settings={"range": (-1, 1)})


def _pictures(folder: Path, count: int, controls: int, side: int | tuple[int, int]) -> Tensor:
    """Two folders of pictures; the images of the one that is trained on."""
    write_photos(folder / "control", controls, "control", side)
    return read_photos(write_photos(folder / "train", count, side=side), side).images


def _fitted(
    network: nn.Module, images: Tensor, output: Callable[[nn.Module], Tensor], rate: float, steps: int
) -> nn.Module:
    """The network with its output fitted to the images, by Adam with a rate that rises and falls."""
    optimiser = torch.optim.Adam(network.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        (output(network) - images).square().mean().backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def _saved(network: nn.Module, folder: Path) -> Path:
    path = folder / "weights.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    return path
