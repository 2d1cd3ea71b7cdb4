"""float32 throughout: at an MSE of 1e-7, TF32 and half precision change which images count as recovered."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock
from typing import Any

import torch

FULL, INHERITED = "ieee", "none"


@contextmanager
def full_float32() -> Iterator[None]:
    """Matrix products, convolutions and recurrent layers in true float32 inside the block or the decorated function,
    and cuDNN's those that give the same each time.

    Whatever asked for less (TF32, bfloat16, autocast) is off inside, and as it was afterwards. cuDNN's own default
    allows TF32 for convolutions, so it is not enough to leave the settings alone.
    """
    with ExitStack() as stack:
        stack.enter_context(SHORTCUTS)
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


class _Shortcuts:
    """Those that the process may take. They are off while any thread is inside the block, and as they were once none
    is."""

    def __init__(self) -> None:
        self.lock, self.inside = Lock(), 0
        self.restore: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.restore = _kept()
            self.inside += 1
            _switch_off()

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.restore()


SHORTCUTS = _Shortcuts()


def _kept() -> Callable[[], None]:
    """What brings back the settings as they are now. What they inherit of each other is lost until then."""
    settings = _settings()
    own = [_taken(setting) for setting in settings]
    _set(settings, [FULL] * len(settings))
    older = torch.get_float32_matmul_precision(), _older_switch_is_on()
    cudnn = torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic
    return partial(_restore, own, older, cudnn)


def _switch_off() -> None:
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
    settings = _settings()
    _set(settings, [FULL] * len(settings))  # the older switches change the newer settings, here and below


def _restore(own: list[str], older: tuple[str, bool], cudnn: tuple[bool, bool]) -> None:
    torch.set_float32_matmul_precision(older[0])
    torch.backends.cudnn.allow_tf32 = older[1]
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = cudnn
    _set(_settings(), own)


def _settings() -> list[Any]:
    """What has an `fp32_precision`, each after those that it may inherit it from."""
    backends: Any = torch.backends
    cublas, cudnn, mkldnn = backends.cuda.matmul, backends.cudnn, backends.mkldnn
    return [backends, cudnn, cublas, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn]


def _taken(setting: Any) -> str:
    """Its own value, which is taken away: those that inherit theirs say so then."""
    own = setting.fp32_precision
    setting.fp32_precision = INHERITED
    return own


def _set(settings: list[Any], values: list[str]) -> None:
    for setting, value in zip(settings, values, strict=True):
        setting.fp32_precision = value


def _older_switch_is_on() -> bool:
    """cuDNN's. torch refuses to read it where it contradicts the newer settings, which say that it is off."""
    try:
        return torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return True
