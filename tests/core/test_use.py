"""Networks that are not used as they were trained, or not as their owner believes: none gives a wrong figure."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import save_model
from torch import Tensor, nn

import memrec_core as memrec
from memrec_core import autoencoders, datasets, degradations, recovery, training
from memrec_core.autoencoders import loading
from memrec_core.degradations import Erasure
from memrec_core.errors import InputError
from memrec_core.recovery import KnownMask
from tests.core.outside import nets

SHAPE = (3, 12, 12)
QUICK = {"degradations": [Erasure("center")], "methods": [KnownMask()]}


def photos(split: str) -> Tensor:
    return datasets.load("photos", count=12, size=12, split=split).images


def lossy(x: Tensor) -> Tensor:
    """Its error is above what a network has that knows its images."""
    return nn.functional.avg_pool2d(x, 3, 1, 1)


@pytest.fixture(scope="module")
def memorising() -> nn.Module:
    torch.manual_seed(0)
    model = autoencoders.build("fc10", SHAPE, width=96)
    training.train(model, photos("train"), [1e-8])
    return model


def audited(network: Callable[..., Any], **options: Any) -> memrec.Audit:
    return memrec.audit(network, photos("train"), photos("control"), **QUICK, **options)


# Which of what it returns


def test_entry_that_knows_the_images_better_than_the_one_that_is_taken_is_named(memorising: nn.Module):
    """As of an inpainting network, whose first output is a rough one."""
    both = {
        "1": lambda x: (lossy(x), memorising(x)),
        "refined": lambda x: {"recon": lossy(x), "refined": memorising(x)},
    }
    for entry, network in both.items():
        with pytest.raises(InputError, match=f"and of .* in its entry {entry}; name that as the output"):
            audited(network)
        assert audited(network, output=entry).verdict == "leaks"


@pytest.mark.parametrize(
    "beside",
    [lambda x: x, lambda x: x.bfloat16().float(), lambda x: x + 0.05 * torch.randn_like(x)],
    ids=["input", "rounded", "noisy"],
)
@pytest.mark.parametrize("dressed", [lambda y, x: {"recon": y, "seen": x}, lambda y, x: nets.Sampled(y, x)])
def test_input_beside_the_images_is_never_taken_for_them(beside: Callable, dressed: Callable):
    def network(x: Tensor) -> object:
        torch.manual_seed(0)
        return dressed(lossy(x), beside(x))

    found = audited(network)
    assert found.verdict == "inconclusive"
    assert not any("could be images too" in warning for warning in found.warnings)


def test_report_says_of_several_images_which_was_taken(memorising: nn.Module):
    found = audited(lambda x: (memorising(x), memorising(x) * 0.99, x.mean()))
    assert found.verdict == "leaks"
    [said] = [warning for warning in found.warnings if "name the output" in warning]
    assert said.startswith("Of what the network returns, entry 0 was taken for its images, and 1 could be images too")
    assert not any("name the output" in warning for warning in audited(memorising).warnings)


def test_colours_in_the_order_of_another_library_are_named(memorising: nn.Module):
    with pytest.raises(InputError, match=r"with its channels in reverse \(blue, green, red\)"):
        audited(lambda x: memorising(x.flip(1)).flip(1))


# What state it is in


class Batched(nn.Module):
    """A network with statistics of its batches, in training mode as it comes from its training."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.norm, self.model = nn.BatchNorm2d(3), model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(self.norm(x))


@pytest.mark.parametrize(
    "ask",
    [
        audited,
        lambda f: recovery.recover_known_mask(f, photos("train"), torch.ones(SHAPE), gamma=0.5),
        lambda f: memrec.reconstruction.reconstruction_error(f, photos("train")),
    ],
    ids=["audit", "recover", "reconstruct"],
)
def test_function_of_a_module_in_training_mode_is_refused_and_its_statistics_stay(memorising: nn.Module, ask: Callable):
    network = Batched(memorising).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(InputError, match=r"applies a module in training mode \(BatchNorm2d\).* call eval\(\)"):
        ask(lambda x: network(x))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.eval()
    ask(lambda x: network(x))


def test_method_of_a_module_is_in_evaluation_mode_as_the_module_is(memorising: nn.Module):
    network = Batched(memorising).train()
    assert audited(network.forward).sentence == audited(Batched(memorising)).sentence
    assert network.norm.training


def test_module_with_any_attributes_of_its_own_is_in_evaluation_mode_whole(memorising: nn.Module):
    network = Batched(memorising).train()
    network.holds, before = network.model, network.norm.running_mean.clone()
    recovery.recover_known_mask(network, photos("train"), torch.ones(SHAPE), gamma=0.5)
    assert torch.equal(network.norm.running_mean, before)


@pytest.mark.parametrize("harmless", [nn.InstanceNorm2d(3), nn.Dropout(0)], ids=repr)
def test_module_whose_training_mode_changes_nothing_is_not_refused(harmless: nn.Module):
    network = nn.Sequential(harmless).train()
    recovery.recover_known_mask(lambda x: network(x), photos("train"), torch.ones(SHAPE), gamma=0.5)


def test_compiled_function_is_compiled_once(memorising: nn.Module):
    compiled = torch.compile(lambda x: memorising(x), backend="eager", fullgraph=True)
    for _ in range(12):
        recovery.iterate_autoencoder(compiled, photos("train"), max_iterations=2)


def test_program_that_was_exported_has_the_mode_that_it_was_exported_in(memorising: nn.Module):
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(memorising.eval(), (photos("train"),), dynamic_shapes=({0: batch},)).module()
    assert audited(exported).sentence == audited(memorising).sentence


def test_what_stands_beside_an_exported_program_is_in_evaluation_mode(memorising: nn.Module):
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(memorising.eval(), (photos("train"),), dynamic_shapes=({0: batch},)).module()
    network = nn.Sequential(exported, nn.BatchNorm2d(3), nn.Dropout(0.5))
    before = network[1].running_mean.clone()
    first, second = (recovery.iterate_autoencoder(network, photos("train"), max_iterations=2).images for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(network[1].running_mean, before)


def test_network_without_memory_is_refused():
    with torch.device("meta"):
        network = nets.Plain()
    with pytest.raises(InputError, match=r"has no memory \(the device meta\); build the network on the CPU"):
        audited(network)


class Tied(nn.Module):
    """An encoder whose weights are the decoder's."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


def test_of_tied_weights_a_file_may_have_one(tmp_path):
    network = Tied()
    save_model(network, str(tmp_path / "tied.safetensors"))
    images = photos("train")
    given = autoencoders.given(Tied, tmp_path / "tied.safetensors")
    assert torch.equal(given(images), network(images))
    parts = nn.Module()
    parts.full = nn.Parameter(torch.rand(4, 3))
    parts.head = nn.Parameter(parts.full.data[:2])
    with pytest.raises(InputError, match="missing is full"):
        loading.load(parts, {"head": torch.rand(2, 3)}, "parts")
    del network.decoder
    save_model(network, str(tmp_path / "half.safetensors"))
    with pytest.raises(InputError, match=r"missing is decoder\.bias"):
        autoencoders.given(Tied, tmp_path / "half.safetensors")


# What is asked of it


class Reconstructs(nn.Module):
    """With a method `reconstruct` beside its forward, both certain."""

    def __init__(self, forward: Callable, reconstruct: Callable) -> None:
        super().__init__()
        self.forward, self.reconstruct = forward, reconstruct


def test_method_reconstruct_is_asked_and_the_report_says_so(memorising: nn.Module):
    found = audited(Reconstructs(lambda x: x * 0.97, memorising.forward))
    assert found.verdict == "leaks"
    assert any("but memrec_core.autoencoders.forms:reconstruct" in warning for warning in found.warnings)


def test_method_reconstruct_of_something_else_is_not_asked(memorising: nn.Module):
    assert audited(Reconstructs(memorising.forward, lambda codes: codes[:, :1, :2])).verdict == "leaks"


def test_forward_that_knows_the_images_better_than_reconstruct_is_named(memorising: nn.Module):
    network = Reconstructs(memorising.forward, lambda x: x * 0.5)
    with pytest.raises(
        InputError, match="by its forward in place of its reconstruct; name that, deterministic: "
    ) as caught:
        audited(network)
    name = str(caught.value).rpartition("deterministic: ")[2]
    assert audited(network, deterministic=name).verdict == "leaks"


def test_images_with_their_channels_last_are_refused(memorising: nn.Module):
    images = photos("train").permute(0, 2, 3, 1)
    with pytest.raises(InputError, match=r"12 channels, and 3 columns; give them with the channels first"):
        memrec.audit(lambda x: x * 0.9, images, images + 0, **QUICK)


# What is added to it


class Blackout:
    """A degradation that writes into the images that it is given, or makes all of a copy brighter."""

    key, noise_std, label, erases = "blackout", 0.0, "blackout", True

    def __init__(self, brighter: bool = False, rounding: bool = False) -> None:
        self.brighter, self.rounding = brighter, rounding

    def operator(self, image_shape, ids, seed):
        return Erasure("center").operator(image_shape, ids, seed)

    def degrade(self, images, ids=None, seed=42, others=None):
        kept = self.operator(images.shape[1:], ids, seed).theta
        if self.rounding:
            return 0.5 + (images - 0.5) * kept
        return images + 0.1 if self.brighter else images.mul_(kept)


def test_degradation_that_writes_into_its_images_is_refused(memorising: nn.Module):
    images, methods = photos("train"), [KnownMask()]
    before = images.clone()
    with pytest.raises(InputError, match=r"blackout, or its fill, changes the images that it is given"):
        memrec.audit(memorising, images, photos("control"), degradations=[Blackout()], methods=methods)
    assert torch.equal(images, before)


def test_degradation_that_returns_nothing_is_refused():
    class Nothing(Blackout):
        def degrade(self, images, ids=None, seed=42, others=None):
            return None

    one = Nothing()
    with pytest.raises(InputError, match="blackout must return finite float32 images of shape"):
        degradations.degraded_by(one, one.operator(SHAPE, [0] * 12, 42), photos("train"), [0] * 12, 42)


def test_degradation_may_round_what_it_keeps():
    images = photos("train")
    grey = Blackout(rounding=True)
    degradations.degraded_by(grey, grey.operator(SHAPE, list(range(12)), 42), images, list(range(12)), 42)


def test_degradation_that_changes_what_it_says_is_kept_is_refused():
    images = photos("train")
    ids = list(range(len(images)))
    brighter = Blackout(brighter=True)
    with pytest.raises(InputError, match="changes pixels that its operator says are kept"):
        degradations.degraded_by(brighter, brighter.operator(SHAPE, ids, 42), images, ids, 42)


def test_method_that_returns_no_recovery_is_refused(memorising: nn.Module):
    class Silent:
        name, told = "silent", False

        def accepts(self, degradation):
            return True

        def recover(self, basis, problem):
            return None

    with pytest.raises(InputError, match="method silent must return a Recovery with finite images"):
        memrec.audit(
            memorising, photos("train"), photos("control"), degradations=[Erasure("center")], methods=[Silent()]
        )
