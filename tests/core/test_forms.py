"""The forms in which a network from outside is named: a function, a folder of diffusers. Nothing of a file is run."""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from memrec_core import autoencoders
from memrec_core.autoencoders import diffusers_folder, forms
from memrec_core.autoencoders.given import Given, Wrapped, build, from_safetensors, to_safetensors
from memrec_core.autoencoders.loading import tensors_of
from memrec_core.errors import InputError
from tests.core.outside import nets

NETS = "tests.core.outside.nets"
SHAPE = (3, 16, 16)
BATCH = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))
SMALL = {"block_out_channels": [8], "layers_per_block": 1, "latent_channels": 2, "norm_num_groups": 4}


def refused(words: str, call: Callable[..., object], *arguments: object, **options: object) -> None:
    with pytest.raises(InputError, match=words) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """An AutoencoderKL, and the folder that diffusers saved it to."""
    torch.manual_seed(1)
    network: Any = diffusers_folder.kind("AutoencoderKL")(**SMALL, sample_size=16)
    folder = tmp_path_factory.mktemp("models") / "vae"
    network.save_pretrained(folder)
    return network.eval().requires_grad_(False), folder


@pytest.fixture
def folder(saved: tuple[Any, Path], tmp_path: Path) -> Path:
    """A copy that may be broken."""
    return Path(shutil.copytree(saved[1], tmp_path / "vae"))


def change(path: Path, **entries: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def of(model: str, weights: str | None = None, **settings: Any) -> Wrapped:
    form = forms.named(model, weights, **settings)
    return build(form.given, None if form.weights is None else tensors_of(form.weights))


# A folder of diffusers


def test_folder_of_diffusers_gives_what_was_saved_to_it(saved: tuple[Any, Path]):
    network, folder = saved
    found = of(f"diffusers:{folder}", range=(-1, 1))
    assert torch.equal(found(BATCH), (network(BATCH * 2 - 1).sample + 1) / 2)
    autoencoders.check(found, SHAPE)


def test_network_of_diffusers_is_built_from_a_runs_own_file_without_the_folder(
    folder: Path, saved: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch
):
    form = forms.named(f"diffusers:{folder}")
    assert form.given.name == "memrec_core.autoencoders.diffusers_folder:AutoencoderKL"
    assert form.weights is not None
    kept, spec = to_safetensors(tensors_of(form.weights), form.given), json.loads(json.dumps(form.given.spec))
    shutil.rmtree(folder)
    again = from_safetensors(kept, Given(spec["given"], options=spec["options"]), "x")
    assert torch.equal(again(BATCH), saved[0](BATCH).sample)


def test_pipelines_folder_is_asked_for_its_autoencoder(folder: Path, saved: tuple[Any, Path]):
    (folder.parent / "model_index.json").write_text("{}")
    assert torch.equal(of(f"diffusers:{folder.parent}")(BATCH), saved[0](BATCH).sample)


def test_nothing_is_fetched_and_no_code_of_the_folder_is_run(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def no_network(*arguments: object) -> None:
        raise AssertionError("nothing is to be fetched")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    (folder / "autoencoder_kl.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    change(folder / "config.json", auto_map={"AutoModel": "autoencoder_kl.AutoencoderKL"})
    of(f"diffusers:{folder}")
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (
            {"_class_name": "AutoencoderKI"},
            "unknown autoencoder of diffusers 'AutoencoderKI'.*did you mean 'AutoencoderKL'",
        ),
        ({"_class_name": "UNet2DModel"}, "unknown autoencoder of diffusers 'UNet2DModel'"),
        ({"_class_name": "os.system"}, "unknown autoencoder of diffusers"),
        ({"_class_name": None}, "names no class of diffusers"),
        ({"quantization_config": {"quant_method": "torchao"}}, "quantised"),
        ({"block_out_channels": "x"}, "can't be loaded as diffusers' AutoencoderKL"),
        ({"block_out_channels": [16]}, "can't be loaded as diffusers' AutoencoderKL"),
    ],
    ids=str,
)
def test_configuration_of_another_kind_is_refused(folder: Path, entries: dict, words: str):
    change(folder / "config.json", **entries)
    refused(words, forms.named, f"diffusers:{folder}")


def test_weights_that_are_not_the_classes_own_are_refused(folder: Path):
    path = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    save_file({key: tensor for key, tensor in state.items() if key != "encoder.conv_in.bias"}, path)
    refused("not those of its AutoencoderKL.*missing", forms.named, f"diffusers:{folder}")
    path.write_bytes(b"x")
    refused("can't be loaded", forms.named, f"diffusers:{folder}")


def test_pickles_in_a_folder_of_diffusers_are_not_read(folder: Path):
    path = folder / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), folder / "diffusion_pytorch_model.bin")
    path.unlink()
    refused("can't be loaded as diffusers' AutoencoderKL", forms.named, f"diffusers:{folder}")
    index = {"metadata": {}, "weight_map": {"encoder.conv_in.bias": "diffusion_pytorch_model.bin"}}
    (folder / f"{path.name}.index.json").write_text(json.dumps(index))
    refused("names 'diffusion_pytorch_model.bin', which is no safetensors file", forms.named, f"diffusers:{folder}")


def test_folder_that_is_none_is_told(tmp_path: Path):
    refused("has no config.json", forms.named, f"diffusers:{tmp_path}")
    refused("has no config.json", forms.named, f"diffusers:{tmp_path / 'nowhere'}")
    (tmp_path / "config.json").write_text("[1]")
    refused("not a mapping", forms.named, f"diffusers:{tmp_path}")
    (tmp_path / "config.json").write_text("{")
    refused("not JSON", forms.named, f"diffusers:{tmp_path}")
    refused(f"name it as diffusers:{tmp_path}", forms.named, str(tmp_path))


def test_library_that_is_missing_is_one_sentence(saved: tuple[Any, Path]):
    script = (
        "import sys; sys.modules['diffusers'] = None\n"
        "from memrec_core.autoencoders import forms\n"
        f"try: forms.named('diffusers:{saved[1]}')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "InputError autoencoder AutoencoderKL needs diffusers, which can't be imported" in done.stdout
    assert done.stdout.count("\n") == 1


# Other forms


def test_function_and_its_weights_are_taken_as_they_are(tmp_path: Path):
    form = forms.named(f"{NETS}:plain", tmp_path / "x.safetensors", range=(-1, 1))
    assert form == forms.Named(Given(f"{NETS}:plain", range=(-1, 1)), str(tmp_path / "x.safetensors"))
    assert forms.named(nets.plain).given.factory is nets.plain
    assert forms.named("diffusers:AutoencoderKL").given.name == "diffusers:AutoencoderKL"


@pytest.mark.parametrize("name", ["model.pt", "/x/model.ckpt", "model.pt2", "net.h5", "a.safetensors"])
def test_file_in_place_of_a_network_is_told(name: str):
    refused("name the function that does, package.module:build, and give the file as its weights", forms.named, name)


def test_folder_with_another_weights_file_is_told(folder: Path):
    refused("holds its own weights", forms.named, f"diffusers:{folder}", "x.safetensors")


# What its function takes


def test_options_are_what_the_factory_takes():
    network = autoencoders.given(nets.Plain, options={"channels": 1})
    assert network(BATCH[:, :1]).shape == (4, 1, 16, 16)
    assert autoencoders.given(f"{NETS}:with_an_argument", options={"channels": 2})(BATCH[:, :2]).shape[1] == 2
    given = Given(f"{NETS}:with_an_argument", options={"channels": 2})
    assert given.spec["options"] == {"channels": 2}
    assert "options" not in Given(nets.Plain).spec
    assert hash(given) == hash(given)
    kept = to_safetensors(build(given).network.state_dict(), given)
    assert from_safetensors(kept, given, "x")(BATCH[:, :2]).shape[1] == 2
    refused("and expected is", from_safetensors, kept, Given(given.factory, options={"channels": 3}), "x")


@pytest.mark.parametrize(
    ("network", "options", "words"),
    [
        (nets.Plain, [1], "not values by name"),
        (nets.Plain, {1: 2}, "not values by name"),
        (nets.Plain, {"channels": torch.zeros(1)}, "can't be written as JSON"),
        (nets.Plain, {"width": 2}, "must work with the options width"),
        (nets.READY, {"channels": 2}, "takes no options"),
    ],
    ids=str,
)
def test_options_that_are_none_are_named(network: object, options: object, words: str):
    refused(words, autoencoders.given, network, options=options)


# What makes it certain


def test_reconstruct_is_preferred_where_a_network_has_it():
    network = nets.Reconstructing()
    name = forms.preferred(network)
    assert name == "memrec_core.autoencoders.forms:reconstruct"
    refused("not deterministic", autoencoders.given, network, image_shape=(3, 8, 8))
    certain = autoencoders.given(network, deterministic=name, image_shape=(3, 8, 8))
    images = BATCH[..., :8, :8]
    assert torch.equal(certain(images), network.decode(network.encode(images)[0]))


def test_nothing_is_preferred_where_nothing_is_known():
    assert forms.preferred(nets.Variational()) is None
    assert forms.preferred(lambda x: x) is None
    other = nets.Plain()
    other.reconstruct = lambda x, mask: x  # takes more than a batch
    assert forms.preferred(other) is None
    refused("has no method reconstruct", autoencoders.given, nets.plain, deterministic=forms.reconstruct)


def test_autoencoder_kl_is_asked_for_the_mode_of_its_latents(saved: tuple[Any, Path]):
    network, _ = saved
    name = forms.preferred(network)
    assert name == "memrec_core.autoencoders.forms:autoencoder_kl"
    found = autoencoders.given(network, deterministic=name, image_shape=SHAPE)(BATCH)
    assert torch.equal(found, network.decode(network.encode(BATCH).latent_dist.mode()).sample)
    assert not torch.equal(found, network.decode(network.encode(BATCH).latent_dist.sample()).sample)
    refused("no AutoencoderKL", autoencoders.given, nn.Linear(1, 1), deterministic=forms.autoencoder_kl)
