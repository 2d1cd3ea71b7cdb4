"""Checkpoints: exact, described, and never executed."""

import copy
import json
import pickle
import resource
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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


def rewrite(saved: Path, **change: object) -> None:
    """Change entries of the sidecar; those that are None are removed."""
    sidecar = saved.with_suffix(".json")
    metadata = {key: value for key, value in {**json.loads(sidecar.read_text()), **change}.items() if value is not None}
    sidecar.write_text(json.dumps(metadata))


def refused(saved: Path, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        checkpoints.load(saved)
    assert "\n" not in str(caught.value)
    assert "x.safetensors" in str(caught.value)


@pytest.mark.parametrize("changed", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(saved: Path, changed: float):
    tensors = safetensors.torch.load_file(saved)
    tensors["layers.2.weight"][0, 0] = changed
    saved.write_bytes(safetensors.torch.save(tensors))
    rewrite(saved, digest=checkpoints.digest(saved.read_bytes()))
    refused(saved, "weights that are not finite")


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16, torch.int32, torch.float8_e4m3fn])
def test_weights_of_another_type_are_refused(saved: Path, dtype: torch.dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in safetensors.torch.load_file(saved).items()}
    saved.write_bytes(safetensors.torch.save(tensors))
    rewrite(saved, digest=checkpoints.digest(saved.read_bytes()))
    refused(saved, f"weights of type {str(dtype).removeprefix('torch.')}, and expected are float32")


def test_a_model_whose_weights_could_not_be_loaded_is_not_saved(model, tmp_path: Path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match="float64"):
        checkpoints.save(path, copy.deepcopy(model).double(), {})
    with torch.no_grad():
        next(model.parameters())[0] = torch.nan
    with pytest.raises(InputError, match="not finite"):
        checkpoints.save(path, model, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"options": {"activation": "leaky_relu", "width": 12}}, "does not fit its sidecar"),
        ({"options": {"width": 12}}, "does not fit its sidecar"),
        ({"architecture": ["fc10"]}, "no valid architecture"),
        ({"image_shape": None}, "no valid image_shape"),
        ({"format": checkpoints.FORMAT + 1}, "update memrec"),
        ({"format": 0}, "update memrec"),
        ({"format": "1"}, "no valid format"),
        ({"format": True}, "no valid format"),
        ({"digest": 7}, "no valid digest"),
    ],
)
def test_sidecar_that_was_changed_is_refused(saved: Path, change: dict, words: str):
    rewrite(saved, **change)
    refused(saved, words)


def of_the_first_format(saved: Path) -> None:
    """As earlier versions wrote it: the sidecar alone says what the weights are of."""
    saved.write_bytes(safetensors.torch.save(safetensors.torch.load_file(saved)))
    rewrite(saved, digest=checkpoints.digest(saved.read_bytes()), format=1)


def test_checkpoint_of_the_first_format_is_loaded(model, saved: Path):
    of_the_first_format(saved)
    x = torch.rand(2, *SHAPE)
    assert torch.equal(checkpoints.load(saved)[0](x), model(x))


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"width": 100_000}},
        {"options": {"width": 10**400}},
        {"options": {"width": "12"}},
        {"options": {"width": 12.0, "activation": "prelu"}},
        {"options": {"width": -12}},
        {"options": {"width": [12]}},
        {"options": {"width": None}},
        {"options": {"activation": 5}},
        {"options": {"activation": "prelu", "depth": 3}},
        {"options": {"image_shape": [3, 8, 8]}},
        {"image_shape": ["a", "b", "c"]},
        {"image_shape": [3, 8]},
        {"image_shape": [3, 8, -8]},
        {"image_shape": [3, 100_000, 100_000]},
        {"image_shape": [3, [8], 8]},
        {"architecture": "unet", "options": {"channels": [10**9, 10**9]}},
        {"architecture": "unet", "options": {"channels": 4}},
        {"architecture": "unet", "options": {"channels": ["a"], "skips": {"a": 1}}},
        {"architecture": "tied"},
        {"architecture": ""},
    ],
    ids=str,
)
def test_sidecar_that_asks_for_what_the_weights_are_not_takes_no_memory(saved: Path, change: dict):
    """A width of 100,000 would be hundreds of gigabytes."""
    of_the_first_format(saved)
    rewrite(saved, **change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(saved, "does not fit its sidecar|describes no network")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, "NaN", '"' + "x" * 1000, "\ud800"])
def test_sidecar_that_no_one_wrote_is_refused(saved: Path, text: str):
    saved.with_suffix(".json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(saved, "sidecar of")


@pytest.mark.parametrize("name", ["x.json", "loss_0.001", "x", "x.pt"])
def test_a_path_whose_sidecar_could_be_another_s_is_refused(model, tmp_path: Path, name: str):
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        checkpoints.save(tmp_path / name, model, {})
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        checkpoints.load(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, 7, b"x.safetensors", ["x.safetensors"]])
def test_what_is_no_path_is_refused(model, path: object):
    for use in (lambda: checkpoints.save(path, model, {}), lambda: checkpoints.load(path)):
        with pytest.raises(InputError, match="not the path of a checkpoint"):
            use()


@pytest.mark.parametrize(
    "metadata", [None, [1], "seed", {"loss": torch.tensor(1.0)}, {("a", 1): 2}, {"set": {1}}], ids=str
)
def test_metadata_that_is_no_json_is_refused_and_nothing_is_written(model, tmp_path: Path, metadata: object):
    with pytest.raises(InputError, match="metadata"):
        checkpoints.save(tmp_path / "x.safetensors", model, metadata)
    assert list(tmp_path.iterdir()) == []


ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["fc10", "unet", "tied"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["architecture", "image_shape", "options", "digest", "format", "loss", "seed"]
ENTRIES = st.dictionaries(st.sampled_from(KEYS), ANY_JSON, min_size=1, max_size=3)
OPTIONS = st.dictionaries(st.sampled_from(["activation", "width", "channels", "skips"]), ANY_JSON, max_size=3)
EDITS = st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=3)


def edited(data: bytes, edits: list[tuple[int, bytes, int]]) -> bytes:
    """Some bytes replaced, inserted or cut out."""
    for place, new, cut in edits:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + cut :]
    return data


def loads_as_it_was_saved_or_is_refused(weights: bytes, sidecar: bytes, model: torch.nn.Module) -> None:
    refusal = ""
    try:
        loaded, _ = checkpoints.from_bytes(weights, sidecar, "x.safetensors")
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert "\n" not in refusal
        assert "x.safetensors" in refusal
    else:
        assert loaded.spec == model.spec
        assert all(torch.equal(own, model.state_dict()[name]) for name, own in loaded.state_dict().items())


def mangle(examples: int) -> None:
    """Try so many checkpoints of which something was changed at random."""
    torch.manual_seed(0)
    model = autoencoders.build("fc10", (3, 4, 4), activation="prelu", width=4)
    weights, metadata = checkpoints.to_bytes(model, {"loss": 1e-8, "seed": 42})

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(entries=ENTRIES, options=OPTIONS, in_sidecar=EDITS, in_weights=EDITS, which=st.integers(0, 5))
    def check(entries: dict, options: dict, in_sidecar: list, in_weights: list, which: int) -> None:
        changed, sidecar = weights, json.dumps(metadata).encode()
        if which == 0:
            sidecar = json.dumps({**metadata, **entries}).encode()
        elif which == 1:
            sidecar = json.dumps({**metadata, "options": {**metadata["options"], **options}}).encode()
        elif which == 2:
            sidecar = edited(sidecar, in_sidecar)
        elif which == 3:
            changed = edited(weights, in_weights)
        else:  # a header that was changed on purpose, with a digest that fits
            length = 8 + int.from_bytes(weights[:8], "little")
            changed = edited(weights[:length], in_weights) + weights[length:]
            sidecar = json.dumps({**metadata, **(entries if which == 5 else {})}).encode()
            sidecar = sidecar.replace(metadata["digest"].encode(), checkpoints.digest(changed).encode())
        loads_as_it_was_saved_or_is_refused(changed, sidecar, model)

    check()


def test_checkpoint_that_was_changed_anywhere_is_the_saved_one_or_refused():
    mangle(examples=300)


@pytest.mark.long
def test_checkpoint_that_was_changed_anywhere_is_the_saved_one_or_refused_thousands_of_times():
    mangle(examples=5_000)
