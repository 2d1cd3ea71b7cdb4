"""Where the answers of memrec compare for programs go: files of this machine, or standard output."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memrec_core.errors import InputError
from workflows.comparison.compared import Comparison
from workflows.comparison.documents import changed_csv, differences_csv, to_json
from workflows.comparison.page import page_of
from workflows.terminal import put
from workflows.user_file import write_user_file

PRINTED = "-"


@dataclass(frozen=True)
class Answers:
    """The files that were asked for; None for none, - for standard output."""

    json: str | None = None
    csv: str | None = None
    changed: str | None = None
    page: str | None = None

    def __post_init__(self) -> None:
        printed = [option for option, file, _ in self._wanted() if file == PRINTED]
        if len(printed) > 1:
            raise InputError(f"{' and '.join(printed)} can't both go to standard output; give one of them a file")
        for option, file, _ in self._wanted():
            if file != PRINTED and not (file.strip() and Path(file).absolute().parent.is_dir()):
                raise InputError(f"{option} {file!r} is in no folder that there is; give a file in one, or -")
            if file != PRINTED and Path(file).is_dir():
                raise InputError(f"{option} {file!r} is a folder; give a file in it, or -")

    @property
    def is_printed(self) -> bool:
        """Whether standard output is taken."""
        return any(file == PRINTED for _, file, _ in self._wanted())

    def write(self, comparison: Comparison) -> Iterator[str]:
        """Write them; says what is where. Raises StoreError for one that can't be written."""
        for option, file, made in self._wanted():
            if file == PRINTED:
                put(made(comparison))
                continue
            write_user_file(file, made(comparison).encode(), f"another {option}")
            yield f"{option.removeprefix('--')}: {file}"

    def _wanted(self) -> Iterator[tuple[str, str, Callable[[Comparison], str]]]:
        for option, file, made in (
            ("--json", self.json, to_json),
            ("--csv", self.csv, differences_csv),
            ("--changed", self.changed, changed_csv),
            ("--page", self.page, page_of),
        ):
            if file is not None:
                yield option, file, made
