"""A diffusion model as a prior of natural images: any unconditional, epsilon-predicting UNet2DModel of diffusers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from memrec_core import diffusers_model
from memrec_core.diffusers_model import INDEX, WEIGHTS, configuration, entries_of
from memrec_core.errors import InputError, in_a_line, shown, shown_name
from memrec_core.torchvision_import import import_torchvision

KIND = "an unconditional, epsilon-predicting UNet2DModel of diffusers"
PIPELINE = "model_index.json"
DEFAULT_SCHEDULER = "DDPMScheduler"
SCHEDULERS = (
    DEFAULT_SCHEDULER,
    "DDPMParallelScheduler",
    "DDIMScheduler",
    "DDIMParallelScheduler",
    "PNDMScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
)
"""Those that give the model sqrt(abar_t) x0 + sqrt(1 - abar_t) eps at a whole time t, as DDNM does."""


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
    missing or damaged, or the model is of another kind: conditional, v-predicting, of latents, not square.
    """
    try:
        import_torchvision()  # which diffusers needs
        import diffusers
        from diffusers.models.unets.unet_2d import UNet2DModel
    except ImportError as error:
        raise InputError(
            "method ddnm needs diffusers, which is not installed; in memrec's folder, "
            "pip install -c constraints.txt -e '.[ddnm]'"
        ) from error
    folder = _folder(source)
    model_folder = _model_folder(folder)
    config, scheduler = configuration(model_folder), _scheduler(folder)
    if other := _other_kind(config, scheduler) or _other_pipeline(folder):
        raise InputError(f"diffusion prior {shown_name(source)} is not {KIND}: {other}; choose another")
    digest = _digest(model_folder)
    model = diffusers_model.loaded(model_folder, UNet2DModel)
    abar = _abar(getattr(diffusers, scheduler["_class_name"]), scheduler, source)
    return DiffusionPrior(model.eval(), abar, config["in_channels"], config["sample_size"], digest, str(source))


def digest_of(source: str | Path) -> str:
    """The digest of the prior in a folder, as `load` has it, whose files are not looked at further."""
    return _digest(_model_folder(_folder(source)))


def _model_folder(folder: Path) -> Path:
    """Where a pipeline, or a bare model, has its network."""
    return folder / "unet" if (folder / "unet").is_dir() else folder


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


def _scheduler(folder: Path) -> dict[str, Any]:
    """The noise schedule's configuration; that of Ho et al. (2020), diffusers' default, for a bare model.

    Raises InputError for the model's folder inside that of a pipeline, whose schedule would be passed over.
    """
    for path in (folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json"):
        if path.is_file():
            return entries_of(path)
    whole = folder.absolute().parent
    if (whole / PIPELINE).is_file() and folder.absolute().name in entries_of(whole / PIPELINE):
        raise InputError(
            f"diffusion prior {shown_name(folder)} is part of a pipeline, which knows its noise schedule; give "
            f"{shown_name(whole)}"
        )
    return {"_class_name": DEFAULT_SCHEDULER}


def _other_kind(config: dict[str, Any], scheduler: dict[str, Any]) -> str | None:
    """What the model is instead of the KIND that is needed; None where it is of that kind."""
    kind, schedule = config.get("_class_name"), scheduler.get("_class_name")
    predicted = "sample" if scheduler.get("predict_epsilon") is False else scheduler.get("prediction_type", "epsilon")
    side, channels = config.get("sample_size"), config.get("in_channels")
    if kind != "UNet2DModel":
        return f"it is a {shown(kind, quoted=False)}" + (", which is conditional" if "Condition" in str(kind) else "")
    if config.get("class_embed_type") or config.get("num_class_embeds"):
        return "it is conditional on a class"
    if schedule not in SCHEDULERS:
        return f"its scheduler is a {shown(schedule, quoted=False)}, not one such as {DEFAULT_SCHEDULER}"
    if scheduler.get("rescale_betas_zero_snr"):
        return "its noise schedule ends without a signal (rescale_betas_zero_snr), and ddnm divides by that"
    if predicted != "epsilon":
        return f"it predicts {shown(predicted, quoted=False)}"
    if not isinstance(side, int) or not isinstance(channels, int):
        return f"its images are of size {side} with {channels} channels, not square ones of a stated size"
    if config.get("out_channels") != channels:
        return f"it has {config.get('out_channels')} outputs for {channels} channels, more than the noise"
    return None


def _other_pipeline(folder: Path) -> str | None:
    """What its pipeline has beside model and scheduler, such as a vae whose latents are what the model knows."""
    parts = entries_of(folder / PIPELINE) if (folder / PIPELINE).is_file() else {}
    others = [
        name
        for name, part in parts.items()
        if isinstance(part, list) and any(part) and name not in ("unet", "scheduler")
    ]
    return f"its pipeline has a {shown(others[0], quoted=False)} too" if others else None


def _digest(folder: Path) -> str:
    """Of the file of the weights. Raises InputError where they are not in that file alone."""
    weights = folder / WEIGHTS
    if (folder / INDEX).is_file():
        raise InputError(f"{shown_name(folder / INDEX)} says that the weights are in several files; save them in one")
    if not weights.is_file():
        raise InputError(
            f"{shown_name(weights)} does not exist; save the prior with safe_serialization=True: pickles aren't read"
        )
    return hashlib.sha256(weights.read_bytes()).hexdigest()


def _abar(kind: Any, config: dict[str, Any], source: str | Path) -> Tensor:
    """The cumulative products of a scheduler of that class. Raises InputError where the formulas would divide by 0."""
    try:
        abar: Tensor = kind.from_config(config).alphas_cumprod
    except Exception as error:  # of whatever stands in the file
        raise InputError(
            f"the scheduler of {shown_name(source)} can't be loaded as diffusers' {kind.__name__} "
            f"({in_a_line(error)}); save it again"
        ) from error
    if not ((abar > 0) & (abar < 1)).all():
        raise InputError(
            f"the noise schedule of {shown_name(source)} ends at an abar of {abar.min().item():g}, and needed are "
            "values between 0 and 1; choose a prior without rescale_betas_zero_snr"
        )
    return abar
