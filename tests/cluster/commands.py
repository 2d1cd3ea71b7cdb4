"""The memrec commands that stand in the files of cluster/, for users to copy and for clusters to run."""

import re
import shlex
from pathlib import Path
from typing import Any

import typer

from workflows.cli import app


def memrec_commands(text: str) -> list[list[str]]:
    """The arguments of each memrec command that has a line of its own in a code block, or is an entrypoint."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    found = (re.match(r"(?: {4,}| *entrypoint: )memrec (\S.*)", line) for line in lines)
    return [shlex.split(match[1], comments=True) for match in found if match]


def commands_of(path: Path) -> list[list[str]]:
    return memrec_commands(path.read_text())


def parse(arguments: list[str]) -> dict[str, Any]:
    """What memrec's own command line makes of the arguments, without running anything. Raises click's UsageError."""
    name, *rest = arguments
    program = typer.main.get_command(app)
    command = program.get_command(program.make_context("memrec", [name]), name)
    assert command is not None, f"memrec has no command {name}"
    return command.make_context(name, rest).params
