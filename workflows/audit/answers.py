"""Where an audit's answer goes beside the terminal: files of the user's, and standard output."""

from dataclasses import dataclass
from pathlib import Path

from memrec_core.auditing import Audit
from memrec_core.errors import InputError, shown_name
from workflows.audit.ending import Ending
from workflows.audit.junit import junit
from workflows.terminal import put
from workflows.user_file import write_user_file

STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Answers:
    """The files for JSON and JUnit XML; None where they are not wanted, and `-` for JSON on standard output. Raises
    InputError where the folder of one is not there: after hours of work it would be too late to say so."""

    json: str | None = None
    junit: str | None = None

    def __post_init__(self) -> None:
        for option, place in (("--json", self.json), ("--junit", self.junit)):
            if place is None or (option == "--json" and self.json_printed):
                continue
            if place in ("", STANDARD_OUTPUT) or Path(place).is_dir() or not Path(place).absolute().parent.is_dir():
                raise InputError(f"{option} {shown_name(place)} can't be a file; give the name of one in a folder")

    @property
    def json_printed(self) -> bool:
        """Whether standard output is for JSON alone."""
        return self.json == STANDARD_OUTPUT

    def write(self, audit: Audit, end: Ending) -> None:
        """Write the files; those of before are replaced."""
        if self.json is not None and not self.json_printed:
            write_user_file(self.json, audit.to_json().encode())
        if self.junit is not None:
            write_user_file(self.junit, junit(audit, end))

    def print(self, audit: Audit) -> None:
        """Print what is for standard output."""
        if self.json_printed:
            put(audit.to_json() + "\n")
