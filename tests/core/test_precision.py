"""float32 is full inside, whatever asked for less, and what asked for it asks again afterwards."""

from collections.abc import Callable, Iterator
from threading import Event, Thread
from typing import Any

import pytest
import torch
from torch import nn

from memrec_core import autoencoders, recovery
from memrec_core.precision import full_float32

BACKENDS: Any = torch.backends
PRECISIONS: dict[str, Any] = {
    "all": BACKENDS,
    "cudnn": BACKENDS.cudnn,
    "cuda.matmul": BACKENDS.cuda.matmul,
    "cudnn.conv": BACKENDS.cudnn.conv,
    "cudnn.rnn": BACKENDS.cudnn.rnn,
    "mkldnn.matmul": BACKENDS.mkldnn.matmul,
    "mkldnn.conv": BACKENDS.mkldnn.conv,
    "mkldnn.rnn": BACKENDS.mkldnn.rnn,
}
SWITCHES: dict[str, Callable[[], object]] = {
    "float32_matmul_precision": torch.get_float32_matmul_precision,
    "cuda.matmul.allow_tf32": lambda: BACKENDS.cuda.matmul.allow_tf32,
    "cudnn.allow_tf32": lambda: BACKENDS.cudnn.allow_tf32,
    "cudnn.benchmark": lambda: BACKENDS.cudnn.benchmark,
    "cudnn.deterministic": lambda: BACKENDS.cudnn.deterministic,
}
FULL = {
    **dict.fromkeys(PRECISIONS, "ieee"),
    "float32_matmul_precision": "highest",
    "cuda.matmul.allow_tf32": False,
    "cudnn.allow_tf32": False,
    "cudnn.benchmark": False,
    "cudnn.deterministic": True,
}


def settings() -> dict[str, object]:
    """All of them; torch's refusal to read one that others contradict counts as a value."""
    found: dict[str, object] = {name: setting.fp32_precision for name, setting in PRECISIONS.items()}
    for name, read in SWITCHES.items():
        try:
            found[name] = read()
        except RuntimeError:
            found[name] = "mixed"
    return found


def choose(**values: str) -> None:
    for name, value in values.items():
        PRECISIONS[name.replace("__", ".")].fp32_precision = value


def reset() -> None:
    choose(**dict.fromkeys(("all", "cudnn", "mkldnn__conv", "mkldnn__rnn"), "none"))
    torch.set_float32_matmul_precision("highest")
    BACKENDS.cudnn.allow_tf32 = True
    BACKENDS.cudnn.benchmark = BACKENDS.cudnn.deterministic = False


@pytest.fixture(autouse=True)
def torchs_own() -> Iterator[None]:
    """Each test begins with torch's own settings, and leaves them."""
    reset()
    yield
    reset()


ASKED = {
    "nothing": dict,
    "cudnn in tf32": lambda: choose(cudnn="tf32", cuda__matmul="ieee"),
    "cudnn's products in tf32": lambda: choose(cudnn__conv="ieee", cudnn__rnn="tf32"),
    "cpu's convolutions in bf16": lambda: choose(mkldnn__conv="bf16"),
    "cpu's convolutions in tf32": lambda: choose(mkldnn__conv="tf32"),
    "cpu's products in bf16": lambda: choose(mkldnn__matmul="bf16"),
    "cpu's recurrence in bf16": lambda: choose(mkldnn__rnn="bf16"),
    "gpu's products in tf32": lambda: choose(cuda__matmul="tf32"),
    "all in tf32": lambda: choose(all="tf32"),
    "all in bf16": lambda: choose(all="bf16"),
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "medium": lambda: torch.set_float32_matmul_precision("medium"),
    "medium, but for the gpu": lambda: (torch.set_float32_matmul_precision("medium"), choose(cuda__matmul="ieee")),
    "cudnn's fastest": lambda: setattr(BACKENDS.cudnn, "benchmark", True),
    "no tf32": lambda: setattr(BACKENDS.cudnn, "allow_tf32", False),
}


@pytest.mark.parametrize("asked", ASKED)
def test_float32_is_full_inside_and_the_settings_come_back(asked: str):
    ASKED[asked]()
    before = settings()
    with full_float32():
        assert settings() == FULL
        with full_float32():
            assert settings() == FULL
        assert settings() == FULL
    assert settings() == before
    with pytest.raises(KeyError), full_float32():
        raise KeyError
    assert settings() == before


def test_float32_is_full_until_the_last_thread_that_asked_for_it_is_out():
    """The settings are of the process: one thread for each GPU, say, and the first is done before the second."""
    choose(cudnn="tf32")
    before, first_is_in, second_is_in, first_is_out = settings(), Event(), Event(), Event()
    seen: list[dict[str, object]] = []

    def second() -> None:
        first_is_in.wait(10)
        with full_float32():
            second_is_in.set()
            first_is_out.wait(10)
            seen.append(settings())

    thread = Thread(target=second)
    thread.start()
    with full_float32():
        first_is_in.set()
        second_is_in.wait(10)
    first_is_out.set()
    thread.join()
    assert seen == [FULL]
    assert settings() == before


@pytest.mark.parametrize("asked", ["tf32", "bf16"])
def test_setting_that_follows_another_follows_it_afterwards(asked: str):
    choose(all=asked, cudnn__conv="none", cudnn__rnn="none")
    with full_float32():
        pass
    choose(all="ieee")
    assert {settings()[name] for name in PRECISIONS} == {"ieee"}


def test_autocast_is_off_inside_and_on_afterwards():
    x, layer = torch.rand(4, 32), nn.Linear(32, 32)
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        with full_float32():
            assert torch.equal(layer(x), exact)
            assert not torch.is_autocast_enabled("cpu")
        assert layer(x).dtype == torch.bfloat16


def test_recovery_under_autocast_is_the_same():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 48), nn.Unflatten(1, (3, 4, 4)))
    model, images = autoencoders.given(network, range=(-1, 1)), torch.rand(2, 3, 4, 4)
    expected = recovery.iterate_autoencoder(model, images, max_iterations=3)
    with torch.autocast("cpu", torch.bfloat16):
        found = recovery.iterate_autoencoder(model, images, max_iterations=3)
    assert torch.equal(found.images, expected.images)
