"""What memrec raises on purpose."""

from collections.abc import Iterable
from difflib import get_close_matches
from reprlib import Repr

MOST_CHOICES, FIRST_CHOICES, LONGEST_SHOWN = 30, 10, 60
"""How many names a sentence lists, how many where there are more, and how many of a name's characters."""


class InputError(ValueError):
    """The user's input can't be used. The message is one sentence: what was wrong, what was expected, what to do."""


class TrainingError(RuntimeError):
    """Training diverged, or can no longer reach its next target. Checkpoints that it had reached stay valid."""


def unknown(kind: str, name: object, choices: Iterable[object]) -> InputError:
    """The error for a name that is none of `choices`: it lists them, the first of many, and guesses what was meant."""
    names = {_alike(choice): str(choice) for choice in choices}
    close = get_close_matches(_alike(name), names, n=1)
    guess = f" (did you mean {names[close[0]]!r}?)" if close else ""
    is_long = len(names) > MOST_CHOICES
    listed = [shown(choice, quoted=False) for choice in list(names.values())[: FIRST_CHOICES if is_long else None]]
    more = f", ... ({len(names)} in all)" if is_long else ""
    choose = f"choose one of {', '.join(listed)}{more}" if names else "there are none to choose from"
    return InputError(f"unknown {kind} {shown(name)}{guess}; {choose}")


def _alike(name: object) -> str:
    """What names have in common that differ in case, spaces or dashes alone."""
    return str(name)[:LONGEST_SHOWN].casefold().replace("-", "_").replace(" ", "_")


def shown(value: object, quoted: bool = True) -> str:
    """A value as part of a sentence: in quotes where it is text, without line breaks, cut where it is long."""
    text = value if isinstance(value, str) else _abridged.repr(value)
    cut = text[:LONGEST_SHOWN] + "..." if len(text) > LONGEST_SHOWN else text
    if isinstance(value, str) and (quoted or not cut.isprintable()):
        return repr(cut)
    return cut


def shown_name(name: object, width: int = 400) -> str:
    """A file's name as part of a line: escaped where it would break the line, its middle left out where it is long."""
    text = str(name)
    text = text if text.isprintable() else ascii(text)
    half = width // 2
    return text if len(text) <= width else f"{text[:half]}...{text[-half:]}"


_abridged = Repr()
_abridged.maxlevel = 2


def in_a_line(error: BaseException) -> str:
    """An error's message as part of a sentence, cut where it is long."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(said.split())[:300]
