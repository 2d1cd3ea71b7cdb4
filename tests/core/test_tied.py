"""Theorem 1: which tied autoencoders are proximal operators, and what ADMM with one of them minimises."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import spence
from torch import Tensor, nn

from memrec_core import autoencoders, training
from memrec_core.autoencoders.tied import Tied
from memrec_core.recovery.admm import solve

SHAPE = (1, 2, 3)
GAMMA = 0.5


def tied(activation: str = "softplus", width: int = 5, scale: float = 1.0) -> Tied:
    torch.manual_seed(3)
    model = autoencoders.build("tied", SHAPE, activation=activation, width=width).double()
    with torch.no_grad():
        model.weight.mul_(scale)
    return model


def is_proximal_at(model: nn.Module, points: Tensor) -> bool:
    """Whether the Jacobian is symmetric with eigenvalues in [0, 1] at each of the points."""
    for point in points:
        jacobian = torch.autograd.functional.jacobian(model, point[None]).reshape(6, 6)
        eigenvalues = torch.linalg.eigvalsh(jacobian)
        symmetric = torch.allclose(jacobian, jacobian.T, atol=1e-12)
        if not symmetric or eigenvalues.min() < -1e-9 or eigenvalues.max() > 1 + 1e-9:
            return False
    return True


def points(count: int = 20) -> Tensor:
    return 4 * torch.randn(count, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("width", [3, 6, 9])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_admissible_tied_autoencoder_has_the_jacobian_of_a_proximal_operator(width: int, scale: float):
    assert is_proximal_at(tied(width=width, scale=scale), points())


def test_inadmissible_ones_do_not():
    too_large = tied(scale=1.2)
    assert not is_proximal_at(too_large, points())
    for slope in (1.5, -0.5):
        steep = tied("prelu")
        nn.init.constant_(steep.activation.weight, slope)
        assert not is_proximal_at(steep, points())
    assert not is_proximal_at(autoencoders.build("fc10", SHAPE, width=8).double(), points())


def implied_regulariser(model: Tied, x: np.ndarray) -> float:
    """s(f(x)) for the s whose proximal operator is f: <x, f(x)> - |f(x)|^2 / 2 - psi(x), psi the potential of f."""
    z, weight = apply(model, x), model.weight.detach().numpy()
    potential = -spence(1 + np.exp(weight @ x)).sum()  # the integral of softplus is -Li2(-exp)
    return float(x @ z - z @ z / 2 - potential)


def apply(model: Tied, x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(x).view(1, *SHAPE)).numpy().ravel()


def minimiser(model: Tied, objective, start: np.ndarray) -> np.ndarray:
    """The z = f(x) in the range of f with the smallest objective(z, s(z)), searched over x from `start`."""

    def cost(x: np.ndarray) -> float:
        return objective(apply(model, x), implied_regulariser(model, x))

    return apply(model, minimize(cost, start, method="BFGS", options={"gtol": 1e-9}).x)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_application_is_the_proximal_operator_of_the_regulariser_it_implies(seed: int):
    model, random = tied(width=6, scale=0.9), np.random.default_rng(seed)
    x = random.normal(size=6)
    found = minimiser(model, lambda z, s: np.square(z - x).sum() / 2 + s, x + random.normal(size=6))
    assert np.abs(found - apply(model, x)).max() < 1e-4
    assert np.abs(found - apply(model, x + 0.1)).max() > 1e-3


def test_admm_converges_to_the_minimiser_of_equation_6():
    model, random = tied(width=6, scale=0.9), np.random.default_rng(5)
    theta = np.array([1.0, 1, 0, 1, 0, 1])
    y = theta * apply(model, random.normal(size=6))
    expected = minimiser(model, lambda z, s: np.square(theta * z - y).sum() + GAMMA * s, random.normal(size=6))
    batch = [torch.from_numpy(array).view(1, *SHAPE) for array in (y, theta)]
    with torch.no_grad():
        found, _ = solve(model, *batch, GAMMA, iterations=3000)
    assert np.abs(found.numpy().ravel() - expected).max() < 1e-4


def test_training_keeps_the_singular_values_in_the_unit_interval():
    torch.manual_seed(0)
    model = autoencoders.build("tied", (1, 4, 4), width=24)
    images = torch.rand(5, 1, 4, 4)
    seen: list[float] = []
    before = float((model(images) - images).square().mean().detach())
    training.train(
        model,
        images,
        [0.5 * before],
        learning_rate=1e-2,
        on_step=lambda *_: seen.append(float(torch.linalg.svdvals(model.weight.detach()).max())),
    )
    assert len(seen) > 1
    assert max(seen) <= 1 + 1e-5
    assert float((model(images) - images).square().mean().detach()) <= 0.5 * before


def test_projection_clips_the_singular_values_and_leaves_the_rest():
    model = tied(width=6)
    left, _, right = torch.linalg.svd(torch.randn(6, 6, dtype=torch.float64))
    singular = torch.tensor([3.0, 1.5, 0.9, 0.5, 0.2, 0.0], dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_((left * singular) @ right)
    model.project_()
    assert torch.allclose(model.weight, (left * singular.clamp(max=1)) @ right, atol=1e-12)
