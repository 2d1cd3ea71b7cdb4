"""Questions that need no science are answered at once."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

import memrec_core

ROOT = Path(__file__).parents[2]
LARGE = ["torch", "numpy", "ray", "pandas", "pyarrow", "duckdb", "fsspec", "matplotlib", "scipy", "yaml"]
"""Pydantic is typer's own, which it needs once a command has arguments."""
SCRIPT = f"""
import atexit, sys
atexit.register(lambda: print("loaded:", *(name for name in {LARGE} if name in sys.modules), file=sys.stderr))
from workflows import entry
entry.main()
"""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "recover    Recover the degraded images"),
        (["run", "--help"], 0, "Train, recover, aggregate and report."),
        (["--version"], 0, f"memrec {memrec_core.__version__}"),
        (["--nonsense"], 2, "No such option: --nonsense"),
        (["recreate"], 2, "No such command 'recreate'"),
        (["run", "demo", "--actors", "0"], 2, "Invalid value for '--actors'"),
    ],
)
def test_answer_loads_no_large_package(arguments: list[str], status: int, said: str):
    called = ask(SCRIPT, *arguments)
    assert (called.returncode, called.stderr.splitlines()[-1]) == (status, "loaded:")
    assert said in called.stdout + called.stderr


def test_help_takes_less_than_half_a_second_of_a_processor():
    def seconds() -> float:
        """What the processes have taken that this one started, and that have ended."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    taken = []
    for _ in range(3):  # one of them will have a processor to itself
        before = seconds()
        ask("from workflows import entry; entry.main()", "--help")
        taken.append(seconds() - before)
    assert min(taken) < 0.5, taken


def ask(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
