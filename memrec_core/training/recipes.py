"""The optimisers and their schedules, which are ours: the paper does not state its own.

The learning rate warms up over the first steps and then falls with a root of the loss. At a constant rate the loss
stalls and spikes below 1e-6; halving the rate on a plateau spends most of its steps on plateaus. Fully connected
networks get there with Adam; a U-Net without skip connections stalls at 1e-4 with it, and gets there with SOAP.

- `adam_quick`, whose rate falls with the loss's eighth root, is the default of fc10 and fc20. It needs a quarter to
  a third fewer steps than `adam`, with the fourth, and as many images come back: what such a network memorises is
  decided before its rate falls.
- `adam_batched` is for steps of a batch each, whose losses don't come down without a lower rate: it falls from 1e-2 on.
- `soap_quick` keeps its rate up longer, and lets it fall by the steps until the root of the loss is above that: from
  the start `mean`, a U-Net of 50 images needs a third of the steps to 1e-8 that `soap` takes as it is built, and more
  comes back; from `contracting` a quarter, and the paper's method gets less back.
- `soap_one_sided` is for wide fully connected networks and hundreds of images or more, of which a step takes hundreds:
  it needs a tenth of Adam's steps. Its rate is for a width of 512; the wider, the lower it must be.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from memrec_core.arguments import check_number
from memrec_core.autoencoders import architecture_of
from memrec_core.errors import unknown
from memrec_core.registry import Registry
from memrec_core.training.soap import Soap


@dataclass(frozen=True)
class Recipe:
    """An optimiser, its usual learning rate, and that rate's course.

    The rate rises over the first `warmup_steps`; once the loss is below `decay_below`, it falls with the power
    `decay_power` of it. Where `tenfold_steps` is given, it stays for `high_steps`, and then it falls no faster than to
    a tenth in so many steps. The host looks at the loss every `look_every` steps, since each look waits for the device.
    SOAP's steps are long, and the troughs of its loss short: `soap` is looked at in each.
    """

    optimiser: Callable[..., torch.optim.Optimizer]
    learning_rate: float
    decay_below: float
    decay_power: float
    look_every: int
    warmup_steps: int = 100
    high_steps: int = 0
    tenfold_steps: int | None = None

    def rate(self, step: int, loss: Tensor) -> Tensor:
        """The learning rate of a step: a linear warm-up, times a root of the loss, or what the steps leave if that is
        more. Does not wait for the device."""
        decay = (loss / self.decay_below).pow(self.decay_power).clamp(max=1.0)
        if self.tenfold_steps is not None:
            decay = decay.clamp(min=10.0 ** (-max(0, step - self.high_steps) / self.tenfold_steps))
        return decay * (self.learning_rate * min(1.0, (step + 1) / self.warmup_steps))


ADAM = partial(torch.optim.Adam, fused=True)
ONE_SIDED = partial(Soap, one_sided=True, factors_every=5)

RECIPES = Registry[Recipe](
    "optimiser",
    {
        "adam": Recipe(ADAM, 1e-3, 1e-4, 1 / 4, look_every=10),
        "adam_quick": Recipe(ADAM, 1e-3, 1e-4, 1 / 8, look_every=10),
        "adam_batched": Recipe(ADAM, 3e-4, 1e-2, 1 / 4, look_every=10),
        "soap": Recipe(Soap, 3e-3, 1e-2, 1 / 3, look_every=1),
        "soap_quick": Recipe(Soap, 3e-3, 1e-2, 1 / 3, look_every=1, warmup_steps=30, high_steps=150, tenfold_steps=430),
        "soap_one_sided": Recipe(ONE_SIDED, 1e-3, 1e-2, 1 / 3, look_every=10, warmup_steps=30),
    },
)
"""By name. One from outside joins them: `RECIPES["mine"] = Recipe(...)`."""


def recipe_for(model: nn.Module, optimiser: str | None, learning_rate: float | None) -> tuple[str, Recipe]:
    """The recipe of that name, the model's own where it is left out, at another learning rate where one is given; and
    its name.

    Raises InputError for an unknown name, and for a learning rate that is none.
    """
    name = _own(model) if optimiser is None else optimiser
    if not isinstance(name, str) or name not in RECIPES:
        raise unknown("optimiser", name, sorted(RECIPES))
    if learning_rate is None:
        return name, RECIPES[name]
    check_number("learning_rate", learning_rate, "a positive number such as 1e-3", lambda rate: 0 < rate < math.inf)
    return name, replace(RECIPES[name], learning_rate=learning_rate)


def in_words(optimiser: str, start: str, learning_rate: float) -> str:
    """What results and states of trainings call the way a network is trained."""
    return f"{optimiser}, {start}, {learning_rate:g}"


def _own(model: nn.Module) -> str:
    """The architecture's; for a module from elsewhere soap where it has convolutions."""
    if (architecture := architecture_of(model)) is not None:
        return architecture.optimiser
    return "soap" if any(isinstance(module, nn.Conv2d) for module in model.modules()) else "adam"
