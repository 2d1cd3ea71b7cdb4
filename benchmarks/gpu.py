"""How fast a GPU recovers images and trains, on torch and numpy alone: for a machine that has nothing else.

    python -m benchmarks.gpu [--device cuda] [--images 512] [--size 64] [--width 1024] [--papers-steps 20]

trains an fc10 on 50 images, recovers them and the batch, and prints one JSON object: the device, images a second, the
share of the best float32 rate measured for the network's matrix products; what a CUDA graph of Algorithm 1 gains, and
how far its images are from the others; what a training step takes beside forward, backward and fused Adam; and what one
takes at the sizes of the paper's tables, of which --papers-steps are done. TF32 is off, which the error of a product
shows, but for one figure of each table, which says what it would save. workflows/experiments/RESULTS.md has what an
H200 gave.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from memrec_core import autoencoders, degradations, metrics, recovery, training
from memrec_core.errors import TrainingError
from memrec_core.precision import full_float32
from memrec_core.recovery.admm import solve

INNER, GAMMA, TRAINED = 40, 0.5, 50
STEPS = 200


@dataclass(frozen=True)
class Table:
    """A training of the paper's tables, as its experiment file has it: a step takes `batch` images."""

    architecture: str
    options: dict[str, Any]
    shape: tuple[int, int, int]
    batch: int


TABLES = {
    "table1": Table("fc20", {"width": 6144}, (3, 64, 64), 250),
    "table2": Table("unet", {"activation": "softplus", "channels": [64, 384, 384, 384]}, (3, 32, 32), 50),
}


@full_float32()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    for name, value in (("images", 512), ("size", 64), ("width", 1024)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--papers-steps", type=int, default=20)
    asked = parser.parse_args()
    shape, device = (3, asked.size, asked.size), torch.device(asked.device)
    generator = torch.Generator().manual_seed(42)
    images = smooth(torch.rand(asked.images, *shape, generator=generator)).to(device)
    model = new_network(shape, asked.width, device)
    steps, step_s, bare_step_s = train_and_time(model, images[:TRAINED], asked.width)
    found = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "error_of_a_product": error_of_a_product(device),
        "training_steps": steps,
        "training_step_ms": 1000 * step_s,
        "bare_training_step_ms": 1000 * bare_step_s,
        **recoveries(model.eval().requires_grad_(False), images),
        **{name: step_of(table, device, asked.papers_steps) for name, table in TABLES.items()},
    }
    print(json.dumps(found, indent=2))


def smooth(noise: Tensor) -> Tensor:
    """Random images with large shapes in them, in [0, 1]."""
    small = nn.functional.avg_pool2d(noise, 8)
    images = nn.functional.interpolate(small, size=noise.shape[-1], mode="bilinear")
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    return (images - low) / (high - low)


def new_network(shape: tuple[int, int, int], width: int, device: torch.device) -> nn.Module:
    torch.manual_seed(42)
    return autoencoders.build("fc10", shape, width=width).to(device)


def error_of_a_product(device: torch.device) -> float:
    """Of a float32 matrix product, relative to float64: about 1e-7 in full precision, 1e-3 with TF32."""
    a, b = (torch.rand(512, 512, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    exact = a.double() @ b.double()
    return float(((a.to(device) @ b.to(device)).cpu().double() - exact).abs().max() / exact.abs().max())


def train_and_time(model: nn.Module, images: Tensor, width: int) -> tuple[int, float, float]:
    """Train to 1e-6; and the seconds of a step of the training, and of one with nothing but what a step needs."""
    steps = training.train(model, images, [1e-6], learning_rate=3e-4).reached[-1].step
    other = new_network((images.shape[1], images.shape[2], images.shape[3]), width, images.device)
    optimiser = torch.optim.Adam(other.parameters(), fused=True)

    def ours() -> None:
        train_for(STEPS, other, images)

    def bare() -> None:
        for _ in range(STEPS):
            gradient(other, images)
            optimiser.step()

    return steps, seconds(ours, images.device) / STEPS, seconds(bare, images.device) / STEPS


def gradient(model: nn.Module, images: Tensor) -> None:
    model.zero_grad()
    (model(images) - images).square().mean().backward()


@contextmanager
def with_tf32() -> Iterator[None]:
    """The opposite of `full_float32`, within it."""
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False


def train_for(steps: int, model: nn.Module, images: Tensor) -> None:
    try:
        training.train(model, images, [1e-300], learning_rate=3e-4, max_steps=steps)
    except TrainingError:
        return  # it has no target that it could reach
    raise AssertionError("the training ended before its last step")


def step_of(table: Table, device: torch.device, steps: int) -> dict[str, float]:
    """Milliseconds of a training step, the float operations a second that its products make, and the milliseconds of
    forward and backward alone, in full float32 and where TF32 is allowed."""
    generator = torch.Generator().manual_seed(42)
    images = smooth(torch.rand(table.batch, *table.shape, generator=generator)).to(device)
    torch.manual_seed(42)
    model = autoencoders.build(table.architecture, table.shape, **table.options).to(device)
    with FlopCounterMode(display=False) as counted:
        gradient(model, images)
    step_s = seconds(lambda: train_for(steps, model, images), device, times=1) / steps
    full_s = seconds(lambda: gradient(model, images), device)
    with with_tf32():
        tf32_s = seconds(lambda: gradient(model, images), device)
    return {
        "step_ms": 1000 * step_s,
        "float32_rate": counted.get_total_flops() / step_s,
        "gradient_ms": 1000 * full_s,
        "gradient_with_tf32_ms": 1000 * tf32_s,
    }


@torch.no_grad()
def recoveries(model: nn.Module, images: Tensor) -> dict[str, Any]:
    device = images.device
    mask = degradations.mask("center", (images.shape[1], images.shape[2], images.shape[3])).to(device)
    degraded, theta = images * mask, mask.expand_as(images).contiguous()
    applications = (INNER - 1) * len(images)
    products = sum(2 * layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Linear))
    eager_s = seconds(lambda: solve(model, degraded, theta, GAMMA, INNER), device)
    bare_s = seconds(lambda: [model(images) for _ in range(INNER - 1)], device)
    best = best_rate(model, images)
    found = {
        "algorithm_1_images_per_second": len(images) / eager_s,
        "share_of_bare_applications": bare_s / eager_s,
        "float32_rate": products * applications / eager_s,
        "share_of_the_best_rate_of_its_products": products * applications / eager_s / best,
    }
    trained = degraded[:TRAINED]
    unknown = recovery.recover_unknown_mask(model, trained, GAMMA, max_iterations=20)
    error = metrics.mse(unknown.images, images[:TRAINED])
    found["unknown_mask_accurate_share"] = float((error < 1e-7).double().mean())
    if device.type == "cuda":
        replay, result = graphed(model, degraded, theta)
        graph_s = seconds(replay, device)
        apart = metrics.mse(result, solve(model, degraded, theta, GAMMA, INNER)[0]).max()
        found |= {"cuda_graph_over_eager": eager_s / graph_s, "cuda_graph_mse_apart": float(apart)}
    return found


def best_rate(model: nn.Module, images: Tensor) -> float:
    """Float operations a second of the network's products alone, on matrices of their shapes."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    taken = 0.0
    for layer in layers:
        x = torch.rand(len(images), layer.in_features, device=images.device)
        out = torch.empty(len(images), layer.out_features, device=images.device)
        transposed = layer.weight.T
        taken += seconds(lambda x=x, w=transposed, out=out: [torch.mm(x, w, out=out) for _ in range(20)], x.device) / 20
    return sum(2 * layer.weight.numel() for layer in layers) * len(images) / taken


def graphed(model: nn.Module, degraded: Tensor, theta: Tensor) -> tuple[Callable[[], None], Tensor]:
    """Algorithm 1 as one CUDA graph, and the tensor that a replay writes its result to."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        solve(model, degraded, theta, GAMMA, INNER)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result, _ = solve(model, degraded, theta, GAMMA, INNER)
    return graph.replay, result


def seconds(work: Callable[[], Any], device: torch.device, times: int = 3) -> float:
    """The shortest of a few times that `work` takes, after a first one that does not count."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


if __name__ == "__main__":
    main()
