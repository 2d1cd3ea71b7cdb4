"""Sentences for people on what was odd about the pictures of a data set."""

from collections import Counter
from collections.abc import Callable, Iterable

from memrec_core.errors import shown_name

NAMED = 3
"""How many names a remark gives as examples."""
KINDS = 6
"""How many kinds of files that were passed over are told apart."""
WIDTH = 60
"""Characters of the longest name that a remark gives in full."""
ELSEWHERE = "for a network that was trained elsewhere: "
"""How a remark begins that matters for such a network alone."""

Note = Callable[[str], None]
"""Takes what is odd about one picture: what follows "3 pictures", in words that fit one picture too."""


def some(names: Iterable[str]) -> str:
    """The first few names, and how many there are beside them."""
    names = list(names)
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(shown_name(name, WIDTH) for name in names[:NAMED]) + rest


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


class Remarks:
    """Collects what is odd, by what it is, and says it in one bounded sentence each."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}
        self._passed_over: Counter[str] = Counter()

    def note(self, what: str, name: str, noun: str = "picture") -> None:
        """One more of those that are `what`."""
        self._names.setdefault((noun, what), []).append(name)

    def of(self, name: str) -> Note:
        """Notes what is odd about the picture `name`."""
        return lambda what: self.note(what, name)

    def pass_over(self, kind: str) -> None:
        """One more file that is no picture: `kind` is its ending, or another word for it."""
        self._passed_over[kind] += 1

    def passed_over(self) -> str:
        """For instance `28 files passed over: 20 .heic, 8 .txt`; empty where none was."""
        if not self._passed_over:
            return ""
        kinds = sorted(self._passed_over.items(), key=lambda kind: (-kind[1], kind[0]))
        parts = [f"{count} {shown_name(kind, WIDTH)}" for kind, count in kinds[:KINDS]]
        if rest := sum(count for _, count in kinds[KINDS:]):
            parts.append(f"{rest} others")
        return f"{counted(self._passed_over.total(), 'file')} passed over: {', '.join(parts)}"

    def sentences(self) -> tuple[str, ...]:
        """What was passed over first, then the rest as it came up."""
        first = [self.passed_over()] if self._passed_over else []
        return (
            *first,
            *(f"{counted(len(names), noun)} {what}: {some(names)}" for (noun, what), names in self._names.items()),
        )
