"""The methods that a run compares: what they are called, and what they need."""

from typing import NamedTuple


class Method(NamedTuple):
    """`does` says what it does, `colour` is that of its curves. One that is `generic` uses no autoencoder: it is done
    once for an experiment, not for each of its checkpoints."""

    title: str
    does: str
    colour: str
    generic: bool = False


METHODS = {
    "unknown_mask": Method(
        "unknown mask", "the paper's: alternates recovery (Algorithm 1) and an estimate of the mask", "#e6550d"
    ),
    "known_mask": Method("known mask", "Algorithm 1, told the mask", "#3182bd"),
    "autoencoder_iterations": Method("AE iterations", "applies the autoencoder again and again", "#31a354"),
    "ddnm": Method(
        "DDNM", "inpaints with a diffusion model, told the mask; without the autoencoder", "#c51b8a", generic=True
    ),
    "biharmonic": Method(
        "biharmonic", "smooth inpainting, told the mask; without the autoencoder or any prior", "#756bb1", generic=True
    ),
}
"""By their names, in the order in which tables and pages show them; `unit` does them, `job.sizes` knows their cost."""
GENERIC = "generic"
"""What stands for the model in the results of the generic ones."""
