"""A small autoencoder trained to numerical perfect fitting, and the images that it did and did not see."""

from dataclasses import dataclass

import pytest
import torch

from memrec_core import autoencoders, datasets, training
from memrec_core.autoencoders.fully_connected import FullyConnected
from memrec_core.datasets import ImageSet

SHAPE = (3, 16, 16)


@dataclass(frozen=True)
class Trained:
    model: FullyConnected
    train: ImageSet
    control: ImageSet


@pytest.fixture(scope="session")
def trained() -> Trained:
    train, control = (datasets.load("photos", count=16, size=16, split=split) for split in ("train", "control"))
    torch.manual_seed(42)
    model = autoencoders.build("fc10", SHAPE, width=128)
    training.train(model, train.images, [1e-8])
    return Trained(model, train, control)
