"""Algorithm 1 against what it is meant to compute."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from memrec_core.recovery.admm import solve
from tests.core.waits import Waits

GENERATOR = torch.Generator().manual_seed(0)
Y = torch.rand(2, 1, 3, 3, generator=GENERATOR, dtype=torch.float64) - 0.2
THETA = torch.randint(0, 2, Y.shape, generator=GENERATOR).double()


def small_network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    layers = [torch.nn.Flatten(), torch.nn.Linear(9, 12), torch.nn.LeakyReLU(), torch.nn.Linear(12, 9)]
    return torch.nn.Sequential(*layers, torch.nn.Unflatten(1, (1, 3, 3))).double().requires_grad_(False)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0, 7.0])
def test_xi_minimises_its_objective(gamma: float):
    """Equation (12), by a numerical minimiser: with f constant and one step, v~ of the second step is known."""
    constant = torch.rand(Y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    xi, first = solve(lambda _: constant, Y, THETA, gamma, iterations=2)
    shifted = constant - (first - constant)  # v - u after the first step, from u = 0
    theta, y = THETA.numpy().ravel(), Y.numpy().ravel()

    def objective(x: np.ndarray) -> float:
        return ((theta * x - y) ** 2).sum() + gamma / 2 * ((x - shifted.numpy().ravel()) ** 2).sum()

    best = minimize(objective, np.zeros(y.size), method="BFGS", options={"gtol": 1e-10})
    # Where nothing is kept, y is not part of the problem: its erased entries only add a constant.
    assert np.allclose(xi.numpy().ravel(), best.x, atol=1e-6)


def algorithm_1(f, y: torch.Tensor, theta: torch.Tensor, gamma: float, iterations: int) -> torch.Tensor:
    """The paper's pseudo-code, line by line."""
    v, u = torch.zeros_like(y), torch.zeros_like(y)
    for _ in range(iterations):
        xi = torch.where(theta == 1, (y + gamma / 2 * (v - u)) / (1 + gamma / 2), v - u)
        v = f(xi + u)
        u = u + (xi - v)
    return xi


@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("iterations", [1, 2, 40])
def test_algorithm_1_is_the_papers(gamma: float, iterations: int):
    f = small_network()
    expected = algorithm_1(f, Y, THETA, gamma, iterations)
    assert torch.allclose(solve(f, Y, THETA, gamma, iterations)[0], expected, atol=1e-12)


@torch.no_grad()
def test_algorithm_1_on_a_trained_network_in_float32_stays_near_float64(trained):
    y = trained.train.images.clone()
    theta = torch.ones_like(y)
    theta[:, :, 4:12, 4:12] = 0
    y *= theta
    single = solve(trained.model, y, theta, 0.5)[0]
    double = algorithm_1(copy.deepcopy(trained.model).double(), y.double(), theta.double(), 0.5, 40)
    assert (single - double).square().mean() < 1e-9


def test_second_value_is_the_iterate_before_the_last():
    f = small_network()
    before = solve(f, Y, THETA, 0.5, 7)[1]
    assert torch.equal(before, solve(f, Y, THETA, 0.5, 6)[0])


def test_autoencoder_is_applied_once_an_iteration_but_for_the_last():
    calls = []

    def counting(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x / 2

    solve(counting, Y, THETA, 0.5, 40)
    assert calls == [2] * 39


@pytest.mark.parametrize("f", [lambda x: x, lambda x: x.flip(0), lambda x: x[:1].expand_as(x)])
def test_autoencoder_may_return_its_input_or_a_view_of_it(f):
    assert torch.allclose(solve(f, Y, THETA, 0.5, 7)[0], algorithm_1(f, Y, THETA, 0.5, 7), atol=1e-12)


def test_order_of_the_entries_in_memory_does_not_matter():
    y, theta = (tensor.expand(2, 3, 3, 3).clone() for tensor in (Y, THETA))

    def f(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x).contiguous(memory_format=torch.channels_last)

    assert torch.allclose(solve(f, y, theta, 0.5, 7)[0], algorithm_1(f, y, theta, 0.5, 7), atol=1e-12)


def test_batch_larger_than_the_cache_is_handled_whole():
    y = torch.rand(7, 1, 150, 150, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta = (y > 0.5).double()
    found = solve(torch.sin, y, theta, 0.5, 5)[0]
    assert torch.allclose(found, algorithm_1(torch.sin, y, theta, 0.5, 5), atol=1e-12)


def test_nothing_inside_algorithm_1_waits_for_the_device():
    with Waits() as waits:
        solve(small_network(), Y, THETA, gamma=0.5)
    assert waits.count == 0
