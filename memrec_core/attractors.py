"""Why an image comes back, or does not: how the network acts around it, and how much of it may be missing.

A training image that is an attractor has a Jacobian whose eigenvalues are all within the unit circle there
(Radhakrishnan et al., 2020), and a basin: the degraded images from which it is still reached.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.autograd import forward_ad

from memrec_core.arguments import check_clean, check_counts, check_device, check_seed, ids_of
from memrec_core.device import is_of_the_device
from memrec_core.errors import InputError
from memrec_core.metrics import ACCURATE, mse
from memrec_core.network import Network, as_prior
from memrec_core.precision import full_float32
from memrec_core.recovery.arguments import parts
from memrec_core.recovery.known_mask import recover_known_mask
from memrec_core.seeding import generator

EVALUATIONS = 300
"""What both figures of an image cost about, in applications of the network."""
Products = Callable[[Network, Tensor, Tensor], Tensor]
"""J v, of a network at a batch of images, for a direction each."""


@full_float32()
def spectral_radius(
    model: Network,
    images: Tensor,
    steps: int = 20,
    seed: int = 42,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The spectral radius of the network's Jacobian at each image, (N,) float64: its eigenvalues' largest modulus.

    Under 1, applications of the network lead from nearby back to an image that it keeps. Arnoldi's iteration of each
    image for itself, with products of the Jacobian and a direction; no matrix is made. The largest eigenvalues may be a
    complex pair, which the power method would not find.

    With 20 steps it was within 2e-6 of torch.linalg.eigvals of the whole Jacobian, in proportion, on each fc10 and fc20
    that was tried, with 8 within 10 %. Other networks may need more: compare with twice as many. Where an activation
    lies at its kink but for rounding, there are two Jacobians, and either's radius may be returned (3 % apart, once).

    Args:
        model: as for `recover_unknown_mask`, and differentiable.
        images: (N, C, H, W) float32 or float64, in [0, 1].
        steps: of Arnoldi's iteration, an application and its derivative each.
        seed: of the first direction, the same for all images.
        batch_size: how many images are in the batch at a time; all where left out. `steps` tensors as large as it stay.
        device: where they lie then, the model's; where `images` lie where left out.

    Raises InputError as `recover_unknown_mask` does, and for a network that can't be differentiated.
    """
    check_clean(images, "images")
    check_counts(steps=steps, **({} if batch_size is None else {"batch_size": batch_size}))
    check_seed(seed)
    check_device(device)
    start = torch.randn(images.shape[1:], generator=generator(seed, "first direction"), dtype=images.dtype)
    found = torch.zeros(len(images), dtype=torch.float64)
    with as_prior(model) as f:
        for part in parts(len(images), batch_size):
            x = images[part].detach().to(device or images.device)
            hessenberg = _arnoldi(f, x, start.to(x).expand_as(x), min(steps, start.numel()))
            found[part] = torch.linalg.eigvals(hessenberg.double().cpu()).abs().amax(1)
    return found.to(images.device)


def basin(
    model: Network,
    images: Tensor,
    gamma: float,
    seed: int = 42,
    ids: Sequence[str] | None = None,
    steps: int = 6,
    inner_iterations: int = 40,
    batch_size: int | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """The largest share of each image's pixels that may be missing for it to come back accurately, (N,) float64.

    Bisection: told the mask, Algorithm 1 recovers the image from a share erased, then from more or from less. Masks of
    an image are nested: pixels go in an order that follows from its id and the seed. The share is a whole multiple of
    2^-steps, 1/64 unless said otherwise; 0 where the image comes back from none of those tried. Where an image comes
    back from one share and not from a smaller one, this is one of the bounds between, not the largest.

    Args:
        model: as for `recover_unknown_mask`.
        images: (N, C, H, W) float32 or float64, in [0, 1].
        gamma: as for `recover_known_mask`.
        seed: of the masks.
        ids: the images' names; their indices where left out.
        steps: of the bisection, a recovery each.
        inner_iterations: of Algorithm 1.
        batch_size: how many images are recovered at a time; all where left out.
        device: where they lie then, the model's; where `images` lie where left out.

    Raises InputError as `recover_known_mask` does.
    """
    check_clean(images, "images")
    check_counts(steps=steps)
    check_seed(seed)
    ranks = _ranks(images, ids_of(ids, len(images)), seed)
    share = torch.zeros(len(images), dtype=torch.float64, device=images.device)
    pixels = images.shape[2] * images.shape[3]
    for step in range(1, steps + 1):
        tried = share + 0.5**step
        missing = (tried * pixels).round()
        mask = (ranks >= missing[:, None, None, None]).to(images.dtype).expand_as(images)
        found = recover_known_mask(
            model,
            images * mask,
            mask,
            gamma,
            inner_iterations=inner_iterations,
            batch_size=batch_size,
            device=device,
        )
        share = torch.where((mse(found.images, images) < ACCURATE) & (missing > 0), tried, share)
    return share


def _ranks(images: Tensor, ids: Sequence[object], seed: int) -> Tensor:
    """When each pixel goes missing, (N, 1, H, W); in all channels at once."""
    height, width = images.shape[2:]
    ranks = torch.empty(len(images), 1, height, width, dtype=torch.int64)
    for own, id_ in zip(ranks, ids, strict=True):
        own.copy_(torch.randperm(height * width, generator=generator(seed, "basin", id_)).view(1, height, width))
    return ranks.to(images.device)


def _arnoldi(f: Network, x: Tensor, start: Tensor, steps: int) -> Tensor:
    """The Jacobians at x (N, C, H, W), each on its own Krylov space: upper Hessenberg matrices (N, steps, steps).

    Orthogonalised twice, for float32. Where a space has no more directions the rest of its matrix is zero.
    """
    times = _products(f, x, start)
    basis = x.new_zeros(steps + 1, *x.shape).flatten(2)
    hessenberg = x.new_zeros(len(x), steps + 1, steps)
    basis[0] = torch.nn.functional.normalize(start.flatten(1), dim=1)
    for step in range(steps):
        w = times(f, x, basis[step].view_as(x)).flatten(1)
        size = torch.linalg.vector_norm(w, dim=1)
        known = basis[: step + 1]
        for _ in range(2):
            along = torch.einsum("knd,nd->nk", known, w)
            w = w - torch.einsum("knd,nk->nd", known, along)
            hessenberg[:, : step + 1, step] += along
        rest = torch.linalg.vector_norm(w, dim=1)
        rest = rest.where(rest > 10 * torch.finfo(x.dtype).eps * size, 0)
        hessenberg[:, step + 1, step] = rest
        w = w / rest.where(rest > 0, torch.inf)[:, None]
        along = torch.einsum("knd,nd->nk", known, w)  # a small rest is mostly rounding, with parts along all of them
        w = w - torch.einsum("knd,nk->nd", known, along)
        basis[step + 1] = torch.nn.functional.normalize(w, dim=1)
    return hessenberg[:, :steps]


def _products(f: Network, x: Tensor, direction: Tensor) -> Products:
    """How J v is had of this network: forwards, or twice backwards where an operation of it has no forward mode."""
    for products in (_forwards, _twice_backwards):
        try:
            products(f, x[:1], direction[:1])
        except InputError as error:
            refused = error
        else:
            return products
    raise InputError(f"the autoencoder can't be differentiated, and its Jacobian is not to be had: {refused}")


@torch.no_grad()
def _forwards(f: Network, x: Tensor, v: Tensor) -> Tensor:
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(f(forward_ad.make_dual(x, v))).tangent
    if tangent is None:
        raise InputError("its output does not follow from its input by operations that torch differentiates")
    return tangent


@torch.enable_grad()
def _twice_backwards(f: Network, x: Tensor, v: Tensor) -> Tensor:
    """J v is the derivative along u of v' J' u, which is linear in u."""
    x = x.detach().clone().requires_grad_()
    out = f(x)
    if not out.requires_grad:
        raise InputError("its output does not follow from its input by operations that torch differentiates")
    u = torch.zeros_like(out, requires_grad=True)
    try:
        (back,) = torch.autograd.grad(out, x, u, create_graph=True, materialize_grads=True)
        (product,) = torch.autograd.grad(back, u, v, materialize_grads=True)
    except RuntimeError as error:
        if is_of_the_device(error):
            raise
        raise InputError(str(error)) from error
    return product
