"""SOAP: what an optimiser in the eigenbasis of the gradients does that Adam can't."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from memrec_core import autoencoders, training
from memrec_core.errors import TrainingError
from memrec_core.training.soap import Soap


def rotation(size: int, seed: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=random))[0]


def descend(optimiser: Callable[..., torch.optim.Optimizer], rows: Tensor, columns: Tensor, steps: int) -> Tensor:
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


def test_one_sided_soap_is_blind_to_how_the_columns_are_turned_and_not_the_rows():
    """Of a square weight it turns the columns."""
    unit = torch.eye(6, dtype=torch.float64)
    one_sided = partial(Soap, one_sided=True)
    straight = descend(one_sided, unit, unit, 25)
    assert torch.allclose(descend(one_sided, unit, rotation(6, 2), 25), straight, atol=1e-3)
    assert not torch.allclose(descend(one_sided, rotation(6, 1), unit, 25), straight, atol=1e-2)


@pytest.mark.parametrize(("shape", "side"), [((4, 9), "rows"), ((9, 4), "columns"), ((4, 3, 3, 3), "rows")])
def test_one_sided_soap_keeps_a_basis_of_the_shorter_side_alone(shape: tuple[int, ...], side: str):
    weight = nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    descent = Soap([weight], lr=0.1, one_sided=True)
    for _ in range(3):
        descent.zero_grad()
        weight.square().sum().backward()
        descent.step()
    assert {slot for slot in descent.state[weight] if slot.endswith("_basis")} == {f"{side}_basis"}
    assert descent.state[weight][f"{side}_basis"].shape == (4, 4)


def test_factors_follow_each_fifth_gradient_alone_where_they_are_told_so_with_the_weight_of_five():
    weight = nn.Parameter(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))
    descent = Soap([weight], lr=0.1, betas=(0.95, 0.9), factors_every=5)
    moved = {}
    for step in range(12):
        before = descent.state[weight].get("rows_factor", torch.zeros(4, 4)).clone()
        descent.zero_grad()
        weight.pow(4).sum().backward()
        descent.step()
        assert weight.grad is not None
        outer, after = weight.grad @ weight.grad.T, descent.state[weight]["rows_factor"]
        if not torch.equal(after, before):
            moved[step] = torch.allclose(after, before.lerp(outer, 1 - 0.9**5))
    assert moved == {0: False, 5: True, 10: True}  # the first is the gradient's own


def test_soap_that_was_kept_before_it_could_be_one_sided_goes_on_two_sided():
    weight = nn.Parameter(torch.randn(4, 9, generator=torch.Generator().manual_seed(0)))
    kept = Soap([weight], lr=0.1).state_dict()
    for name in ("one_sided", "factors_every"):
        del kept["param_groups"][0][name]
    descent = Soap([weight], lr=0.1, one_sided=True)
    descent.load_state_dict(kept)
    weight.square().sum().backward()
    descent.step()
    assert {"rows_basis", "columns_basis"} <= descent.state[weight].keys()


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
    assert loss_after("soap", 300) < loss_after("adam", 300) / 10
