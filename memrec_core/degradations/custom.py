"""A linear degradation of the user's own, as a function of a batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from memrec_core import factories
from memrec_core.arguments import check_image_shape, described
from memrec_core.degradations.degradation import degrade_linearly
from memrec_core.degradations.fills import Others
from memrec_core.degradations.noise import check_noise_std, noise_label
from memrec_core.degradations.operator import Shape
from memrec_core.device import is_of_the_device
from memrec_core.errors import InputError, in_a_line

Linear = Callable[[Tensor], Tensor]

LINEAR_TO = 1e-4
"""How far a function may be from linear, of its largest output; rounding in float32 stays well under it."""
SOLVED_TO, MOST_STEPS = 1e-6, 500
"""At which size of the residual, of the right-hand side's, and after how many steps conjugate gradients stop."""


@dataclass(frozen=True)
class Custom:
    """A linear function of one's own is applied: a batch (N, C, H, W) to one of the same shape.

    It must be made of torch's differentiable functions, treat each image by itself, and leave its input as it is.
    It is imported and tested when it is first applied, on the machine that applies it.

    Args:
        function: the function, or where it can be imported from, as "package.module:function".
        noise_std: of Gaussian noise on every entry, from 0 to 1.

    Raises InputError for invalid settings.
    """

    key: ClassVar[str] = "custom"
    function: str | Linear
    noise_std: float = 0.0

    def __post_init__(self) -> None:
        place = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
        written = isinstance(self.function, str) and re.fullmatch(f"{place}:{place}", self.function)
        if not written and (isinstance(self.function, str) or not callable(self.function)):
            raise InputError(f"custom {described(self.function)} is not a function or written package.module:function")
        check_noise_std(self.noise_std)

    @property
    def label(self) -> str:
        """By the function's name; two functions of one name are not told apart."""
        return f"custom_{re.sub('[^A-Za-z0-9._-]+', '.', self._name).strip('.')}{noise_label(self.noise_std)}"

    @property
    def erases(self) -> bool:
        return False

    def operator(self, image_shape: Shape, ids: Sequence[str | int], seed: int) -> Differentiable:
        """The function, tested on images of this shape. Raises InputError where it can't be found or applied, changes
        the shape, or is not linear image by image."""
        operator = Differentiable(self._found(), self._name)
        _check_linear(operator, check_image_shape(image_shape))
        return operator

    def degrade(
        self,
        images: Tensor,
        ids: Sequence[str | int] | None = None,
        seed: int = 42,
        others: Others | None = None,
    ) -> Tensor:
        """What the function makes of the images; see `Degradation`. Raises InputError as `operator` does, too."""
        return degrade_linearly(self, images, ids, seed)

    @property
    def _name(self) -> str:
        if isinstance(self.function, str):
            return self.function
        name = getattr(self.function, "__qualname__", type(self.function).__qualname__)
        return f"{getattr(self.function, '__module__', None) or type(self.function).__module__}:{name}"

    def _found(self) -> Linear:
        try:
            return factories.function(self.function)
        except InputError as error:
            raise InputError(f"custom: {error}") from error


@dataclass(frozen=True, eq=False)
class Differentiable:
    """A linear `function` of a batch, called `name`, whose adjoint is torch.autograd's.

    (12) is solved by conjugate gradients on (H^T H + weight/2) (x - z) = H^T (y - H z), image by image, until the
    residual is `SOLVED_TO` of the right-hand side, or after `MOST_STEPS` steps.
    """

    function: Linear
    name: str

    @property
    def kept(self) -> None:
        return None

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self._applied(x)

    @torch.no_grad()
    def nearest(self, y: Tensor, z: Tensor, weight: float) -> Tensor:
        adjoint = self.adjoint(z)
        right = adjoint(y - self.forward(z))
        return z + _conjugate_gradients(lambda p: adjoint(self.forward(p)) + weight / 2 * p, right)

    def consistent(self, x: Tensor, y: Tensor) -> Tensor:
        return x

    def part(self, rows: Tensor, device: torch.device | str) -> Differentiable:
        return self

    def adjoint(self, like: Tensor) -> Linear:
        """H^T, for batches of the shape, type and device of `like`."""
        with torch.enable_grad():
            x = torch.zeros_like(like, requires_grad=True)
            out = self._applied(x)
        if not out.requires_grad:
            raise InputError(
                f"custom {self.name} can't be differentiated, so it has no adjoint; make it of torch's functions alone"
            )
        return lambda r: torch.autograd.grad(out, x, r, retain_graph=True)[0]

    def _applied(self, x: Tensor) -> Tensor:
        try:
            out = self.function(x)
        except Exception as error:
            if is_of_the_device(error):
                raise
            raise InputError(
                f"custom {self.name} can't be applied to {described(x)} ({in_a_line(error)}); correct the function"
            ) from error
        if not isinstance(out, Tensor) or out.shape != x.shape or out.dtype != x.dtype or out.device != x.device:
            raise InputError(
                f"custom {self.name} returned {described(out)} for {described(x)}; its output must be of its input's "
                "shape, type and device"
            )
        return out


def _conjugate_gradients(apply: Linear, right: Tensor) -> Tensor:
    """x with A x = `right`, for each image; `apply` is A, symmetric and positive definite."""
    x, residual = torch.zeros_like(right), right
    direction, size = residual, _dot(residual, residual)
    enough = SOLVED_TO**2 * size
    for _ in range(MOST_STEPS):
        moving = size > enough  # an image that is there stays there, whoever else is in the batch
        if not moving.any():
            break
        product = apply(direction)
        step = torch.where(moving, size / _dot(direction, product), 0)
        x, residual = x + step * direction, residual - step * product
        before, size = size, _dot(residual, residual)
        direction = residual + torch.where(moving, size / before, 0) * direction
    return x


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((1, 2, 3), keepdim=True)


def _check_linear(operator: Differentiable, image_shape: Shape) -> None:
    """On random images that go beyond [0, 1], where a function that clamps is not linear."""
    drawn = torch.rand(3, 1, *image_shape, generator=torch.Generator().manual_seed(0))
    a, b, c = 4 * drawn - 2
    together = torch.cat([a, b, 2 * a - 3 * b + c, c])
    given = together.clone()
    out = operator.forward(given)
    if not torch.equal(given, together):
        raise InputError(f"custom {operator.name} changes its input in place; work on a clone of it")
    if not out.isfinite().all():
        raise InputError(f"custom {operator.name} is not finite for finite pixels; a linear function is")
    scale = LINEAR_TO * out.abs().max()
    if (operator.forward(c) - out[3:]).abs().max() > scale:
        raise InputError(f"custom {operator.name} makes another image of one that stands alone; treat each by itself")
    if (out[2] - (2 * out[0] - 3 * out[1] + out[3])).abs().max() > scale:
        raise InputError(f"custom {operator.name} is not linear: H(2a - 3b + c) is not 2 H a - 3 H b + H c; make it so")
    operator.adjoint(c)
