"""Our own method: several short tries at each image, of which the best is chosen, and judged, without ground truth."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core.arguments import (
    check_called,
    check_counts,
    check_flag,
    check_seed,
    check_sign,
    described,
    ids_of,
    is_whole,
)
from memrec_core.degradations import Degradation
from memrec_core.errors import InputError, unknown
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.adaptive.anything import AnythingRule, UnlikelyRule
from memrec_core.recovery.adaptive.attempt import Attempt, Rule, try_once
from memrec_core.recovery.adaptive.best import Best
from memrec_core.recovery.adaptive.colour import ColourRule
from memrec_core.recovery.adaptive.noise import NoiseRule
from memrec_core.recovery.arguments import check_arguments, check_gamma, parts
from memrec_core.recovery.method import Basis, Denoiser, Method, Problem, denoiser
from memrec_core.recovery.result import Recovery
from memrec_core.seeding import generator

RULES: list[type[NoiseRule] | type[ColourRule] | type[AnythingRule]] = [
    NoiseRule,
    ColourRule,
    AnythingRule,
    UnlikelyRule,
]
"""What erased pixels may hold, in the order in which it is tried."""
NAMED = {"colour": ColourRule, "anything": AnythingRule}
"""Those that a user may name."""
FILLS = ["unknown", *NAMED]
USUAL_APPLICATIONS = 60
"""Applications that an image is taken to need."""


@dataclass(frozen=True)
class Adaptive(Method):
    """The method as an object; see `recover_adaptive`, whose arguments are its settings."""

    name: ClassVar[str] = "adaptive"
    title: ClassVar[str] = "adaptive"
    does: ClassVar[str] = "ours: several tries at each image, whatever erased pixels hold; says what it believes"
    rests_on: ClassVar[Basis] = Basis.NETWORK
    told: ClassVar[bool] = False

    gamma: float | None = None
    restarts: int = 24
    fill: str = "unknown"
    one_mask: bool = True
    mask_every: int = 1
    carry_state: bool = True
    memory: int = 5
    rest: int = 60

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def accepts(cls, degradation: Degradation) -> bool:
        """It looks for missing pixels."""
        return degradation.erases

    def evaluations(self) -> int:
        return USUAL_APPLICATIONS

    def recover(self, basis: Denoiser, problem: Problem) -> Recovery:
        return _recover(
            denoiser(basis).model,
            problem.degraded,
            self,
            problem.ids,
            problem.seed,
            problem.on_iteration,
            problem.batch_size,
            problem.device,
            problem.repeats,
        )


def recover_adaptive(
    model: Network,
    degraded: Tensor,
    ids: Sequence[str] | None = None,
    seed: int = 42,
    *,
    gamma: float | None = None,
    restarts: int = 24,
    fill: str = "unknown",
    one_mask: bool = True,
    mask_every: int = 1,
    carry_state: bool = True,
    memory: int = 5,
    rest: int = 60,
    on_iteration: Callable[[Tensor, Tensor], None] | None = None,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
    repeats: int = 1,
) -> Recovery:
    """Recover images without knowing which pixels are missing, what they hold, or how much noise there is.

    Each image gets short tries, one after the other, until one is believed. A try is Algorithm 1 with its state v, u
    carried over from one mask estimate to the next, from its own start and with its own gamma; then the estimate comes
    to rest at the fixed point next to it, with the kept pixels put back (31), by Anderson's acceleration. Which pixels
    are kept follows from what the erased ones are taken to hold, which each degraded image tells of itself:

    - Entries below zero: noise. Weights w = sigmoid((|y|^2 - |y - v|^2) / 2 a^2) stand in place of the mask, with a the
      noise or the misfit of v.
    - A colour that repeats exactly in 2 % of the pixels: that colour is the fill; zero, the paper's, is one.
    - Otherwise, or where no colour leads anywhere: anything. Pixels are kept where |y - v| is under a threshold that
      falls, from several guesses of a block that is kept.

    What is believed follows from ||f(x) - x||^2, the share of the pixels that agree, and under noise the misfit; no
    ground truth is used. The thresholds of claims were fixed on other networks than those of the results. Neither
    batch nor order matters to a result, but for last bits; under noise these move some images by an MSE of up to 1e-5,
    along what f hardly contracts.

    Args:
        model: as for `recover_unknown_mask`.
        degraded: (N, C, H, W) float32 or float64, of the pixel range [0, 1] but for noise.
        ids: the images' names, as for `recover_unknown_mask`.
        seed: of the pixels that one of the tries leaves out, from 0 on.
        gamma: the penalty weight of (12) in all tries; where left out each try has its own, from 0.1 to 2.
        restarts: how many tries may follow the first one; there are 8 for noise, 8 for a colour, 17 for anything. Where
            a colour repeats those for anything come after it, and one alone where that is 15 % of the pixels.
        fill: `colour` or `anything` where the user knows what erased pixels hold; `unknown` otherwise.
        one_mask: whether a pixel is missing in all channels or in none.
        mask_every: after how many applications of the model the mask is estimated anew.
        carry_state: whether v and u go on from there; the paper's start again.
        memory: how many steps the acceleration remembers; 0 for the plain iteration.
        rest: applications for coming to rest, at the most; with 1 there is nothing but (31).
        on_iteration: called with images and masks of each try, of those images that are in the batch.
        batch_size: how many images are in the batch at a time; all where left out.
        device: where they lie for that time, the model's; where `degraded` lies where left out.
        repeats: how many times the batch holds the same images.

    Returns a Recovery with `claimed`, whether the result is believed to be a training image; `confidence`, in [0, 1],
    1/2 and more where it is claimed, and where a colour is the fill over 0.99 for ||f(x) - x||^2 under 3e-8; and
    `kept_share`. `iterations` counts the tries, `evaluations` the applications of the model in all of them.

    Raises InputError as `recover_unknown_mask` does.
    """
    settings = Adaptive(
        gamma=gamma,
        restarts=restarts,
        fill=fill,
        one_mask=one_mask,
        mask_every=mask_every,
        carry_state=carry_state,
        memory=memory,
        rest=rest,
    )
    return _recover(model, degraded, settings, ids, seed, on_iteration, batch_size, device, repeats)


@torch.no_grad()
@full_float32()
def _recover(
    model: Network,
    degraded: Tensor,
    settings: Adaptive,
    ids: Sequence[str] | None,
    seed: int,
    on_iteration: Callable[[Tensor, Tensor], None] | None,
    batch_size: int | None,
    device: torch.device | str | None,
    repeats: int,
) -> Recovery:
    check_arguments(degraded, batch_size, device)
    check_sign(degraded, "degraded images")
    check_called(on_iteration=on_iteration)
    check_seed(seed)
    names, best = ids_of(ids, len(degraded), repeats), Best(degraded)
    with as_prior(model) as f:
        for kind, (rule, rows) in enumerate(_rules(degraded, settings, best)):
            for number, attempt in enumerate(_attempts(rule, settings)):
                left = best.left(rows, settings.restarts)
                for mine in (left[part] for part in parts(len(left), batch_size)):
                    y = degraded[mine].to(device or degraded.device)
                    believed = _believed(attempt, number, y, [names[row] for row in mine.tolist()], seed)
                    found = try_once(f, y, rule, attempt, believed, settings.mask_every, settings.carry_state)
                    best.take(mine, found, attempt.iterations, kind, rule.agreement_settles)
                    if on_iteration is not None:
                        on_iteration(found.images, found.mask)
    return best.recovery()


def _rules(degraded: Tensor, settings: Adaptive, best: Best) -> Iterator[tuple[Rule, Tensor]]:
    """The rules, each with the rows that it is for: those that it suits and none before it settled, in the order of
    RULES; all where the user has named one."""
    options = settings.one_mask, int(settings.memory), int(settings.rest)
    if settings.fill in NAMED:
        yield NAMED[settings.fill](*options), torch.arange(len(degraded))
        return
    for rule in (kind(*options) for kind in RULES):
        left = (~best.settled).nonzero()[:, 0]
        yield rule, left[rule.suits(degraded[left]).cpu()]


def _attempts(rule: Rule, settings: Adaptive) -> list[Attempt]:
    attempts = list(rule.attempts)
    return attempts if settings.gamma is None else [replace(own, gamma=settings.gamma) for own in attempts]


def _believed(attempt: Attempt, number: int, y: Tensor, ids: Sequence[object], seed: int) -> Tensor | float:
    """The pixels (N, 1, H, W) that an attempt believes, each image's drawn for itself; 1 for all."""
    if attempt.share == 1:
        return 1.0
    drawn = torch.stack([torch.rand(y.shape[2:], generator=generator(seed, "believed", number, id_)) for id_ in ids])
    return (drawn < attempt.share).to(y)[:, None]


def _check(settings: Adaptive) -> None:
    if settings.gamma is not None:
        check_gamma(settings.gamma)
    for name in ("restarts", "memory"):
        value = getattr(settings, name)
        if not is_whole([value]) or value < 0:
            raise InputError(f"{name} {described(value)} is not a whole number from 0 on")
    check_counts(mask_every=settings.mask_every, rest=settings.rest)
    if not isinstance(settings.fill, str) or settings.fill not in FILLS:
        raise unknown("fill", settings.fill, FILLS)
    check_flag("one_mask", settings.one_mask)
    check_flag("carry_state", settings.carry_state)
