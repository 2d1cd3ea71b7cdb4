"""Errors as an audit measures them, made up, so that what follows from them is known."""

import numpy as np

from memrec_core.auditing import Attack, Evidence, Side
from memrec_core.auditing.instrument import Instrument

WORKS, FAILS = Instrument(50, 1.0, 0.0), Instrument(50, 0.9, 0.0)
BACK, NEARLY, FAR = 1e-9, 1e-5, 0.01
"""Of an image that came back exactly, approximately, and not."""


def side(back: int, count: int, nearly: int = 0, reconstruction: float = 1e-9) -> Side:
    """Of `count` images `back` came back exactly and `nearly` approximately, under one attack; all were damaged."""
    errors = np.full((1, count), FAR)
    errors[:, :back], errors[:, back : back + nearly] = BACK, NEARLY
    return Side(errors, errors, np.full((1, count), 0.1), np.full(count, reconstruction))


def evidence(train: Side, control: Side) -> Evidence:
    attacks = tuple(Attack("known_mask", f"mask_{number}") for number in range(len(train.recovered)))
    return Evidence(attacks, train, control)
