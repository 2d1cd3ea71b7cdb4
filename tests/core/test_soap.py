"""SOAP: what an optimiser in the eigenbasis of the gradients does that Adam can't."""

import pytest
import torch
from torch import Tensor, nn

from memrec_core import autoencoders, training
from memrec_core.errors import TrainingError
from memrec_core.training.soap import Soap


def rotation(size: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=random))[0]


def descend(optimiser: type[torch.optim.Optimizer], rows: Tensor, columns: Tensor, steps: int) -> Tensor:
    """Minimise an ill-conditioned quadratic of a 6 x 6 matrix whose axes are turned by `rows` and `columns`."""
    curvature = torch.logspace(0, -4, 36, dtype=torch.float64).view(6, 6)
    start = rotation(6, 5)
    weight = nn.Parameter(rows @ start @ columns)
    descent = optimiser([weight], lr=0.02, betas=(0.95, 0.95))
    for _ in range(steps):
        descent.zero_grad()
        (curvature * (rows.T @ weight @ columns.T).square()).sum().backward()
        descent.step()
    return rows.T @ weight.detach() @ columns.T


def test_turning_the_axes_of_a_problem_turns_the_course_along():
    unit = torch.eye(6, dtype=torch.float64)
    turns = [(unit, unit), (rotation(6, 1), rotation(6, 2)), (rotation(6, 3), rotation(6, 4))]
    straight, *turned = (descend(Soap, *turn, 25) for turn in turns)
    for course in turned:
        assert torch.allclose(course, straight, atol=1e-3)
    straight, *turned = (descend(torch.optim.Adam, *turn, 25) for turn in turns)
    for course in turned:
        assert not torch.allclose(course, straight, atol=1e-2)


def test_vectors_are_adams():
    start = torch.linspace(-1, 1, 6, dtype=torch.float64)
    courses = []
    for optimiser in (Soap, torch.optim.Adam):
        bias = nn.Parameter(start.clone())
        descent = optimiser([bias], lr=0.1, betas=(0.9, 0.95))
        for step in range(25):
            descent.zero_grad()
            (torch.arange(1, 7) * bias.square()).sum().backward()
            if step > 0 or optimiser is Soap:  # whose first step only finds its bases
                descent.step()
        courses.append(bias.detach())
    assert torch.allclose(*courses, atol=1e-6)


def loss_after(optimiser: str, steps: int) -> float:
    torch.manual_seed(0)
    model = autoencoders.build("unet", (3, 8, 8), channels=[16, 16, 16])
    images = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    losses: list[float] = []
    with pytest.raises(TrainingError):
        training.train(
            model,
            images,
            [1e-12],
            optimiser=optimiser,
            max_steps=steps,
            on_step=lambda _, loss: losses.append(loss),
        )
    return min(losses)


def test_soap_fits_a_unet_far_closer_than_adam_does():
    assert loss_after("soap", 600) < loss_after("adam", 600) / 10
