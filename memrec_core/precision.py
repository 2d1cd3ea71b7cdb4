"""float32 throughout: at an MSE of 1e-7, TF32 and half precision change which images count as recovered."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

FULL, INHERITED = "ieee", "none"


@contextmanager
def full_float32() -> Iterator[None]:
    """Matrix products, convolutions and recurrent layers in true float32 inside the block or the decorated function.

    Whatever asked for less (TF32, bfloat16, autocast) is off inside, and as it was afterwards. cuDNN's own default
    allows TF32 for convolutions, so it is not enough to leave the settings alone.
    """
    with ExitStack() as stack:
        stack.enter_context(_without_shortcuts())
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


@contextmanager
def _without_shortcuts() -> Iterator[None]:
    settings = _settings()
    own = [_taken(setting) for setting in settings]
    _set(settings, [FULL] * len(settings))
    older = torch.get_float32_matmul_precision(), _older_switch_is_on()
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    _set(settings, [FULL] * len(settings))  # the older switches change the newer settings, here and below
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(older[0])
        torch.backends.cudnn.allow_tf32 = older[1]
        _set(settings, own)


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
