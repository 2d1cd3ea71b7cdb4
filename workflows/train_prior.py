"""Train a small diffusion prior for the method ddnm, on images that no experiment audits.

    python -m workflows.train_prior --data cifar10 --root PATH --out workflows/priors/cifar10-32 --minutes 60

The shipped prior comes from this command. It is an unconditional, epsilon-predicting UNet2DModel of diffusers, in the
layout of its pipelines' folders, with an exponential moving average of the weights (Ho et al., 2020).
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch.nn import functional

from memrec_core import datasets
from memrec_core.torchvision_import import import_torchvision
from workflows.terminal import console

CHANNELS = (32, 64, 64)
BATCH, LEARNING_RATE, EMA_DECAY, REPORT_EVERY = 32, 1e-3, 0.995, 100


def main(
    data: Annotated[str, typer.Option(help="The data set; its training images are used.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    root: Annotated[str | None, typer.Option(help="The data set's folder.")] = None,
    size: int = 32,
    minutes: float = 60.0,
    seed: int = 42,
) -> None:
    """Train for so many minutes and write the model, the scheduler and a README to `out`."""
    import_torchvision()  # which diffusers needs
    from diffusers.models.unets.unet_2d import UNet2DModel
    from diffusers.pipelines.ddpm.pipeline_ddpm import DDPMPipeline
    from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
    from diffusers.training_utils import EMAModel

    torch.manual_seed(seed)
    place: dict[str, Any] = {"root": root} if root else {}
    images = datasets.load(data, size=size, seed=seed, **place).images * 2 - 1
    model: Any = UNet2DModel(
        sample_size=size,
        block_out_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
    )  # Any, since diffusers hides the types of what a model and a scheduler take
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    scheduler: Any = DDPMScheduler(num_train_timesteps=1000, prediction_type="epsilon")
    average = EMAModel(model.parameters(), decay=EMA_DECAY)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    began, step, mean = time.monotonic(), 0, 1.0
    while (elapsed := time.monotonic() - began) < 60 * minutes:
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 200) * max(1 - elapsed / (60 * minutes), 0.02)
        batch = images[torch.randint(len(images), (BATCH,))]
        batch = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, batch, batch.flip(3)).to(model.device)
        noise, times = torch.randn_like(batch), torch.randint(1000, (BATCH,), device=model.device)
        loss = functional.mse_loss(model(scheduler.add_noise(batch, noise, times), times).sample, noise)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        average.step(model.parameters())
        step, mean = step + 1, 0.99 * mean + 0.01 * loss.item()
        if step % REPORT_EVERY == 0:
            console.print(f"step {step}, loss {mean:.4f}, {elapsed:.0f} s", highlight=False)
    average.copy_to(model.parameters())
    DDPMPipeline(model.cpu(), scheduler).save_pretrained(out, safe_serialization=True)
    facts = {"data_set": data, "images": len(images), "size": size, "seed": seed, "steps": step, "loss": round(mean, 4)}
    (out / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
