"""Checkpoints: exact, described, and never executed."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from memrec_core import autoencoders, checkpoints
from memrec_core.errors import InputError

SHAPE = (3, 8, 8)


@pytest.fixture
def model() -> torch.nn.Module:
    return autoencoders.build("fc10", SHAPE, activation="prelu", width=12)


@pytest.fixture
def saved(model, tmp_path: Path) -> Path:
    checkpoints.save(tmp_path / "x.safetensors", model, {"loss": 1e-8, "seed": 42})
    return tmp_path / "x.safetensors"


def test_loaded_model_computes_what_the_saved_one_did(model, saved: Path):
    loaded, metadata = checkpoints.load(saved)
    x = torch.rand(2, *SHAPE)
    assert torch.equal(loaded(x), model(x))
    assert not loaded.training
    assert (metadata["loss"], metadata["seed"]) == (1e-8, 42)
    assert (metadata["architecture"], metadata["image_shape"]) == ("fc10", [3, 8, 8])
    assert metadata["options"] == {"activation": "prelu", "width": 12}


def test_sidecar_is_json_with_the_digest_of_the_weights(saved: Path):
    import hashlib

    metadata = json.loads(saved.with_suffix(".json").read_text())
    assert hashlib.sha256(saved.read_bytes()).hexdigest().startswith(metadata["digest"])


def test_equal_weights_have_equal_digests_and_others_do_not(model, tmp_path: Path):
    first = checkpoints.save(tmp_path / "a.safetensors", model, {})["digest"]
    assert checkpoints.save(tmp_path / "b.safetensors", model, {"loss": 1})["digest"] == first
    other = autoencoders.build("fc10", SHAPE, width=12)
    assert checkpoints.save(tmp_path / "c.safetensors", other, {})["digest"] != first


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("form", ["pickle", "torch"])
@pytest.mark.parametrize("digest_too", [False, True])
def test_pickle_in_disguise_is_refused_and_not_executed(saved: Path, tmp_path: Path, form: str, digest_too: bool):
    bomb = Bomb(tmp_path / "exploded")
    saved.write_bytes(pickle.dumps(bomb)) if form == "pickle" else torch.save({"weight": bomb}, saved)
    if digest_too:  # whoever forges the weights can forge the sidecar
        sidecar = json.loads(saved.with_suffix(".json").read_text())
        sidecar["digest"] = checkpoints.digest(saved.read_bytes())
        saved.with_suffix(".json").write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=r"x\.safetensors"):
        checkpoints.load(saved)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"options": {"width": 13, "activation": "prelu"}}, "x.safetensors"),
        ({"architecture": "os.system"}, "os.system"),
        ({"image_shape": [3, 9, 9]}, "x.safetensors"),
        ({"digest": "0" * 16}, "does not fit its sidecar"),
        ({"image_shape": "large"}, "x.safetensors"),
        ({"options": 7}, "x.safetensors"),
    ],
)
def test_sidecar_that_does_not_fit_is_refused(saved: Path, change: dict, words: str):
    sidecar = saved.with_suffix(".json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | change))
    with pytest.raises(InputError, match=words):
        checkpoints.load(saved)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"architecture": "fc10"}', "\x80\x04pickle"])
def test_sidecar_that_is_none_is_refused(saved: Path, text: str):
    saved.with_suffix(".json").write_text(text)
    with pytest.raises(InputError, match=r"sidecar of .*x\.safetensors"):
        checkpoints.load(saved)


@pytest.mark.parametrize("missing", [".json", ".safetensors"])
def test_missing_half_is_named(saved: Path, missing: str):
    saved.with_suffix(missing).unlink()
    with pytest.raises(InputError, match=rf"x\{missing} does not exist"):
        checkpoints.load(saved)


def test_truncated_weights_are_refused(saved: Path):
    saved.write_bytes(saved.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"x\.safetensors"):
        checkpoints.load(saved)


def test_model_that_can_not_be_built_again_is_not_saved(tmp_path: Path):
    with pytest.raises(InputError, match=r"autoencoders\.build"):
        checkpoints.save(tmp_path / "x.safetensors", torch.nn.Linear(2, 2), {})
    assert list(tmp_path.iterdir()) == []
