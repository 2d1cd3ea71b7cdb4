"""What a user adds to memrec, with a mistake each."""

from dataclasses import dataclass, replace

import torch

from memrec_core.degradations import DEGRADATIONS, PATTERNS
from memrec_core.recovery import METHODS, Basis, Method
from tests.workflows.outside import Copy, Fading


class Undecorated(Method):
    name = title = does = "undecorated"
    rests_on = Basis.NOTHING

    def recover(self, basis, problem):
        return Copy().recover(basis, problem)


@dataclass(frozen=True)
class Misnamed(Copy):
    name = "right"


@dataclass(frozen=True)
class Hollow(Copy):
    name = "hollow"

    def recover(self, basis, problem):
        return replace(super().recover(basis, problem), images=problem.degraded * torch.nan)


@dataclass(frozen=True)
class Boastful(Copy):
    name = "boastful"

    def recover(self, basis, problem):
        found = super().recover(basis, problem)
        return replace(found, status=found.status.astype(object) + " at once")


WRONG_BELIEFS = {
    "too few claims": {"claimed": torch.tensor([True])},
    "claims of numbers": {"claimed": torch.ones(12)},
    "a list of claims": {"claimed": [True] * 12},
    "confidence over 1": {"confidence": torch.full((12,), 1.5)},
    "confidence of no number": {"confidence": torch.full((12,), torch.nan)},
    "confidence of whole numbers": {"confidence": torch.ones(12, dtype=torch.int64)},
    "a share for each pixel": {"kept_share": torch.ones(12, 3)},
    "a share below 0": {"kept_share": torch.full((12,), -0.1)},
}


@dataclass(frozen=True)
class Presumptuous(Copy):
    """Of 12 images."""

    name = "presumptuous"
    wrong: str = ""

    def recover(self, basis, problem):
        return replace(super().recover(basis, problem), **WRONG_BELIEFS[self.wrong])


@dataclass(frozen=True)
class Astray(Fading):
    key = "astray"

    @property
    def label(self) -> str:
        return "../../astray"


def failing(height, width):
    return {}["no such key"]


METHODS["undecorated"] = Undecorated
METHODS["misnamed"] = Misnamed
METHODS["hollow"] = Hollow
METHODS["boastful"] = Boastful
METHODS["presumptuous"] = Presumptuous
DEGRADATIONS["astray"] = Astray
PATTERNS["restless"] = lambda height, width: (torch.rand(height, width) > 0.5).float()
PATTERNS["failing"] = failing
