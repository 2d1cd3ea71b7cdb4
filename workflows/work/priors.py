"""The diffusion priors of a run's methods: its results are of these, and of no others under the same names."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from memrec_core import diffusion_prior
from memrec_core.errors import InputError
from workflows.experiment.methods import source_of
from workflows.experiment.resolved import Experiment
from workflows.run.unit import Unit


def read_prior(prior: str) -> str:
    """The digest of a diffusion model that is loaded, so that one which can't be is refused."""
    return diffusion_prior.load(source_of(prior)).digest


def priors_here(experiment: Experiment) -> dict[str, str]:
    """The digests of the priors that lie on this machine, by their sources."""
    here = (prior for prior in experiment.priors if Path(source_of(prior)).is_dir())
    return {prior: diffusion_prior.digest_of(source_of(prior)) for prior in here}


def check_priors(experiment: Experiment, units: Iterable[Unit], digests: Mapping[str, str]) -> None:
    """Raises InputError where units that are planned were so with another prior than the one of that source now."""
    priors = {entry.label: entry.prior for entry in experiment.generic if entry.prior in digests}
    for unit in units:
        if (prior := priors.get(unit.method)) is not None and unit.checkpoint != digests[prior]:
            raise InputError(
                f"the diffusion prior {prior} is not the one that this run's method {unit.method} was planned with; "
                "restore it, or choose another --run"
            )
