"""What the public functions are given by mistake: a sentence that says what was expected, or what is documented."""

import math
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from memrec_core import autoencoders, datasets, degradations, metrics, recovery, training
from memrec_core.arguments import check_sign
from memrec_core.diffusion_prior import DiffusionPrior
from memrec_core.errors import InputError
from memrec_core.network import evaluating

SHAPE = (3, 8, 8)
IMAGES = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))
MASK = degradations.mask("center", SHAPE)
DEGRADED = degradations.degrade(IMAGES, MASK)


def halved(x: Tensor) -> Tensor:
    return x / 2


class Blank(nn.Module):
    """A diffusion model that sees no noise anywhere."""

    def forward(self, x: Tensor, time: int) -> SimpleNamespace:
        return SimpleNamespace(sample=torch.zeros_like(x))


PRIOR = DiffusionPrior(Blank(), torch.tensor([0.9, 0.5, 0.1]), 3, 8, "digest", "blank")

Recover = Callable[..., recovery.Recovery]


def unknown(model=halved, y=DEGRADED, **options) -> recovery.Recovery:
    return recovery.recover_unknown_mask(model, y, **{"gamma": 0.5, "max_iterations": 3, **options})


def known(model=halved, y=DEGRADED, **options) -> recovery.Recovery:
    return recovery.recover_known_mask(model, y, **{"mask": MASK, "gamma": 0.5, **options})


def iterated(model=halved, y=DEGRADED, **options) -> recovery.Recovery:
    return recovery.iterate_autoencoder(model, y, **{"max_iterations": 3, **options})


def adaptive(model=halved, y=DEGRADED, **options) -> recovery.Recovery:
    return recovery.recover_adaptive(model, y, **{"restarts": 1, **options})


def ddnm(model=PRIOR, y=DEGRADED, **options) -> recovery.Recovery:
    return recovery.recover_ddnm(model, y, **{"mask": MASK, "steps": 2, **options})


def biharmonic(y=DEGRADED, **options) -> recovery.Recovery:
    return recovery.inpaint_biharmonic(y, **{"mask": MASK, **options})


WITH_A_NETWORK = {"unknown mask": unknown, "known mask": known, "AE iterations": iterated, "adaptive": adaptive}
METHODS = {**WITH_A_NETWORK, "ddnm": ddnm, "biharmonic": biharmonic}
with_a_network = pytest.mark.parametrize("recover", WITH_A_NETWORK.values(), ids=WITH_A_NETWORK)
any_method = pytest.mark.parametrize("recover", METHODS.values(), ids=METHODS)


def refused(words: str, call: Callable[..., object], *args: object, **options: object) -> None:
    """The call raises InputError, in one line, with the words."""
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    message = str(caught.value)
    assert re.search(words, message), message
    assert "\n" not in message
    assert len(message) < 700


def dirty(value: float) -> Tensor:
    """The degraded images, with a value in the third."""
    changed = DEGRADED.clone()
    changed[2, 0, 0, 0] = value
    return changed


NO_BATCHES = {
    "a list": [[1.0]],
    "numpy's": DEGRADED.numpy(),
    "nothing": None,
    "bytes": (255 * DEGRADED).byte(),
    "whole numbers": DEGRADED.long(),
    "half precision": DEGRADED.half(),
    "complex": DEGRADED.cfloat(),
    "one image": DEGRADED[0],
    "no pixels": DEGRADED[..., :0],
    "no data": DEGRADED.to("meta"),
    "sparse": DEGRADED.to_sparse(),
}
no_batch = pytest.mark.parametrize("images", NO_BATCHES.values(), ids=NO_BATCHES)


@any_method
@no_batch
def test_degraded_images_that_are_no_float_batch_are_refused(recover: Recover, images: object):
    refused(r"degraded images must be .*\(N, C, H, W\), not ", recover, y=images)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@any_method
def test_a_degraded_image_that_is_not_finite_is_named(recover: Recover, value: float):
    refused("image 2 has values that are not finite", recover, y=dirty(value))


@any_method
def test_degraded_images_of_0_to_255_are_refused_and_noisy_ones_are_not(recover: Recover):
    refused(r"image 0 .*\[0, 1\]; .*255", recover, y=255 * DEGRADED)
    assert len(recover(y=degradations.degrade(IMAGES, MASK, noise_std=0.5)).images) == 4


PHOTOS = datasets.load("photos", count=48, size=8).images
OTHER_RANGES = {"[-0.5, 0.5]": PHOTOS - 0.5, "[-1, 1]": 2 * PHOTOS - 1}


@pytest.mark.parametrize("noise_std", [0.0, 0.2])
@pytest.mark.parametrize("images", OTHER_RANGES.values(), ids=OTHER_RANGES)
@pytest.mark.parametrize("recover", [unknown, adaptive])
def test_degraded_images_around_0_are_refused_where_the_mask_is_unknown(
    recover: Recover, images: Tensor, noise_std: float
):
    noise = noise_std * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    refused(r"of all values are below -0\.1 and .*range \[0, 1\]; add 0\.5", recover, y=images * MASK + noise)


@pytest.mark.parametrize("noise_std", [0.1, 0.2, 0.5, 1.0])
def test_black_images_under_noise_are_of_the_range(noise_std: float):
    """31 % of their values are below -0.1 for a noise of 0.2, and as many above 0.1."""
    for seed in range(100):
        noise = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(seed))
        check_sign(noise_std * noise, "degraded images")


@any_method
def test_no_images_give_no_recoveries(recover: Recover):
    found = recover(y=DEGRADED[:0])
    assert found.images.shape == (0, *SHAPE)
    assert [len(entry) for entry in (found.status, found.iterations, found.evaluations)] == [0, 0, 0]


@with_a_network
def test_float64_images_are_recovered_in_float64(recover: Recover):
    assert recover(y=DEGRADED.double()).images.dtype == torch.float64


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda x: x[:, :1], r"returned a float32 tensor of shape \(4, 1, 8, 8\) for .*\(4, 3, 8, 8\)"),
        (lambda x: x.mean(0, keepdim=True), r"\(1, 3, 8, 8\)"),
        (lambda x: x.mean(), r"shape \(\)"),
        (lambda x: x.flatten(1), r"\(4, 192\)"),
        (lambda x: {"recon": x}, "returned a dict"),
        (lambda x: (x, x), "returned a tuple"),
        (lambda x: None, "returned a NoneType"),
        (lambda x: x.numpy(), "returned a ndarray"),
        (lambda x: x.double(), "float64"),
        (lambda x: x.half(), "float16"),
        (lambda x: x.to("meta"), "on meta"),
        (lambda x: x.to_sparse(), "of its input's shape, type and device"),
        (lambda x: x.mul_(0.5), "in place"),
        (lambda x: sys.exit(0), r"can't be applied to .* \(SystemExit: 0\)"),
        (lambda x: [][0], r"can't be applied to a float32 tensor of shape \(4, 3, 8, 8\) \(list index out of range\)"),
        (nn.Linear(5, 5), r"can't be applied to .* \(mat1 and mat2 shapes"),
        (nn.Linear(8, 8).double(), r"its weights are float64 on cpu and the images on cpu"),
        (nn.Linear(8, 8, device="meta"), "its weights are float32 on meta"),
        (nn.Linear, "can't be applied to"),
        (None, "must be a module or a function"),
        ("model.pt", "must be a module or a function"),
    ],
)
@with_a_network
def test_a_network_whose_output_is_no_image_of_its_input_is_refused(recover: Recover, output: object, words: str):
    refused(words, recover, output)


def test_a_later_output_is_looked_at_too():
    calls = []

    def shrinking(x: Tensor) -> Tensor:
        calls.append(x)
        return x / 2 if len(calls) < 5 else x[..., :1]

    refused(r"\(4, 3, 8, 1\)", unknown, shrinking)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), KeyboardInterrupt()])
@with_a_network
def test_what_is_of_the_device_or_the_user_stays_what_it_is(recover: Recover, error: BaseException):
    def failing(x: Tensor) -> Tensor:
        raise error

    with pytest.raises(type(error)):
        recover(failing)


@with_a_network
def test_a_network_may_return_its_input_or_a_tensor_that_it_keeps(recover: Recover):
    kept = torch.rand(4, *SHAPE)
    before = kept.clone()
    moving = torch.tensor([0.0, 1.0, 1.0, 1.0])[:, None, None, None]  # so that images stop, and leave the batch
    recover(lambda x: kept[: len(x)], moving * DEGRADED, batch_size=3)
    assert torch.equal(kept, before)
    assert torch.equal(recover(lambda x: x).images, recover(torch.clone).images)


@with_a_network
def test_a_network_may_ask_for_gradients(recover: Recover):
    def with_gradients(x: Tensor) -> Tensor:
        with torch.enable_grad():
            return x.requires_grad_(False) * torch.full((), 0.5, requires_grad=True)

    found = recover(with_gradients)
    assert not found.images.requires_grad
    assert torch.equal(found.images, recover(halved).images)


class Moody(nn.Module):
    """Dropout and batch norm, frozen in part: each of its modules has a mode of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.norm, self.frozen, self.drop = nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.Dropout(0.5)
        self.train()
        self.frozen.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.frozen(self.norm(x))) / 2

    @property
    def modes(self) -> list[bool]:
        return [module.training for module in self.modules()]


@with_a_network
@pytest.mark.parametrize("form", [lambda model: model, lambda model: model.forward], ids=["module", "its method"])
def test_a_network_is_in_evaluation_mode_for_the_length_of_the_call(recover: Recover, form: Callable):
    model = Moody()
    first, second = recover(form(model)), recover(form(model))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.images, recover(Moody().eval()).images)
    assert model.modes == [True, True, False, True]
    assert model.norm.num_batches_tracked == 0


@with_a_network
def test_a_network_has_its_modes_back_after_an_error(recover: Recover):
    model = nn.Sequential(Moody(), nn.Linear(5, 5))
    refused("can't be applied", recover, model)
    assert model[0].modes == [True, True, False, True]


def test_ddnm_has_its_prior_in_evaluation_mode():
    class Noisy(Blank):
        def forward(self, x: Tensor, time: int) -> SimpleNamespace:
            return SimpleNamespace(sample=nn.functional.dropout(x, 0.5, self.training))

    prior = DiffusionPrior(Noisy().train(), PRIOR.abar, 3, 8, "digest", "noisy")
    assert torch.equal(ddnm(prior).images, ddnm(prior).images)
    assert prior.model.training
    refused("from diffusion_prior.load", ddnm, halved)


def test_methods_work_in_inference_mode():
    with torch.inference_mode():
        inside = [recover().images for recover in WITH_A_NETWORK.values()]
    for recover, images in zip(WITH_A_NETWORK.values(), inside, strict=True):
        assert torch.equal(recover().images, images)


NO_MASKS = {
    "numpy's": (MASK.numpy(), "numpy array"),
    "a list": ([1, 0], "zeros and ones"),
    "a name": ("center", "zeros and ones"),
    "grey": (0.5 * MASK, "other entries than 0"),
    "255": (255 * MASK, "other entries than 0"),
    "NaN": (math.nan * MASK, "other entries than 0"),
    "one channel": (MASK[:1], r"\(1, 8, 8\)"),
    "a plane": (MASK[0], r"\(8, 8\)"),
    "of three images": (MASK.expand(3, *SHAPE), r"\(3, 3, 8, 8\)"),
}
no_mask = pytest.mark.parametrize(("mask", "words"), NO_MASKS.values(), ids=NO_MASKS)


@no_mask
@pytest.mark.parametrize(
    "use",
    [
        known,
        ddnm,
        biharmonic,
        lambda mask: degradations.degrade(IMAGES, mask),
        lambda mask: metrics.missing_mse(IMAGES, IMAGES, mask),
    ],
    ids=["known mask", "ddnm", "biharmonic", "degrade", "missing_mse"],
)
def test_a_mask_that_is_none_is_refused(use: Callable, mask: object, words: str):
    refused(words, use, mask=mask)


@pytest.mark.parametrize("form", [torch.Tensor.bool, torch.Tensor.long, torch.Tensor.double, torch.Tensor.byte])
def test_a_mask_of_another_type_is_the_same_mask(form: Callable):
    mask = form(MASK)
    assert torch.equal(degradations.degrade(IMAGES, mask), DEGRADED)
    assert torch.equal(known(mask=mask).images, known().images)
    assert torch.equal(metrics.missing_mse(IMAGES, DEGRADED, mask), metrics.missing_mse(IMAGES, DEGRADED, MASK))
    assert degradations.fraction_missing(mask) == degradations.fraction_missing(MASK)


NUMBERS = [math.nan, math.inf, -1.0, "0.5", None, True, np.array([0.5, 0.5]), torch.tensor([0.5])]


@pytest.mark.parametrize("value", [*NUMBERS, 0.0], ids=str)
def test_a_gamma_that_is_no_positive_number_is_refused(value: object):
    refused("gamma .* is not a positive number", unknown, gamma=value)
    refused("gamma .* is not a positive number", known, gamma=value)
    if value is not None:
        refused("gamma .* is not a positive number", adaptive, gamma=value)


@pytest.mark.parametrize("value", NUMBERS, ids=str)
@pytest.mark.parametrize("recover", [unknown, known, iterated])
def test_a_tolerance_that_is_no_number_is_refused(recover: Recover, value: object):
    refused("tolerance .* is not an MSE", recover, tolerance=value)


@pytest.mark.parametrize("value", [0, -1, 2.0, 2.5, "3", True, None, math.nan, torch.tensor(3)], ids=str)
@pytest.mark.parametrize(
    ("recover", "names"),
    [
        (unknown, ["inner_iterations", "max_iterations", "patience", "repeats"]),
        (known, ["inner_iterations"]),
        (iterated, ["max_iterations", "patience"]),
        (adaptive, ["mask_every", "rest", "repeats"]),
        (ddnm, ["steps", "repeats"]),
    ],
)
def test_a_count_that_is_no_whole_number_is_refused(recover: Recover, names: list[str], value: object):
    for name in names:
        refused(f"{name} .* is not a whole number of at least 1", recover, **{name: value})
    if value is not None:
        refused("batch_size .* is not a whole number of at least 1", recover, batch_size=value)


@pytest.mark.parametrize("value", [-1, 2.0, 2.5, "3", True, None, math.nan, math.inf, torch.tensor(3)], ids=str)
def test_a_count_that_may_be_zero_is_a_whole_number_too(value: object):
    for name in ("restarts", "memory"):
        refused(f"{name} .* is not a whole number from 0 on", adaptive, **{name: value})


def test_counts_may_be_numpys():
    assert torch.equal(unknown(inner_iterations=np.int64(40)).images, unknown().images)
    counts = {"restarts": np.int64(1), "memory": np.int64(5), "mask_every": np.int64(1), "rest": np.int64(60)}
    assert torch.equal(adaptive(**counts).images, adaptive().images)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, "42", None, True, math.nan, torch.tensor(1)], ids=str)
def test_a_seed_that_is_none_is_refused(seed: object):
    words = "seed .* is not a whole number from 0"
    refused(words, unknown, seed=seed)
    refused(words, adaptive, seed=seed)
    refused(words, ddnm, seed=seed)
    refused(words, degradations.degrade, IMAGES, MASK, 0.1, seed=seed)
    refused(words, degradations.mask, "random_50", SHAPE, seed=seed)
    refused(words, training.train, nn.Linear(8, 8), IMAGES, [1e-2], seed=seed)


WRONG_IDS = [
    (["a", "b", "c"], "3 ids do not fit 4 images"),
    ([], "0 ids do not fit 4 images"),
    (list("abcde"), "5 ids do not fit 4 images"),
    ("abcd", "a list with one id for each image"),
    (b"abcd", "a list with one id for each image"),
    ({1, 2, 3, 4}, "a list with one id for each image"),  # whose words are in one order in each process
    (4, "a list with one id for each image"),
    (torch.tensor(4), "a list with one id for each image"),
    (["a", "b", "c", "a"], "two images have the id 'a'"),
    ([1, 2, 3, "3"], "two images have the id '3'"),
    ([None] * 4, "strings or whole numbers"),
    (torch.arange(4), "strings or whole numbers"),
]


@pytest.mark.parametrize(("ids", "words"), WRONG_IDS, ids=str)
@pytest.mark.parametrize(
    "use",
    [unknown, adaptive, ddnm, lambda ids: degradations.degrade(IMAGES, MASK, 0.1, ids=ids)],
    ids=["unknown", "adaptive", "ddnm", "degrade"],
)
def test_ids_that_are_not_one_for_each_image_are_refused(use: Callable, ids: object, words: str):
    refused(words, use, ids=ids)


def test_ids_may_be_any_list_of_strings_or_numbers():
    options = {"max_iterations": 1}
    plain = unknown(ids=["1", "2", "3", "4"], **options).images
    for ids in ([1, 2, 3, 4], np.arange(1, 5), np.array(["1", "2", "3", "4"]), (str(i) for i in range(1, 5))):
        assert torch.equal(unknown(ids=ids, **options).images, plain)


@pytest.mark.parametrize("ids", [["a", "b"], None])
@pytest.mark.parametrize("recover", [unknown, adaptive, ddnm])
def test_ids_name_images_under_several_degradations_once(recover: Recover, ids: list[str] | None):
    twice = torch.cat([DEGRADED[:2], IMAGES[:2] * (1 - MASK)])
    found = recover(y=twice, ids=ids, repeats=2)
    for half in (slice(0, 2), slice(2, 4)):
        assert torch.allclose(found.images[half], recover(y=twice[half], ids=ids).images)
    refused("3 times the same ones", recover, repeats=3)
    refused("2 times, do not fit", recover, ids=list("abcd"), repeats=2)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "meta", "mps", 1.5])
@pytest.mark.parametrize("recover", [unknown, known, iterated, adaptive, ddnm])
def test_a_device_that_is_not_there_is_refused(recover: Recover, device: object):
    refused(r"device .* is (none that torch knows|none that memrec works on|not there)", recover, device=device)


@pytest.mark.parametrize(
    "std", [-0.1, math.nan, math.inf, "0.1", None, True, [0.1, 0.1], [0.1, 0.1, 0.1, -0.1], [[0.1] * 4]], ids=str
)
def test_noise_that_has_no_standard_deviation_is_refused(std: object):
    refused("noise_std .* is not a standard deviation", known, noise_std=std)
    refused("noise_std .* is not a standard deviation", degradations.degrade, IMAGES, MASK, std)


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor])
def test_noise_may_be_of_each_image(form: Callable):
    found = known(noise_std=form([0.0, 0.1, 0.0, 0.1])).images
    assert torch.equal(found[::2], known().images[::2])
    assert torch.equal(found[1::2], known(noise_std=0.1).images[1::2])


def test_other_arguments_of_the_methods_are_refused_too():
    for value in ("ones", None, torch.zeros(2), ["zeros"]):
        refused("unknown first mask .*coin_flips, zeros", unknown, first_mask=value)
        refused("unknown fill .*unknown, colour, anything", adaptive, fill=value)
        for name in ("one_mask", "carry_state"):
            refused(f"{name} must be True or False, not ", adaptive, **{name: value})
    for recover in (unknown, iterated, adaptive):
        refused("on_iteration .* a function", recover, on_iteration=[])
    for value in (-0.1, 1.1, math.nan, "1", None):
        refused("eta .* in \\[0, 1\\]", ddnm, eta=value)
    refused("at most the prior's 3 steps", ddnm, steps=4)


@no_batch
def test_clean_images_that_are_no_float_batch_are_refused(images: object):
    refused(r"images must be .*\(N, C, H, W\)", degradations.degrade, images, MASK)
    refused(r"training images must be .*\(N, C, H, W\)", training.train, nn.Linear(8, 8), images, [1e-2])


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (255 * IMAGES, r"range \[0, 1\]; divide 0 to 255 by 255"),
        (2 * IMAGES - 1, r"range \[0, 1\]"),
        (PHOTOS - 0.5, r"range \[0, 1\]; add 0\.5"),
        (dirty(math.nan), "image 2 has values that are not finite"),
        (dirty(math.inf), "image 2 has values that are not finite"),
    ],
)
def test_clean_images_of_another_range_are_refused(images: Tensor, words: str):
    refused(words, degradations.degrade, images, MASK)
    refused(words, training.train, nn.Linear(8, 8), images, [1e-2])


def test_no_images_are_degraded_to_none():
    assert degradations.degrade(IMAGES[:0], MASK, noise_std=0.1).shape == (0, *SHAPE)


@pytest.mark.parametrize(
    "shape", [(3, 8), (3, 8, 0), (3, 8, -8), (3, 8.0, 8.0), ("3", "8", "8"), "3x8", None, 3, (3, 2**40, 8)]
)
def test_an_image_shape_that_is_none_is_refused(shape: object):
    refused(r"image shape .*\(channels, height, width\)", degradations.mask, "center", shape)
    refused(r"image shape .*\(channels, height, width\)", autoencoders.build, "fc10", shape)


@pytest.mark.parametrize("name", [None, 1.0, 7, True, ["center"], torch.zeros(2), {"center": 1}, "x" * 999], ids=str)
def test_a_name_that_is_none_is_refused(name: object):
    refused("unknown mask", degradations.mask, name, SHAPE)
    refused("unknown autoencoder", autoencoders.build, name, SHAPE)
    refused("unknown activation", autoencoders.build, "fc10", SHAPE, activation=name, width=4)
    refused(
        "unknown optimiser", training.train, nn.Linear(8, 8), IMAGES, [1e-2], optimiser="none" if name is None else name
    )
    refused("unknown data set", datasets.load, name)
    refused("unknown split", datasets.load, "photos", split=name)


@pytest.mark.parametrize("value", ["4", 4.0, None, True, -1, [4], 2**62], ids=str)
def test_an_option_of_a_network_that_is_no_number_is_refused(value: object):
    refused("width|can't be built", autoencoders.build, "fc10", SHAPE, width=value)
    refused("width|can't be built", autoencoders.build, "tied", SHAPE, width=value)
    refused("channels|can't be built", autoencoders.build, "unet", SHAPE, channels=[4, value])
    refused("channels", autoencoders.build, "unet", SHAPE, channels="44")
    refused("skips", autoencoders.build, "unet", SHAPE, channels=[4, 4], skips=[value])
    refused("skips", autoencoders.build, "unet", SHAPE, channels=[4, 4], skips=0)


@pytest.mark.parametrize(
    "mask", [0.5 * MASK, MASK.numpy(), None, MASK[:0]], ids=["grey", "numpy's", "nothing", "empty"]
)
def test_a_fraction_missing_is_of_a_mask(mask: object):
    refused("mask", degradations.fraction_missing, mask)


@no_batch
def test_errors_are_of_batches_of_images(images: object):
    refused(r"\(N, C, H, W\)", metrics.mse, images, IMAGES)
    refused(r"\(N, C, H, W\)", metrics.mse, IMAGES, images)
    refused(r"\(N, C, H, W\)", metrics.missing_mse, images, IMAGES, MASK)


def test_errors_are_of_images_of_one_shape():
    refused("can't be compared", metrics.missing_mse, IMAGES[:1], IMAGES, MASK)
    assert metrics.mse(IMAGES[:0], IMAGES[:0]).shape == (0,)
    assert metrics.mse(dirty(math.nan), IMAGES).isnan().tolist() == [False, False, True, False]
    assert metrics.missing_mse(IMAGES, IMAGES, torch.ones_like(MASK)).isnan().all()


NO_ERRORS = [
    [1e-7, -1e-7],
    "1e-7",
    None,
    [None],
    [[1.0], [1.0, 2.0]],
    [True, False],
    torch.tensor([True]),
    1j,
    {"mse": 1},
]


@pytest.mark.parametrize("error", NO_ERRORS, ids=str)
def test_errors_that_are_none_are_refused(error: object):
    words = "errors .* (none|must be numbers|numbers, or an array)"
    refused(words, metrics.psnr, error)
    refused(words, metrics.recovery_rate, error)


@pytest.mark.parametrize("form", [list, tuple, np.array, torch.tensor, lambda e: torch.tensor(e, requires_grad=True)])
def test_errors_may_be_any_list_array_or_tensor(form: Callable):
    error = form([1e-8, math.nan, 0.0, 1e-3])
    with warnings.catch_warnings(action="error"):
        rate, decibel = metrics.recovery_rate(error), metrics.psnr(error)
    assert (rate.value, rate.count) == (0.5, 4)
    assert np.allclose(torch.as_tensor(decibel).detach(), [80, math.nan, math.inf, 30], equal_nan=True)
    assert isinstance(decibel, Tensor) == isinstance(error, Tensor)


@pytest.mark.parametrize("value", [*NUMBERS, 0.0], ids=str)
def test_a_threshold_that_is_no_positive_number_is_refused(value: object):
    refused("threshold .* is not an MSE", metrics.recovery_rate, [1e-8], value)


@pytest.mark.parametrize("value", [*NUMBERS, 0.0, 1, 95], ids=str)
def test_a_confidence_outside_0_and_1_is_refused(value: object):
    refused("confidence .* between 0 and 1", metrics.recovery_rate, [1e-8], confidence=value)
    refused("confidence .* between 0 and 1", metrics.clopper_pearson, 1, 2, value)
    refused("confidence .* between 0 and 1", metrics.rate_difference, 1, 2, 1, 2, value)


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (1, -2), ("1", 2), ([1, 2], [1, 2, 3]), (None, 2), (1, math.inf)])
def test_counts_that_are_none_are_refused(counts: tuple):
    refused("successes|counts", metrics.clopper_pearson, *counts)
    refused("successes|counts", metrics.rate_difference, *counts, 1, 2)
    refused("successes|counts", metrics.rate_difference, 1, 2, *counts)


def test_counts_of_nothing_and_unknown_ones_have_no_rate():
    with warnings.catch_warnings(action="error"):
        assert [bound.tolist() for bound in metrics.clopper_pearson(0, 0)] == [0.0, 1.0]
        assert np.isnan(metrics.rate_difference([0, math.nan], [0, 5], 1, 2)).all()


def test_errors_of_more_than_one_image_each_have_no_rate():
    refused(r"\(N,\)", metrics.recovery_rate, np.zeros((2, 3)))


def trainable() -> nn.Module:
    torch.manual_seed(0)
    return autoencoders.build("fc10", SHAPE, width=8)


TRAINING = [
    ({"targets": 1e-2}, "targets 0.01 are not a ladder"),
    ({"targets": "1e-2"}, "targets '1e-2' are not a ladder"),
    ({"targets": None}, "targets None are not a ladder"),
    ({"targets": torch.tensor(1e-2)}, "are not a ladder"),
    ({"targets": ["1e-2"]}, "targets: '1e-2' is not a positive training loss"),
    ({"targets": [True]}, "targets: True is not a positive training loss"),
    ({"batch_size": 2.0}, "batch_size 2.0"),
    ({"batch_size": 0}, "batch_size 0"),
    ({"max_steps": 0}, "max_steps 0"),
    ({"max_steps": None}, "max_steps None"),
    ({"learning_rate": math.nan}, "learning_rate nan"),
    ({"learning_rate": "fast"}, "learning_rate 'fast'"),
    ({"learning_rate": 0}, "learning_rate 0"),
    ({"save_every_s": math.nan}, "save_every_s nan"),
    ({"save_every_s": "1"}, "save_every_s '1'"),
    ({"state": 7}, "state must be the path of a file"),
    ({"state": Path("/")}, "/ is a folder"),
    ({"on_checkpoint": "x"}, "on_checkpoint must be a function"),
    ({"on_step": 1}, "on_step must be a function"),
    ({"model": halved}, "a module with weights"),
    ({"model": None}, "a module with weights"),
    ({"model": nn.Flatten()}, "a module with weights"),
    ({"model": nn.Linear(8, 8).requires_grad_(False)}, "a module with weights"),
    ({"model": nn.Linear(8, 8).double()}, "weights are float64 on cpu and the images float32"),
    ({"model": nn.Linear(8, 8, device="meta")}, "weights are float32 on meta"),
    ({"model": nn.Conv2d(3, 1, 1)}, r"returned a float32 tensor of shape \(4, 1, 8, 8\)"),
    ({"model": nn.Linear(5, 5)}, "can't be applied to"),
    ({"images": IMAGES[:0]}, "training needs images"),
]


@pytest.mark.parametrize(("change", "words"), TRAINING, ids=[words for _, words in TRAINING])
def test_what_can_not_be_trained_is_refused(change: dict, words: str):
    options = {"model": trainable(), "images": IMAGES, "targets": [1e-2], "max_steps": 5, **change}
    refused(words, training.train, **options)


class Dropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.drop = trainable(), nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.inner(x))


def test_a_checkpoint_s_loss_is_that_of_the_network_in_evaluation_mode():
    kept = []

    def keep(model: nn.Module, reached: training.Reached) -> None:
        with evaluating(model), torch.no_grad():
            kept.append((reached.loss, (model(IMAGES) - IMAGES).square().mean().item()))

    torch.manual_seed(0)
    training.train(Dropping(), IMAGES, [0.15, 0.12], on_checkpoint=keep, max_steps=3000)
    assert [loss for loss, _ in kept] == pytest.approx([true for _, true in kept], rel=1e-5)


def test_training_leaves_the_images_without_gradients():
    images = IMAGES.clone().requires_grad_()
    training.train(trainable(), images, [0.5])
    assert images.grad is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, "count 0"),
        ({"count": 2.0}, "count 2.0"),
        ({"count": "2"}, "count '2'"),
        ({"count": True}, "count True"),
        ({"size": 0}, "size 0"),
        ({"size": 32.0}, "size 32.0"),
        ({"size": None}, "size None"),
        ({"seed": -1}, "seed -1"),
        ({"seed": "42"}, "seed '42'"),
        ({"split": 1}, "unknown split 1"),
    ],
)
def test_a_data_set_asked_for_with_wrong_arguments_is_refused(options: dict, words: str):
    refused(words, datasets.load, "photos", **{"count": 2, **options})
