"""The images that a run tries to recover: the training set, then the control set."""

from dataclasses import dataclass

import numpy as np

from memrec_core import datasets
from memrec_core.datasets import ImageSet
from workflows.experiment import Data, Experiment


@dataclass(frozen=True)
class AuditSet:
    """Training images first, control images after them: pixels (N, C, H, W) float32, id, label and split of each."""

    images: np.ndarray
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    splits: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


def load_split(experiment: Experiment, split: str) -> ImageSet:
    """The experiment's training images, or its control images."""
    data: Data = experiment.data
    options = {name: value for name in ("root", "control_root") if (value := getattr(data, name)) is not None}
    count = data.count
    if split == "control" and data.control_count is not None:
        count = data.control_count
    return datasets.load(data.name, count=count, size=data.size, seed=experiment.seed, split=split, **options)


def load_audit_set(experiment: Experiment) -> AuditSet:
    """All images of the experiment."""
    splits = ["train"] if experiment.data.control_count == 0 else ["train", "control"]
    parts = [load_split(experiment, split) for split in splits]
    return AuditSet(
        images=np.concatenate([part.images.numpy() for part in parts]),
        ids=sum((part.ids for part in parts), ()),
        labels=sum((part.labels for part in parts), ()),
        splits=sum(((split,) * len(part) for split, part in zip(splits, parts, strict=True)), ()),
    )
