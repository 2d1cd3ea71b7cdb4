"""A diffusion model as a prior of natural images: any unconditional, epsilon-predicting UNet2DModel of diffusers."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memrec_core.errors import InputError, in_a_line
from memrec_core.torchvision_import import import_torchvision

WEIGHTS = "diffusion_pytorch_model.safetensors"
KIND = "an unconditional, epsilon-predicting UNet2DModel of diffusers"


@dataclass
class DiffusionPrior:
    """The network, the cumulative products abar (T,) of 1 - beta, the images' side, and a digest of the weights."""

    model: nn.Module
    abar: Tensor
    channels: int
    side: int
    digest: str
    name: str

    def noise(self, x: Tensor, time: int) -> Tensor:
        """The noise that the model sees in `x` (N, C, S, S) at a time in [0, T)."""
        return self.model(x, time).sample

    def enlargement(self, image_shape: Sequence[int]) -> int:
        """By how much images of shape (C, H, W) must grow. Raises InputError where no whole factor fits."""
        channels, height, width = image_shape
        if channels != self.channels or height != width or self.side % height:
            raise InputError(
                f"the diffusion prior {self.name} is for images of {self.channels} x {self.side} x {self.side}, and "
                f"ours of {channels} x {height} x {width} can't be enlarged to that by a whole factor; "
                f"choose a prior whose side is a multiple of {height}, or another data.size"
            )
        return self.side // height

    def enlarge(self, images: Tensor) -> Tensor:
        """`images` (N, C, H, W) at the prior's own size, (N, C, S, S), by repeating pixels."""
        factor = self.enlargement(images.shape[1:])
        return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)

    def to(self, device: str | torch.device) -> "DiffusionPrior":
        self.model.to(device)
        self.abar = self.abar.to(device)
        return self


def load(source: str | Path) -> DiffusionPrior:
    """The prior in a local folder (a pipeline's, a flat one, or the bare model's), or of a name on Hugging Face's hub.

    Only JSON and safetensors are read. Raises InputError, in one sentence, where diffusers is not installed, a file is
    missing or damaged, or the model is of another kind: conditional, v-predicting, not square.
    """
    try:
        import_torchvision()  # which diffusers needs
        from diffusers.models.unets.unet_2d import UNet2DModel
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    except ImportError as error:
        raise InputError(
            "method ddnm needs diffusers, which is not installed; in memrec's folder, "
            "pip install -c constraints.txt -e '.[ddnm]'"
        ) from error
    folder = _folder(source)
    model_folder = folder / "unet" if (folder / "unet").is_dir() else folder
    config, scheduler = _read(model_folder / "config.json"), _scheduler(folder)
    _check_kind(config, scheduler, source)
    weights = model_folder / WEIGHTS
    if not weights.is_file():
        raise InputError(f"{weights} does not exist; save the prior with safe_serialization=True: pickles aren't read")
    try:
        model = UNet2DModel.from_pretrained(
            model_folder, use_safetensors=True, local_files_only=True, low_cpu_mem_usage=False
        )
        known: Any = DDPMScheduler.from_config(scheduler)  # a scheduler alone, unless it is asked for more
        abar = known.alphas_cumprod
    except Exception as error:  # diffusers and safetensors fail in many ways over a damaged folder
        raise InputError(f"{source} can't be loaded as {KIND} ({in_a_line(error)}); fetch or train it again") from error
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return DiffusionPrior(model.eval(), abar, config["in_channels"], config["sample_size"], digest, str(source))


def _folder(source: str | Path) -> Path:
    if Path(source).is_dir():
        return Path(source)
    if Path(source).exists() or str(source).count("/") != 1 or str(source).startswith((".", "/", "~")):
        raise InputError(f"diffusion prior {source} is not a folder; give the folder of {KIND}, or a name on the hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(str(source), allow_patterns=["*.json", "*.safetensors"]))
    except Exception as error:  # of the network and of the hub, of many kinds
        raise InputError(
            f"diffusion prior {source} is no folder here, and the hub does not give it ({in_a_line(error)}); "
            "check the name and the network, or give a folder"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist, so its folder is not {KIND}; give a folder that is one") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not JSON ({error}); fetch or train the prior again") from error
    if not isinstance(config, dict):
        raise InputError(f"{path} is not the configuration of a diffusers model; fetch or train the prior again")
    return config


def _scheduler(folder: Path) -> dict[str, Any]:
    """The noise schedule's configuration; that of Ho et al. (2020), diffusers' default, for a bare model."""
    for path in (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json"):
        if path.is_file():
            return _read(path)
    return {}


def _check_kind(config: dict[str, Any], scheduler: dict[str, Any], source: str | Path) -> None:
    kind, prediction = config.get("_class_name"), scheduler.get("prediction_type", "epsilon")
    side, channels = config.get("sample_size"), config.get("in_channels")
    if kind != "UNet2DModel":
        found = f"it is a {kind}" + (", which is conditional" if "Condition" in str(kind) else "")
    elif config.get("class_embed_type") or config.get("num_class_embeds"):
        found = "it is conditional on a class"
    elif prediction != "epsilon":
        found = f"it predicts {prediction}"
    elif not isinstance(side, int) or not isinstance(channels, int):
        found = f"its images are of size {side} with {channels} channels, not square ones of a stated size"
    elif config.get("out_channels") != channels:
        found = f"it has {config.get('out_channels')} outputs for {channels} channels, more than the noise"
    else:
        return
    raise InputError(f"diffusion prior {source} is not {KIND}: {found}; choose another")
