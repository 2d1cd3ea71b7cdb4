"""What memrec raises on purpose."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """The user's input can't be used. The message is one sentence: what was wrong, what was expected, what to do."""


class TrainingError(RuntimeError):
    """Training diverged, or can no longer reach its next target. Checkpoints that it had reached stay valid."""


def unknown(kind: str, name: object, choices: Iterable[object]) -> InputError:
    """The error for a name that is none of `choices`: it lists them, and guesses what was meant."""
    choices = list(map(str, choices))
    close = get_close_matches(str(name), choices, n=1)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    choose = f"choose one of {', '.join(choices)}" if choices else "there are none to choose from"
    return InputError(f"unknown {kind} {name!r}{guess}; {choose}")


def in_a_line(error: BaseException) -> str:
    """An error's message as part of a sentence, cut where it is long."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(said.split())[:300]
