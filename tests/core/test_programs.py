"""Networks that are files which say what they compute: ONNX, and torch's own where the user trusts them."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import memrec_core as memrec
from memrec_core import attractors, autoencoders
from memrec_core.auditing.network import remarks_on, settled
from memrec_core.autoencoders import forms, onnx_file, torch_file
from memrec_core.autoencoders.given import Given, Wrapped, build, from_safetensors, to_safetensors
from memrec_core.autoencoders.loading import tensors_of
from memrec_core.errors import InputError
from tests import onnx_files
from tests.core.outside import nets

SHAPE = (1, 8, 8)
BATCH = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))
ANY = ("n", 1, 8, 8)


@pytest.fixture
def grey() -> nn.Module:
    torch.manual_seed(0)
    return nets.Grey(32).eval()


def weights_of(network: nn.Module) -> dict[str, np.ndarray]:
    return {name.removeprefix("body."): value.numpy() for name, value in network.state_dict().items()}


def loaded(path: Path, trust_code: bool = False, **settings: Any) -> Wrapped:
    return forms.named(str(path), None, trust_code, **settings).built()


def refused(words: str, call: Callable[..., object], *arguments: object, **options: object) -> str:
    with pytest.raises(InputError, match=words) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ONNX


@pytest.mark.parametrize("count", ["n", 1, 2, 8], ids=str)
def test_model_of_onnx_gives_what_the_network_gives_whatever_its_batch(grey: nn.Module, tmp_path: Path, count: int):
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.dense(weights_of(grey), (count, 1, 8, 8)))
    found = loaded(path)
    autoencoders.check(found, SHAPE)
    with torch.no_grad():
        assert torch.allclose(found(BATCH), grey(BATCH), atol=1e-5)


def test_python_audits_a_model_of_onnx_as_it_does_the_network(grey: nn.Module, tmp_path: Path):
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.dense(weights_of(grey), ANY))
    sides = [memrec.datasets.load("photos", count=6, size=8, channels=1, split=split) for split in ("train", "control")]
    quick: dict[str, Any] = {"degradations": [memrec.Erasure("center")], "methods": [memrec.KnownMask()]}
    of_file, of_network = (memrec.audit(model, *sides, **quick) for model in (str(path), grey))
    assert of_file.rates == of_network.rates
    assert of_file.evidence.train.recovered == pytest.approx(of_network.evidence.train.recovered, rel=1e-3)
    assert of_file.subject.model["weights"] == str(path)


def test_model_of_onnx_is_built_from_a_runs_own_file_without_the_users(grey: nn.Module, tmp_path: Path):
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.dense(weights_of(grey), ANY))
    named = forms.named(str(path), range=(-1, 1))
    before = named.built()(BATCH)
    kept = to_safetensors(tensors_of(path, factory=named.given.factory), named.given)
    path.unlink()
    assert torch.equal(from_safetensors(kept, named.given, "x")(BATCH), before)


def test_output_of_onnx_is_taken_by_its_name(tmp_path: Path):
    nodes = [onnx_files.node("Add", ["x", "x"], ["twice"]), onnx_files.node("Mul", ["x", "x"], ["square"])]
    values = [onnx_files.value(name, ANY) for name in ("twice", "square")]
    data = onnx_files.model([onnx_files.value("x", ANY)], values, nodes)
    path = onnx_files.written(tmp_path / "model.onnx", data)
    assert torch.equal(loaded(path, output="square")(BATCH), BATCH * BATCH)
    refused("2 of them could be the images; name one", loaded(path), BATCH)


def test_model_of_onnx_in_other_precision_is_given_that(tmp_path: Path):
    nodes = [onnx_files.node("Add", ["x", "x"], ["y"])]
    values = [onnx_files.value(name, ANY, onnx_files.DOUBLE) for name in ("x", "y")]
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.model(values[:1], values[1:], nodes))
    assert torch.equal(loaded(path)(BATCH), BATCH * 2)


@pytest.mark.parametrize(
    ("shape", "out", "words"),
    [
        (("n", 1, 28, 20), None, "can't be applied to .*8, 8.*"),
        (("n", 3, 8, 8), None, "takes images of 3 channels, not 1"),
        (("n", 1, 16, 16), None, "needs a height and width that 16 divides|takes images of 16 x 16|can't be applied"),
        (("n", 1, 32, 32), None, "takes images of 32 x 32, not 8 x 8"),
        (("n", 64), None, "the model takes n x 64, not images"),
        (("n", 1, 8, 8, 8), None, "the model takes n x 1 x 8 x 8 x 8, not images"),
    ],
    ids=str,
)
def test_model_of_onnx_for_other_images_is_told(tmp_path: Path, shape: Any, out: Any, words: str):
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.scaling(shape, out=out))

    def tried() -> None:
        autoencoders.check(loaded(path), SHAPE, "it")

    refused(words, tried)


def test_model_of_onnx_that_needs_a_multiple_is_padded(tmp_path: Path):
    """It puts 4 x 4 pixels into one, and takes them out again."""
    nodes = [
        onnx_files.node("SpaceToDepth", ["x"], ["deep"], blocksize=4),
        onnx_files.node("DepthToSpace", ["deep"], ["y"], blocksize=4),
    ]
    values = [onnx_files.value(name, ("n", 1, "h", "w")) for name in ("x", "y")]
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.model(values[:1], values[1:], nodes))
    images = torch.rand(2, 6, 1, 10, 10, generator=torch.Generator().manual_seed(0))
    quick: dict[str, Any] = {"degradations": [memrec.Erasure("center")], "methods": [memrec.KnownMask()]}
    result = memrec.audit(str(path), *images, **quick)
    assert result.subject.model["multiple"] == 4


@pytest.mark.parametrize("data", [b"nonsense", b"\x08\x08", b"PK\x03\x04", b""], ids=repr)
def test_file_that_is_no_model_of_onnx_is_one_sentence(tmp_path: Path, data: bytes):
    path = onnx_files.written(tmp_path / "model.onnx", data)
    refused("model.onnx.*(can't open the model|is empty)", forms.named, str(path))
    refused("can't be read", forms.named, str(tmp_path / "nowhere.onnx"))


@pytest.mark.parametrize("damaged", ["x", "y", "sides"])
def test_names_that_are_no_text_are_one_sentence(tmp_path: Path, capfd: pytest.CaptureFixture[str], damaged: str):
    shape: Any = ("sides", 1, 8, 8)
    data = onnx_files.model(
        [onnx_files.value("xxxxx", shape)],
        [onnx_files.value("yyyyy", shape)],
        [onnx_files.node("Neg", ["xxxxx"], ["yyyyy"])],
    )
    found = {"x": b"xxxxx", "y": b"yyyyy", "sides": b"sides"}[damaged]
    path = onnx_files.written(tmp_path / "model.onnx", data.replace(found, b"\xfeabcd"))
    refused("can't open the model", forms.named, str(path))
    assert capfd.readouterr() == ("", "")


def test_model_of_several_inputs_or_of_whole_numbers_is_one_sentence(tmp_path: Path):
    inputs = [onnx_files.value(name, ANY) for name in ("x", "t")]
    node, out = onnx_files.node("Add", ["x", "t"], ["y"]), onnx_files.value("y", ANY)
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.model(inputs, [out], [node]))
    refused(r"takes 2 inputs \(x, t\), not images alone", forms.named, str(path))
    values = [onnx_files.value(name, ANY, 7) for name in ("x", "y")]
    node = onnx_files.node("Add", ["x", "x"], ["y"])
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.model(values[:1], values[1:], [node]))
    refused(r"takes tensor\(int64\), not numbers such as float32", forms.named, str(path))


def test_tensors_in_the_file_beside_a_model_are_its_own(tmp_path: Path):
    path = tmp_path / "model.onnx"
    (tmp_path / "model.onnx.data").write_bytes(np.array([3.0], np.float32).tobytes())
    onnx_files.written(path, onnx_files.scaling(ANY, onnx_files.tensor_elsewhere("k", [1], "model.onnx.data")))
    named = forms.named(str(path))
    assert torch.allclose(named.built()(BATCH), 3 * BATCH)
    kept = to_safetensors(tensors_of(path, factory=named.given.factory), named.given)
    (tmp_path / "model.onnx.data").unlink()
    assert torch.allclose(from_safetensors(kept, named.given, "x")(BATCH), 3 * BATCH)
    refused("save it as one file", forms.named, str(path))


@pytest.mark.parametrize("place", ["../outside.bin", "{folder}/outside.bin", "inside.bin", "linked.bin", "/dev/zero"])
def test_no_other_file_is_read_for_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("outside.bin", "model/inside.bin"):
        (tmp_path / name).write_bytes(np.array([3.0], np.float32).tobytes())
    (folder / "linked.bin").symlink_to(tmp_path / "outside.bin")
    monkeypatch.chdir(folder)  # where a model from memory might be looked for
    where = place.format(folder=tmp_path)
    data = onnx_files.scaling(ANY, onnx_files.tensor_elsewhere("k", [1], where))
    refused("save it as one file", forms.named, str(onnx_files.written(folder / "model.onnx", data)))


def test_link_beside_a_model_is_followed_where_the_model_is_one_too(tmp_path: Path):
    """As in a cache whose folders are of links."""
    store, folder = tmp_path / "store", tmp_path / "folder"
    store.mkdir()
    folder.mkdir()
    (store / "b").write_bytes(np.array([3.0], np.float32).tobytes())
    data = onnx_files.scaling(ANY, onnx_files.tensor_elsewhere("k", [1], "model.onnx.data"))
    onnx_files.written(store / "a", data)
    (folder / "model.onnx.data").symlink_to(store / "b")
    (folder / "model.onnx").symlink_to(store / "a")
    assert torch.allclose(loaded(folder / "model.onnx")(BATCH), 3 * BATCH)
    (folder / "model.onnx").unlink()
    onnx_files.written(folder / "model.onnx", data)
    refused("is a link out of the model's folder", forms.named, str(folder / "model.onnx"))


@pytest.mark.parametrize("beside", ["../x", "/x", "", ".", "model.onnx", 3])
def test_file_of_tensors_never_leaves_its_folder(beside: object):
    refused("is not the name of a file", onnx_file.OnnxProgram, 4, beside, 4)


def test_model_of_onnx_has_no_gradient_and_what_needs_one_says_so(grey: nn.Module, tmp_path: Path):
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.dense(weights_of(grey), ANY))
    assert not loaded(path)(BATCH.clone().requires_grad_()).requires_grad
    refused("can't be differentiated", attractors.spectral_radius, loaded(path), BATCH[:1])


def test_onnxruntime_that_is_missing_is_one_sentence(grey: nn.Module, tmp_path: Path):
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.dense(weights_of(grey), ANY))
    script = (
        "import sys; sys.modules['onnxruntime'] = None\n"
        "from memrec_core.autoencoders import forms\n"
        f"try: forms.named({str(path)!r})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "needs onnxruntime, which can't be imported" in done.stdout
    assert done.stdout.startswith("InputError")
    assert done.stdout.count("\n") == 1


def test_file_of_a_network_has_its_own_weights(tmp_path: Path):
    path = onnx_files.written(tmp_path / "model.onnx", onnx_files.scaling(ANY))
    refused("holds its own weights; leave x.safetensors out", forms.named, str(path), "x.safetensors")


# Programs of torch


class Writer:
    """As a pickle it writes a file where it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"echo ran > {self.path}",)


def saved(kind: str, network: nn.Module, path: Path) -> Path:
    if kind == "torchscript":
        torch.jit.save(torch.jit.trace(network, BATCH), path)
    elif kind == "exported":
        torch.export.save(torch.export.export(network, (BATCH,), dynamic_shapes=({0: torch.export.Dim("n")},)), path)
    elif kind == "exported for a batch":
        torch.export.save(torch.export.export(network, (BATCH[:2],)), path)
    else:
        torch.save(network, path, _use_new_zipfile_serialization=kind == "pickle")
    return path


KINDS = {
    "torchscript": "torchscript",
    "exported": "exported",
    "exported for a batch": "exported",
    "pickle": "pickle",
    "old pickle": "pickle",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_program_that_is_trusted_gives_what_the_network_gives(grey: nn.Module, tmp_path: Path, kind: str):
    path = saved(kind, grey.requires_grad_(False), tmp_path / "model.pt2")
    named = forms.named(str(path), None, True)
    assert named.given.options == {"kind": KINDS[kind], "size": path.stat().st_size}
    found = named.built()
    autoencoders.check(found, SHAPE)
    assert torch.allclose(found(BATCH), grey(BATCH), atol=1e-6)
    kept = to_safetensors(tensors_of(path, factory=named.given.factory), named.given)
    assert torch.equal(from_safetensors(kept, named.given, "x", trust_code=True)(BATCH), found(BATCH))
    refused("to open it is to run what it says", from_safetensors(kept, named.given, "x"), BATCH)


def test_methods_of_a_module_that_is_trusted_are_known(tmp_path: Path):
    torch.manual_seed(0)
    network, images = nets.Reconstructing().eval(), torch.rand(2, 3, 8, 8)
    torch.save(network, tmp_path / "model.pt")
    named = forms.named(str(tmp_path / "model.pt"), None, True)
    assert forms.preferred(named.built().network) == "memrec_core.autoencoders.forms:reconstruct"
    for made_certain in ("memrec_core.autoencoders.forms:reconstruct", "tests.core.outside.nets:of_the_mean"):
        found = loaded(tmp_path / "model.pt", True, deterministic=made_certain)
        assert torch.equal(found(images), network.reconstruct(images))
        assert torch.allclose(found.double()(images.double()).float(), network.reconstruct(images), atol=1e-5)
        assert settled(forms.named(str(tmp_path / "model.pt"), None, True, deterministic=made_certain), (3, 8, 8))
    named = forms.named(
        str(tmp_path / "model.pt"), None, True, deterministic="memrec_core.autoencoders.forms:reconstruct"
    )
    refused(
        "to open it is to run what it says", build, named.given, tensors_of(named.weights, False, named.given.factory)
    )


def test_report_says_that_a_file_was_trusted(grey: nn.Module, tmp_path: Path):
    path = saved("pickle", grey, tmp_path / "model.pt")
    for named, count in ((forms.named(str(path), None, True), 1), (forms.Named(Given(grey), None), 0)):
        said = [sentence for sentence in remarks_on(named, named.built(), BATCH) if "(--trust-code)" in sentence]
        assert len(said) == count


@pytest.mark.parametrize("ending", torch_file.ENDINGS)
def test_nothing_of_a_file_is_run_that_is_not_trusted(tmp_path: Path, ending: str):
    ran, path = tmp_path / "ran", tmp_path / f"model{ending}"
    torch.save(Writer(ran), path)
    said = refused("without being run", forms.named, str(path))
    assert "give --trust-code, which runs it" in said
    refused("without being run", memrec.audit, str(path), BATCH, 1 - BATCH)
    named = forms.named(str(path), None, True)  # which only looks at it
    kept = to_safetensors(tensors_of(path, factory=named.given.factory), named.given)
    for call in (
        build(named.given, tensors_of(path, factory=named.given.factory)),
        from_safetensors(kept, named.given, "x"),
        autoencoders.given(named.given.factory, path, options=named.given.options),
    ):
        refused("if you trust where it is from", call, BATCH)
    assert not ran.exists()
    refused("the file holds a int, not a module", named.built(), BATCH)
    assert ran.exists()  # the test would tell


def test_file_is_opened_as_what_it_is_and_as_nothing_else(grey: nn.Module, tmp_path: Path):
    """A damaged program is none, and no other reader is tried."""
    path = saved("torchscript", grey, tmp_path / "model.pt")
    ran = tmp_path / "ran"
    pickled = io.BytesIO()
    torch.save(Writer(ran), pickled)
    path.write_bytes(pickled.getvalue())
    file = torch.from_numpy(np.frombuffer(path.read_bytes(), np.uint8).copy())
    for kind in ("torchscript", "exported"):
        program = torch_file.TorchProgram(len(file), kind)
        program.load_state_dict({"program": file})
        program.trusted = True
        refused("can't be opened", program, BATCH)
    program = torch_file.TorchProgram(len(file), "pickle")
    program.load_state_dict({"program": file})
    refused("to open it is to run what it says", program, BATCH)
    assert not ran.exists()
    refused("kind 'x' is none of torchscript, exported, pickle", torch_file.TorchProgram, 4, "x")


@pytest.mark.parametrize("data", [b"nonsense", b"PK\x03\x04", b""], ids=repr)
def test_file_of_no_kind_is_one_sentence(tmp_path: Path, data: bytes):
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    refused("is no file that torch saved|is empty", forms.named, str(path), None, True)


def test_state_dict_is_no_network(grey: nn.Module, tmp_path: Path):
    torch.save(grey.state_dict(), tmp_path / "model.pt")
    refused("holds a OrderedDict, not a module; name the function", loaded(tmp_path / "model.pt", True), BATCH)


@pytest.mark.parametrize(
    "model", ["tests.core.outside.nets:plain", "diffusers:x", "x.safetensors", "x.onnx", nets.plain]
)
def test_trust_is_for_files_of_torch_alone(model: Any):
    with pytest.raises(InputError, match=r"trust-code|is no folder|without being run"):
        forms.named(model, None, True)


def test_other_bytes_are_another_program(tmp_path: Path):
    named = [
        forms.named(
            str(onnx_files.written(tmp_path / name, onnx_files.scaling(ANY, onnx_files.tensor("k", np.array([k])))))
        )
        for name, k in (("a.onnx", 0.25), ("b.onnx", 0.75))
    ]
    first, second = (own.built() for own in named)
    assert torch.allclose(first(BATCH), BATCH / 4)
    first.network.load_state_dict(second.network.state_dict())  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.allclose(first(BATCH), BATCH * 3 / 4)
