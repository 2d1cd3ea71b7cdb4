"""The methods of an experiment."""

from typing import Any, NamedTuple

from memrec_core.recovery import Basis, Method
from workflows.experiment.file import PRIORS
from workflows.experiment.plain import plain_settings


class MethodEntry(NamedTuple):
    """A method with its settings, and what the results call it: by its name, unless it has a label of its own."""

    label: str
    method: Method

    @property
    def title(self) -> str:
        """What tables and pages call it."""
        return self.method.title if self.label == self.method.name else f"{self.method.title} ({self.label})"

    @property
    def prior(self) -> str:
        """The generic prior that it rests on; empty where it rests on none."""
        return str(getattr(self.method, "prior", "")) if self.method.rests_on is Basis.PRIOR else ""

    def tree(self) -> dict[str, Any]:
        """Its entry, as YAML and JSON have it."""
        return {"name": self.method.name, "label": self.label, **plain_settings(self.method)}


def source_of(prior: str) -> str:
    """What diffusion_prior.load takes: the folder of a shipped prior, by its name, or else the prior as it is."""
    return str(PRIORS / prior) if (PRIORS / prior).is_dir() else prior
