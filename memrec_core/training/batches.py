"""The batches of a training, and their loss."""

import hashlib
import math
from functools import cached_property

import torch
from torch import Tensor, nn

from memrec_core.network import checked, evaluating
from memrec_core.seeding import seed_for


class Batches:
    """The batch of any step, from the step's number alone, so that a resumed training sees the same ones."""

    def __init__(self, images: Tensor, batch_size: int | None, seed: int) -> None:
        self.images, self.seed = images, seed
        self.size = min(batch_size or len(images), len(images))
        self.per_epoch = math.ceil(len(images) / self.size)
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, step: int) -> Tensor:
        if self.per_epoch == 1:
            return self.images
        epoch, part = divmod(step, self.per_epoch)
        if epoch != self.epoch:
            shuffle = torch.Generator().manual_seed(seed_for(self.seed, "batches", epoch))
            self.epoch, self.order = epoch, torch.randperm(len(self.images), generator=shuffle).to(self.images.device)
        return self.images[self.order[part * self.size : (part + 1) * self.size]]

    @cached_property
    def digest(self) -> str:
        """Changes with the images, and with which of them are in which batch."""
        pixels = hashlib.sha256(self.images.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
        return f"{pixels[:16]} {tuple(self.images.shape)} {self.size} {self.seed if self.per_epoch > 1 else None}"

    def loss(self, model: nn.Module) -> float:
        """The MSE over all images, in evaluation mode."""
        with torch.no_grad(), evaluating(model):
            parts, network = self.images.split(self.size), checked(model)
            return sum((network(part) - part).double().square().sum().item() for part in parts) / self.images.numel()


class RunningMean:
    """The running mean of the batches' losses over about an epoch, on the device; of a full batch, the loss itself."""

    def __init__(self, per_epoch: int, device: torch.device) -> None:
        self.per_epoch, self.value = per_epoch, torch.tensor(math.inf, device=device)

    def update(self, loss: Tensor) -> None:
        mean = self.value + (loss - self.value) / self.per_epoch
        self.value = torch.where(self.value.isfinite(), mean, loss) if self.per_epoch > 1 else loss
