"""Weights from files of other programs: numbers, and never a program."""

import argparse
import contextlib
import importlib
import io
import os
import pickle
import sys
import types
from collections import OrderedDict, defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import safetensors.torch
import torch
from torch.torch_version import TorchVersion

from memrec_core import autoencoders
from memrec_core.errors import InputError
from memrec_core.weights_file import pack, read_weights, weights_in
from tests.core.outside import nets

STATE = {"body.weight": torch.arange(6.0).view(2, 3), "body.count": torch.tensor(3)}


def torch_file(held: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(held, buffer, **options)
    return buffer.getvalue()


def refused(words: str, data: bytes, allow_torch: bool = True) -> str:
    with pytest.raises(InputError, match=words) as caught:
        weights_in(data, "x.pt", allow_torch)
    assert "\n" not in str(caught.value)
    assert "Re-running" not in str(caught.value)  # torch's own advice, which is to take less care
    return str(caught.value)


def assert_same(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in STATE.items())


def test_safetensors_are_read(tmp_path: Path):
    (tmp_path / "x.safetensors").write_bytes(pack(STATE))
    assert_same(read_weights(tmp_path / "x.safetensors"))
    assert_same(read_weights(str(tmp_path / "x.safetensors"), allow_torch=True))


@pytest.mark.parametrize("length", range(1, 300, 7))
def test_safetensors_are_known_whatever_the_length_of_their_header(length: int):
    """A header of 128 bytes begins the file as a pickle begins."""
    data = safetensors.torch.save(STATE, {"note": "x" * length})
    assert_same(weights_in(data, "x.safetensors"))


def test_torch_file_is_read_only_where_that_is_allowed(tmp_path: Path):
    (tmp_path / "x.pt").write_bytes(torch_file(STATE))
    with pytest.raises(InputError, match=r"crafted to exploit its reader.*--allow-torch-weights"):
        read_weights(tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"--allow-torch-weights"):
        autoencoders.given(nets.plain, tmp_path / "x.pt")
    assert_same(read_weights(tmp_path / "x.pt", allow_torch=True))


@pytest.mark.parametrize(
    "held",
    [
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": []}},
        {"epoch": torch.tensor(3), "net": STATE},
        STATE | {"body.weight": torch.nn.Parameter(STATE["body.weight"])},
    ],
    ids=["lightning", "with its optimiser", "beside a tensor", "of parameters"],
)
@pytest.mark.parametrize("new", [True, False])
def test_dict_of_weights_is_found_in_a_checkpoint(held: dict, new: bool):
    found = weights_in(torch_file(held, _use_new_zipfile_serialization=new), "x.pt", allow_torch=True)
    assert_same(found)
    assert not any(tensor.requires_grad for tensor in found.values())


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"state_dict": STATE, "ema": STATE}, r"several dicts of weights \(state_dict, ema\)"),
        ({**STATE, "epoch": 3}, "holds no dict of weights by name, but epoch beside the tensors"),
        ({}, "but an empty one"),
        ([STATE], "but a list"),
        (torch.zeros(2), "but a Tensor"),
        ({"a": torch.zeros(2).to_sparse()}, "a is quantised, sparse"),
        ({1: torch.zeros(2)}, "no dict of weights"),
    ],
    ids=str,
)
def test_checkpoint_that_is_not_clear_is_refused(held: object, words: str):
    refused(words, torch_file(held))


@pytest.mark.parametrize("new", [True, False])
def test_pickled_module_is_refused_with_the_lines_that_convert_it(new: bool, tmp_path: Path):
    module = nets.Last()
    (tmp_path / "x.pt").write_bytes(torch_file(module, _use_new_zipfile_serialization=new))
    with pytest.raises(InputError, match=r"more than tensors \(tests\.core\.outside\.nets\.Last\)") as caught:
        read_weights(tmp_path / "x.pt", allow_torch=True)
    lines = str(caught.value).split("`")[1].replace("weights.safetensors", str(tmp_path / "y.safetensors"))
    exec(lines)
    found = read_weights(tmp_path / "y.safetensors")
    assert all(torch.equal(found[key], tensor) for key, tensor in module.state_dict().items())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_the_lines_that_convert_it(tmp_path: Path):
    module = torch.jit.trace(nets.Plain(), torch.rand(1, 3, 4, 4))
    module.save(tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"a TorchScript program.*torch\.jit\.load") as caught:
        read_weights(tmp_path / "x.pt", allow_torch=True)
    exec(str(caught.value).split("`")[1].replace("weights.safetensors", str(tmp_path / "y.safetensors")))
    assert read_weights(tmp_path / "y.safetensors").keys() == module.state_dict().keys()


class Bomb:
    """Touches a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("form", ["pickle", "torch", "legacy", "beside weights"])
@pytest.mark.parametrize("allow_torch", [False, True])
@pytest.mark.parametrize("variable", [None, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
def test_hostile_pickle_is_not_executed(
    tmp_path: Path, form: str, allow_torch: bool, variable: str | None, monkeypatch: pytest.MonkeyPatch
):
    if variable:
        monkeypatch.setenv(variable, "1")
    bomb = Bomb(tmp_path / "exploded")
    data = {
        "pickle": lambda: pickle.dumps(bomb, protocol=2),
        "torch": lambda: torch_file(bomb),
        "legacy": lambda: torch_file(bomb, _use_new_zipfile_serialization=False),
        "beside weights": lambda: torch_file({"state_dict": STATE, "extra": bomb}),
    }[form]()
    for name in ("x.pt", "x.safetensors"):  # what a file is follows from its content
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            autoencoders.given(nets.plain, tmp_path / name, allow_torch=allow_torch)
    assert not (tmp_path / "exploded").exists()
    pickle.loads(pickle.dumps(bomb))  # the test can fail
    assert (tmp_path / "exploded").exists()


# What a checkpoint of Lightning's names beside its weights


class Metadata:
    """As omegaconf has it: a state of its own, with a dict that makes its entries."""

    def __init__(self, **flags: object) -> None:
        self.__dict__.update(flags, resolver_cache=defaultdict(dict))

    def __setstate__(self, state: dict) -> None:
        raise AssertionError("no class that a checkpoint names is used")


class Config(dict):
    """As Lightning's AttributeDict: a dict that is pickled as one of its own class."""


Config.__name__ = Config.__qualname__ = "AttributeDict"
AttributeDict = Config


def lightning(**more: object) -> dict:
    """A checkpoint as Lightning's Trainer writes it."""
    return {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": OrderedDict({f"model.{key}": tensor for key, tensor in STATE.items()}),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"completed": 3}}}},
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best": PurePosixPath("/runs/x"), "k": torch.tensor(1.0)}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3}]}],
        "hparams_name": "kwargs",
        "hyper_parameters": {"width": 8, **more},
    }


@pytest.mark.parametrize(
    "held",
    [
        None,
        argparse.Namespace(width=8, act=torch.nn.ReLU),
        Metadata(flags={"allow_objects": True}),
        Config(width=8, deeper=Config(a=1)),
        defaultdict(dict, a=1),
        np.float64(0.5),
        np.arange(3),
        types.SimpleNamespace(a=1),
        torch.nn.Linear(2, 3),
    ],
    ids=lambda held: type(held).__name__,
)
def test_checkpoint_of_lightnings_is_read_without_what_its_hyperparameters_name(held: object):
    before = set(torch.serialization.get_safe_globals())
    found = weights_in(torch_file(lightning(config=held)), "x.ckpt", allow_torch=True)
    assert {key.removeprefix("model."): tensor.tolist() for key, tensor in found.items()} == {
        key: tensor.tolist() for key, tensor in STATE.items()
    }
    refused("x.pt is a torch file", torch_file(lightning(config=held)), allow_torch=False)
    assert set(torch.serialization.get_safe_globals()) == before


def test_nothing_that_a_checkpoint_names_is_imported(tmp_path: Path):
    (tmp_path / "their_config.py").write_text("class Config:\n    pass\n")
    sys.path.insert(0, str(tmp_path))
    try:
        data = torch_file(lightning(config=importlib.import_module("their_config").Config()))
        del sys.modules["their_config"]
        assert weights_in(data, "x.ckpt", allow_torch=True)
        assert "their_config" not in sys.modules
    finally:
        sys.path.remove(str(tmp_path))


def test_weights_of_lightnings_win_over_others_in_its_checkpoint():
    held = {**lightning(), "ema": {"model.body.weight": torch.zeros(2, 3)}}
    assert "model.body.count" in weights_in(torch_file(held), "x.ckpt", allow_torch=True)
    del held["pytorch-lightning_version"]
    refused(r"several dicts of weights \(state_dict, ema\)", torch_file(held))


class Writes:
    """Writes a file where it is unpickled, by a function that is in no list."""

    def __init__(self, path: Path, how: str) -> None:
        self.path, self.how = str(path), how

    def __reduce__(self):
        call = {
            "numpy": (np.savetxt, (self.path, [1])),
            "system": (os.system, (f"touch {self.path}",)),
            "exec": (exec, (f"open({self.path!r}, 'w')",)),
            "own": (write_there, (self.path,)),
        }
        return call[self.how]


def write_there(path: str) -> None:
    Path(path).touch()


@pytest.mark.parametrize("how", ["numpy", "system", "exec", "own"])
def test_checkpoint_that_would_write_a_file_writes_none(tmp_path: Path, how: str):
    written = tmp_path / "written"
    for held in (Writes(written, how), lightning(config=Writes(written, how)), {"w": Writes(written, how)}):
        data = torch_file(held)
        with contextlib.suppress(InputError):
            weights_in(data, "x.ckpt", allow_torch=True)
        assert not written.exists()
    if how in ("system", "exec"):
        refused(r"x\.pt names (posix\.system|builtins\.exec), which no file of weights needs", data)
    torch.load(io.BytesIO(data), weights_only=False)  # the test can fail
    assert written.exists()


def test_objects_that_no_stand_in_can_take_the_place_of_are_told():
    refused("holds objects beside its weights that can't be passed over", torch_file(lightning(c=Counted(a=1))))
    refused(r"more than tensors \(tests\.core\.outside\.nets\.Shared\)", torch_file({"model": nets.Shared(), "a": 1}))


class Counted(dict):
    pass


def test_torch_file_is_refused_by_a_torch_whose_reader_has_holes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.9.1+cpu"))
    refused(r"torch 2\.9\.1\+cpu may be exploited.*upgrade torch to 2\.10", torch_file(STATE))
    assert_same(weights_in(pack(STATE), "x.safetensors"))


def test_exported_program_is_refused():
    program = torch.export.export(nets.Plain(), (torch.rand(1, 3, 4, 4),))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    refused("not a file of weights that torch saved", buffer.getvalue())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x04",
        b"PK\x03\x04",
        b"PK\x03\x04" + b"\0" * 100,
        torch_file(STATE)[:-100],
        pack(STATE)[:-1],
        b"\x08" + b"\0" * 7 + b"{}",
        b"(dp0\n.",
        pickle.dumps(STATE),
        b'{"body.weight": [1, 2]}',
    ],
    ids=lambda data: str(data[:12]),
)
def test_file_of_another_kind_is_named(data: bytes):
    refused("x.pt is not a", data)


def test_path_that_is_none_is_named(tmp_path: Path):
    for path in (tmp_path / "nothing.safetensors", tmp_path, "a\0b"):
        with pytest.raises(InputError, match="can't be read"):
            read_weights(path)
    with pytest.raises(InputError, match="not the path of a file"):
        read_weights(7)


def test_torch_file_that_was_damaged_on_the_way_is_refused():
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(1000.0)}, buffer)
    data = bytearray(buffer.getvalue())
    data[data.index(torch.arange(1000.0).numpy().tobytes()) + 2001] ^= 1
    assert set(weights_in(buffer.getvalue(), "w.pt", allow_torch=True)) == {"w"}
    with pytest.raises(InputError, match=r"w\.pt is not a file of weights that torch saved, or is damaged"):
        weights_in(bytes(data), "w.pt", allow_torch=True)
