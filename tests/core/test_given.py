"""A network from outside: built from installed code, loaded from numbers, applied to images in [0, 1]."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from memrec_core import autoencoders, checkpoints, datasets, degradations, metrics, recovery, weights_file
from memrec_core.arguments import dtype_name
from memrec_core.autoencoders.given import Given, build, from_safetensors, to_safetensors
from memrec_core.autoencoders.outputs import output_of
from memrec_core.errors import InputError
from tests.core.outside import nets

NETS = "tests.core.outside.nets"
SHAPE = (3, 8, 8)
BATCH = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


def refused(words: str, call: Callable[..., object], *arguments: object, **options: object) -> str:
    with pytest.raises(InputError, match=words) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def grey(split: str) -> Tensor:
    """Ten grey photographs of 28 x 20."""
    images = datasets.load("photos", count=10, size=32, split=split).images
    return images.mean(1, keepdim=True)[:, :, 2:30, 6:26].contiguous()


def test_network_that_another_program_trained_gives_its_images_back(tmp_path: Path):
    train, control = grey("train"), grey("control")
    np.save(tmp_path / "images.npy", train.numpy())
    script = [sys.executable, "-m", f"{NETS.rpartition('.')[0]}.train", "images.npy", "model.safetensors"]
    script[3:] = [str(tmp_path / name) for name in script[3:]]
    subprocess.run(script, check=True, capture_output=True)

    network = autoencoders.given(f"{NETS}:dense", tmp_path / "model.safetensors", range=(-1, 1), output="recon")
    autoencoders.check(network, (1, 28, 20))
    assert metrics.mse(network(train), train).max() < 1e-8
    mask = degradations.mask("center", (1, 28, 20))
    errors = []
    for images in (train, control):
        found = recovery.recover_unknown_mask(network, degradations.degrade(images, mask), gamma=1.0)
        errors.append(metrics.mse(found.images, images))
    assert (errors[0] < 1e-7).all()
    assert (errors[1] > 5e-4).all()


# What it returns


FOUND = ["tensor", "tuple", "list", "dict", "namedtuple", "sample", "reconstruction", "recon", "three"]
FOUND += ["dict of recon", "dict of x_hat", "dict of sample", "dict of reconstruction", "given and made"]


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: f"a {kind}")
def test_images_are_found_in_what_the_network_returns(kind: str):
    module = nets.Plain(wrap=nets.RETURNS[kind])
    assert torch.equal(autoencoders.given(module)(BATCH), module.colours(BATCH))


@pytest.mark.parametrize(
    ("kind", "output"),
    [("ambiguous", "out"), ("attribute", "decoded"), ("two", "1"), ("namedtuple", "image"), ("namedtuple", "0")],
)
def test_images_are_what_output_names(kind: str, output: str):
    module = nets.Plain(wrap=nets.RETURNS[kind])
    assert torch.equal(autoencoders.given(module, output=output)(BATCH), module.colours(BATCH))


def test_first_of_several_in_a_tuple_is_taken_and_can_be_told():
    module = nets.Plain(wrap=nets.RETURNS["two"])
    assert torch.equal(autoencoders.given(module)(BATCH), BATCH)
    told = {kind: output_of(nets.Plain(wrap=nets.RETURNS[kind])(BATCH), BATCH) for kind in ("two", "tensor", "recon")}
    assert told == {"two": "0", "tensor": None, "recon": "recon"}
    assert output_of((BATCH, BATCH + 1), BATCH) == "1"
    assert output_of({"out": BATCH}, BATCH) == "out"


def test_copy_of_the_input_beside_images_is_not_taken_for_them():
    """A network that was given its images in another range would seem to return them unharmed, or nothing else."""

    def network(x: Tensor) -> tuple[Tensor, Tensor]:
        return x.clone(), x / 2

    words = "are a copy of what it is given, and entry 1 is like them.*output: 1"
    with pytest.raises(InputError, match=words):
        autoencoders.given(network, image_shape=SHAPE)
    for output in ("0", "1"):
        autoencoders.given(network, output=output, image_shape=SHAPE)
    autoencoders.given(lambda x: (x / 2, x.clone()), image_shape=SHAPE)
    autoencoders.given(lambda x: x.clone(), image_shape=SHAPE)


@pytest.mark.parametrize(
    ("kind", "output", "words"),
    [
        ("ambiguous", None, r"a dict of out \(4, 3, 8, 8\), target \(4, 3, 8, 8\), and 2 of them.*output: out"),
        ("flat", None, "a dict of recon .*, and 'x', the only one like .*is what it was given"),
        ("two usual", None, "a dict of recon .* x_hat .*2 of them could be the images.*output: recon"),
        ("attribute", None, "a Named of decoded .*, input .*output: decoded"),
        ("nothing", None, "a NoneType"),
        ("distribution", None, "a Normal"),
        ("ambiguous", "recon", "no output 'recon'.*a dict of out"),
        ("two", "2", "no output '2'"),
        ("tensor", "recon", "returns a tensor itself.*leave output out"),
        ("sample", "latent", "output 'latent' is a NoneType"),
        ("distribution", "sample", "output 'sample' is a method"),
        ("nothing", "__class__", "no output"),
    ],
)
def test_output_that_is_not_clear_is_asked_for(kind: str, output: str | None, words: str):
    network = autoencoders.given(nets.Plain(wrap=nets.RETURNS[kind]), output=output)
    refused(words, network, BATCH)
    refused(words.replace(r"\(4", r"\(16"), autoencoders.check, network, SHAPE)


# Its range


@pytest.mark.parametrize("bounds", [(-1, 1), (0, 255), [-0.5, 0.5], (0, 1)], ids=str)
def test_network_sees_its_own_range_and_memrec_sees_its_own(bounds: tuple[float, float]):
    seen = []

    def network(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    images = torch.tensor([0.0, 0.25, 1.0]).view(1, 1, 1, 3)
    low, high = bounds
    found = autoencoders.given(network, range=bounds)(images)
    assert torch.allclose(seen[0].flatten(), torch.tensor([low, low + (high - low) / 4, high]), atol=1e-5)
    assert torch.allclose(found, images, atol=1e-6)


def test_mean_and_std_are_those_of_each_channel():
    seen = []
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.1, 0.25)
    network = autoencoders.given(lambda x: (seen.append(x), x)[1], mean=mean, std=std)
    found = network(BATCH)
    for channel in range(3):
        assert torch.allclose(seen[0][:, channel], (BATCH[:, channel] - mean[channel]) / std[channel], atol=1e-6)
    assert torch.allclose(found, BATCH, atol=1e-6)
    refused("of 3 channels and the images of 1", network, BATCH[:, :1])


def test_network_of_another_precision_is_given_its_own():
    network = autoencoders.given(nets.Plain().double(), range=(-1, 1))
    assert network(BATCH.double()).dtype == torch.float64


@pytest.mark.parametrize("settings", [{}, {"range": (-1, 1)}, {"mean": 0.5, "std": 0.5}, {"multiple": 8}], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_network_that_returns_another_precision_is_refused_in_any_range(settings: dict, dtype: torch.dtype):
    plain = nets.Plain()
    network = autoencoders.given(lambda x: plain(x).to(dtype), **settings)
    returned = f"returned a {dtype_name(dtype)} tensor of shape .* for a float32 tensor of shape"
    refused(returned, autoencoders.check, network, SHAPE)
    refused(returned, recovery.iterate_autoencoder, network, BATCH, max_iterations=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"range": (1, -1)}, "is empty"),
        ({"range": (0, float("inf"))}, "finite"),
        ({"range": 1}, "not a pair"),
        ({"range": "01"}, "not a pair"),
        ({"mean": 0.5}, "mean and std belong together"),
        ({"std": (0.5, 0.5)}, "mean and std belong together"),
        ({"mean": 0.5, "std": 0.5, "range": (-1, 1)}, "give one of them"),
        ({"mean": 0.5, "std": 0.0}, "std: 0.0 is not above 0"),
        ({"mean": (0.5, "a", 0.5), "std": 0.5}, "mean: 'a'"),
        ({"mean": (), "std": ()}, "empty"),
        ({"output": 1}, "output 1 is not text"),
        ({"output": ""}, "not text"),
        ({"deterministic": "eval"}, "package.module:function"),
    ],
    ids=str,
)
def test_setting_that_is_none_is_named(options: dict, words: str):
    refused(words, autoencoders.given, nets.plain, **options)


# Where it is from


def test_network_is_built_by_name_by_function_by_class_or_is_there():
    ready = nets.Plain()
    for source in (f"{NETS}:plain", nets.plain, nets.Plain, f"{NETS}:READY", ready, lambda x: x * 2):
        assert autoencoders.given(source, image_shape=SHAPE)(BATCH).shape == BATCH.shape
    assert autoencoders.given(ready).network is ready
    assert torch.equal(autoencoders.given(lambda x: x * 2)(BATCH), BATCH * 2)


def test_network_that_is_built_is_ready_and_leaves_no_trace():
    before = torch.get_rng_state()
    network = autoencoders.given(lambda: nets.Normed().double())
    assert torch.equal(torch.get_rng_state(), before)
    assert not network.network.training
    assert all(weight.dtype == torch.float32 and not weight.requires_grad for weight in network.parameters())


def test_module_that_is_handed_over_stays_as_it_is():
    module = nets.Normed().train()
    network = autoencoders.given(module, image_shape=SHAPE)
    recovery.iterate_autoencoder(network, BATCH, max_iterations=2)
    assert module.training
    assert all(weight.requires_grad for weight in module.parameters())
    assert module.body[1].num_batches_tracked == 0


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nets.py", "not of the form package.module:function"),
        ("a b:c", "not of the form"),
        ("os.system('x'):y", "not of the form"),
        (7, "not of the form"),
        ("no_such_package.nets:build", "no_such_package.*can't be imported.*install"),
        ("tests.core.outside.broken:build", "no_such_package_anywhere"),
        ("tests.core.outside.leaving:build", "SystemExit: usage"),
        (f"{NETS}:plian", "did you mean 'plain'"),
        (f"{NETS}:NUMBER", "is a int, not a function"),
        (f"{NETS}:with_an_argument", "must work without arguments"),
        (nn.Linear, "must work without arguments"),
        (f"{NETS}:that_fails", "FileNotFoundError: config.yaml is not here"),
        (f"{NETS}:that_returns_nothing", "returned None"),
    ],
)
def test_factory_that_is_none_is_named(source: object, words: str):
    refused(words, autoencoders.given, source)


# Its weights


@pytest.fixture
def normed(tmp_path: Path) -> tuple[nets.Normed, Path]:
    """A network that has counted a batch, and its file."""
    torch.manual_seed(1)
    network = nets.Normed()
    network(BATCH)
    save_file(network.state_dict(), tmp_path / "normed.safetensors")
    return network.eval(), tmp_path / "normed.safetensors"


def test_weights_are_those_of_the_file(normed: tuple[nets.Normed, Path]):
    network, path = normed
    assert torch.equal(autoencoders.given(nets.Normed, path)(BATCH), network(BATCH))


@pytest.mark.parametrize("prefix", ["model.", "module.", "module.model.", "_orig_mod."])
def test_prefix_of_another_program_is_left_out(normed: tuple[nets.Normed, Path], prefix: str):
    network, path = normed
    save_file({prefix + key: tensor for key, tensor in network.state_dict().items()}, path)
    assert torch.equal(autoencoders.given(nets.Normed, path)(BATCH), network(BATCH))


def test_prefix_that_is_the_networks_own_stays(tmp_path: Path):
    body = nets.Normed().body
    save_file(body.state_dict(), tmp_path / "x.safetensors")
    refused(
        r"missing are body\.0\.weight.*unexpected are 0\.bias",
        autoencoders.given,
        nets.Normed,
        tmp_path / "x.safetensors",
    )


def test_weights_that_do_not_fit_are_listed(normed: tuple[nets.Normed, Path]):
    network, path = normed
    state = network.state_dict()
    state["body.9.weight"] = state.pop("body.3.bias")
    state["body.0.weight"] = torch.zeros(4, 3, 5, 5)
    save_file(state, path)
    refused(
        r"body\.0\.weight is \(4, 3, 5, 5\) where \(4, 3, 3, 3\) is expected; missing is body\.3\.bias; unexpected is "
        r"body\.9\.weight",
        autoencoders.given,
        f"{NETS}:Normed",
        path,
    )
    said = refused("and 2 more|2 more", build, Given(nets.Normed), {f"x{i}": torch.zeros(1) for i in range(6)})
    assert len(said) < 500


def test_one_weight_too_many_or_too_few_is_enough():
    state = nets.Plain().state_dict()
    refused("missing is colours.bias;", build, Given(nets.Plain), {"colours.weight": state["colours.weight"]})
    refused("unexpected is extra;", build, Given(nets.Plain), {**state, "extra": torch.zeros(1)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions_become_float32(normed: tuple[nets.Normed, Path], dtype: torch.dtype):
    network, _ = normed
    state = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()
    }
    built = build(Given(nets.Normed), state).network.state_dict()
    for key, tensor in state.items():
        assert built[key].dtype in (torch.float32, torch.int64)
        assert torch.equal(built[key], tensor.to(built[key].dtype))


def test_weights_that_are_no_floats_are_refused(normed: tuple[nets.Normed, Path]):
    network, _ = normed
    state = network.state_dict()
    state["body.0.weight"] = torch.zeros(4, 3, 3, 3, dtype=torch.int8)
    refused("body.0.weight is int8 where float32 is expected", build, Given(nets.Normed), state)
    state["body.0.weight"] = torch.full((4, 3, 3, 3), torch.nan)
    refused("body.0.weight is not finite", build, Given(nets.Normed), state)
    state["body.0.weight"] = torch.full((4, 3, 3, 3), 1e300, dtype=torch.float64)
    refused("body.0.weight is not finite", build, Given(nets.Normed), state)


def test_function_has_no_weights(normed: tuple[nets.Normed, Path]):
    refused("has no weights", autoencoders.given, lambda x: x, normed[1])
    refused("has no weights", autoencoders.given, lambda: lambda x: x, normed[1])


def test_module_that_is_given_weights_is_copied(normed: tuple[nets.Normed, Path]):
    network, path = normed
    other = nets.Normed()
    before = other.body[0].weight.clone()
    assert torch.equal(autoencoders.given(other, path)(BATCH), network(BATCH))
    assert torch.equal(other.body[0].weight, before)


# Its file in a run

SETTINGS = {"range": (-1, 1), "output": "recon", "deterministic": f"{NETS}:of_the_mean"}


@pytest.mark.parametrize("kind", [nets.Normed, nets.Shared, nets.Last, nets.Plain])
def test_network_kept_as_safetensors_is_the_same(kind: type[nn.Module]):
    torch.manual_seed(0)
    network = kind()
    network(BATCH)
    given = Given(f"{NETS}:{kind.__name__}", range=(-1, 1))
    data = to_safetensors(network.state_dict(), given)
    loaded = from_safetensors(data, given, "x.safetensors")
    assert torch.equal(loaded(BATCH), build(Given(network.eval(), range=(-1, 1)))(BATCH))
    for key, tensor in loaded.network.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[key])
    assert to_safetensors(loaded.network.state_dict(), given) == data


def test_digest_changes_with_the_weights_and_with_all_that_is_known_of_the_network():
    state = nets.Plain().state_dict()
    other = {**state, "colours.bias": state["colours.bias"] + 1e-6}
    plain = Given(f"{NETS}:plain")
    files = [
        to_safetensors(state, plain),
        to_safetensors(other, plain),
        to_safetensors(state, Given(f"{NETS}:dense")),
        *(to_safetensors(state, Given(f"{NETS}:plain", **{key: value})) for key, value in SETTINGS.items()),
        to_safetensors(state, Given(f"{NETS}:plain", mean=0.5, std=0.5)),
        to_safetensors(state, Given(f"{NETS}:plain", mean=(0.5, 0.5, 0.4), std=0.5)),
    ]
    assert len({weights_file.digest(data) for data in files}) == len(files)
    assert to_safetensors(dict(reversed(state.items())), Given(f"{NETS}:plain")) == files[0]


def test_file_of_another_network_is_refused_and_builds_nothing():
    data = to_safetensors(nets.Plain().state_dict(), Given(f"{NETS}:plain", range=(-1, 1)))
    refused(r"nets:plain .*range \[-1.0, 1.0\].*expected is", from_safetensors, data, Given(f"{NETS}:plain"), "x")
    own, _ = checkpoints.to_bytes(autoencoders.build("fc10", SHAPE, width=4), {})
    refused("no network from outside", from_safetensors, own, Given(f"{NETS}:plain"), "x")
    refused("not a safetensors file", from_safetensors, b"", Given(f"{NETS}:plain"), "x")


def test_network_without_weights_can_be_kept():
    given = Given(f"{NETS}:Among")
    assert from_safetensors(to_safetensors({}, given), given, "x").network.state_dict() == {}


# Whether it can be audited


@pytest.mark.parametrize("rate", [0.5, 0.02])
def test_dropout_that_stays_on_is_found(rate: float):
    said = refused("not deterministic", autoencoders.check, nets.Dropping(rate), SHAPE, "mine")
    assert said.startswith("mine ")
    assert "deterministic: package.module:function" in said


def test_network_that_writes_to_one_place_is_held_to_what_it_returned_there_before():
    """As a graph of CUDA does: what it returned first has become the same as what it returns last."""
    place = torch.empty_like(BATCH[:1])

    def network(x: Tensor) -> Tensor:
        return torch.add(x, torch.rand_like(x), out=place.resize_(x.shape))

    refused("not deterministic", autoencoders.check, network, SHAPE)


def test_sampled_latent_is_found_and_can_be_made_certain():
    network = nets.Variational()
    refused("not deterministic", autoencoders.given, network, image_shape=SHAPE)
    for function in (f"{NETS}:of_the_mean", nets.of_the_mean):
        certain = autoencoders.given(network, deterministic=function, image_shape=SHAPE)
        assert torch.equal(certain(BATCH), network.decode(network.encode(BATCH)[0]))
    found = recovery.recover_unknown_mask(certain, BATCH, gamma=0.5, max_iterations=2)
    assert found.images.shape == BATCH.shape


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (f"{NETS}:one_that_fails", "one_that_fails failed on the network.*no_such_method"),
        (f"{NETS}:that_fails", "that_fails failed on the network"),
        (f"{NETS}:nothing_of_the_kind", "unknown function"),
        (lambda network: 7, "returned 7"),
    ],
)
def test_function_that_makes_nothing_certain_is_named(function: object, words: str):
    refused(words, autoencoders.given, nets.Variational(), deterministic=function)


def test_dropout_that_evaluation_switches_off_is_fine():
    autoencoders.check(nets.Normed().train(), SHAPE)


def test_trial_leaves_the_random_state_and_the_mode_alone():
    network = nets.Dropping().train()
    before = torch.get_rng_state()
    refused("not deterministic", autoencoders.check, network, SHAPE)
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training


@pytest.mark.parametrize("change", [lambda x: x.numpy().fill(0.5), lambda x: x.data.mul_(0.5)], ids=["numpy", "data"])
def test_input_that_is_changed_past_torch_is_found_before_it_is_of_the_users(change: Callable):
    """Else an audit would compare what comes back with what the network left."""
    images = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    before = images.clone()
    refused("changes its input in place", autoencoders.check, lambda x: (change(x), x.clone())[1], SHAPE, "it", images)
    assert torch.equal(images, before)


def test_image_that_depends_on_its_batch_is_found():
    refused("alone than in a batch", autoencoders.check, nets.Among(), SHAPE)


@pytest.mark.parametrize("kind", [nets.Halving, nets.Skipping, nets.Small])
def test_size_that_the_network_needs_is_named(kind: type[nn.Module]):
    words = "mine needs a height and width that 8 divides, such as 32 x 24, not 28 x 20"
    refused(words, autoencoders.check, autoencoders.given(kind), (1, 28, 20), "mine")
    refused("8 divides, such as 32 x 32, not 30 x 30", autoencoders.check, kind(), (1, 30, 30))
    autoencoders.check(kind(), (1, 32, 24))


# What it is padded to


@pytest.mark.parametrize("kind", [nets.Halving, nets.Skipping, nets.Small])
def test_multiple_that_the_network_needs_can_be_asked_for_and_given(kind: type[nn.Module]):
    assert autoencoders.needed_multiple(kind(), (1, 28, 20)) == 8
    network = autoencoders.given(kind, range=(-1, 1), multiple=8, image_shape=(1, 28, 20))
    images = grey("train")
    assert network(images).shape == images.shape
    mask = degradations.mask("center", (1, 28, 20))
    found = recovery.recover_known_mask(network, degradations.degrade(images, mask), mask, gamma=0.5)
    assert found.images.shape == images.shape


def test_no_multiple_is_asked_for_where_none_is_needed_or_would_help():
    assert autoencoders.needed_multiple(nets.Small(), (1, 32, 24)) is None
    assert autoencoders.needed_multiple(nets.Small(), (3, 28, 20)) is None
    assert autoencoders.needed_multiple(autoencoders.build("fc10", (1, 32, 32), width=8), (1, 28, 20)) is None
    assert autoencoders.needed_multiple(complaining, SHAPE) is None


def test_padding_shows_the_network_what_is_at_the_edges_and_is_cropped_again():
    seen = []
    network = autoencoders.given(lambda x: (seen.append(x), 2 * x)[1], multiple=4)
    image = torch.arange(30.0).view(1, 1, 5, 6) / 30
    assert torch.equal(network(image), 2 * image)
    rows, columns = [1, 0, 1, 2, 3, 4, 3, 2], [1, 0, 1, 2, 3, 4, 5, 4]
    assert torch.equal(seen[0], image[:, :, rows][..., columns])


def test_network_that_is_not_padded_gives_the_same_bits():
    images, network = grey("train"), nets.Halving()
    plain, multiple = (autoencoders.given(network, range=(-1, 1), multiple=n)(images[..., :24, :16]) for n in (1, 8))
    assert torch.equal(plain, multiple)
    assert Given(nets.Halving, multiple=1).spec == Given(nets.Halving).spec
    assert "multiple" not in Given(nets.Halving).spec
    assert Given(nets.Halving, multiple=8).spec["multiple"] == 8


def test_image_that_is_too_small_to_be_padded_is_told():
    network = autoencoders.given(nets.Halving, multiple=8)
    refused("images of 28 x 2 are too small to be padded.*multiple of 8", network, torch.rand(1, 1, 28, 2))
    autoencoders.given(lambda x: x, multiple=8, image_shape=(1, 4, 4))
    for multiple in (0, 1.5, "8"):
        refused("multiple .* is not a whole number of at least 1", Given, nets.plain, multiple=multiple)


def test_one_size_that_the_network_takes_is_named():
    fixed = autoencoders.build("fc10", (3, 32, 32), width=8)
    refused("mine takes images of 32 x 32, not 28 x 20", autoencoders.check, fixed, (3, 28, 20), "mine")


def test_channels_that_the_network_takes_are_named():
    refused("takes images of 1 channel, not 3", autoencoders.check, nets.Halving(1), SHAPE)
    refused("takes images of 4 channels, not 1", autoencoders.check, nets.Plain(4), (1, 28, 20))


def test_what_fails_for_another_reason_says_so():
    refused("the words of its own", autoencoders.check, autoencoders.given(complaining), SHAPE)


def complaining(x: Tensor) -> Tensor:
    raise RuntimeError("the words of its own")


def test_output_that_is_not_finite_is_refused():
    refused("not finite", autoencoders.check, lambda x: x / 0, SHAPE)


def test_output_of_another_shape_is_refused():
    refused(r"returned a float32 tensor of shape \(16, 3, 8, 4\)", autoencoders.check, lambda x: x[..., ::2], SHAPE)


def test_memory_that_is_too_small_is_no_mistake_of_the_network():
    def network(x: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        autoencoders.check(network, SHAPE)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(28, 20), (1, 5), (33, 7)], ids=str)
def test_images_of_any_size_and_of_one_to_four_channels_are_recovered(channels: int, size: tuple[int, int]):
    shape = (channels, *size)
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    network = autoencoders.given(nets.Plain(channels), range=(-1, 1), image_shape=shape)
    mask = degradations.mask("random_40", shape)
    degraded = degradations.degrade(images, mask)
    for found in (
        recovery.recover_unknown_mask(network, degraded, gamma=0.5, max_iterations=2),
        recovery.recover_known_mask(network, degraded, mask, gamma=0.5),
        recovery.iterate_autoencoder(network, degraded, max_iterations=2),
    ):
        assert found.images.shape == images.shape


@pytest.mark.parametrize(
    ("factory", "options"),
    [
        ("os:system", {"command": "touch {ran}"}),
        (f"{__name__}:subprocess.getoutput", {"cmd": "touch {ran}"}),
        ("torch:load", {"f": "{pickle}", "weights_only": False}),
        ("numpy:load", {"file": "{pickle}", "allow_pickle": True}),
        ("yaml:unsafe_load", {"stream": "!!python/object/apply:os.system ['touch {ran}']"}),
        ("sympy:sympify", {"a": "__import__('os').system('touch {ran}')"}),
    ],
)
def test_experiments_file_runs_no_program_by_the_name_of_a_function(tmp_path: Path, factory: str, options: dict):
    ran, pickle = tmp_path / "ran", tmp_path / "x.pt"
    torch.save(Toucher(ran), pickle, _use_new_zipfile_serialization=False)
    filled = {
        name: value.format(ran=ran, pickle=pickle) if isinstance(value, str) else value
        for name, value in options.items()
    }
    refused("which builds no networks, so it was not called", build, Given(factory, options=filled))
    assert not ran.exists()


def test_network_of_torch_is_built_by_its_class():
    assert torch.equal(build(Given("torch.nn:Dropout", options={"p": 0.5}))(BATCH), BATCH)


class Toucher:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)
