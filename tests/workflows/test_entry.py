"""Ctrl-C and SIGTERM: one sentence and exit status 130, at whatever moment."""

import os
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import pytest

SENTENCE = "error: interrupted; what is done stays, and the same command goes on from there"
ROOT = Path(__file__).parents[2]


def start(*arguments: object, options: tuple[str, ...] = (), module: str = "workflows") -> subprocess.Popen:
    command = [sys.executable, *options, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen(command, **pipes)


@pytest.mark.parametrize(
    ("imported", "number"),
    [
        ("typer", signal.SIGINT),
        ("numpy._core.multiarray", signal.SIGTERM),
        ("torch._C", signal.SIGINT),
        ("pydantic_core._pydantic_core", signal.SIGTERM),
    ],
)
def test_signal_while_a_command_imports_ends_it_with_the_sentence(
    small_file: Path, tmp_path: Path, imported: str, number: signal.Signals
):
    wrong = ("--set", "degradations.0.mask=none")  # which is said once all is imported
    process = start("run", small_file, *wrong, "--run", tmp_path / "run", options=("-X", "importtime"))
    for line in process.stderr:  # a line for each module, as soon as it is imported
        if line.split("|")[-1].strip() == imported:
            process.send_signal(number)
            break
    rest = [line for line in process.communicate(timeout=60)[1].splitlines() if not line.startswith("import time:")]
    assert (process.returncode, rest) == (130, [SENTENCE])


@pytest.mark.parametrize("module", ["workflows", "workflows.entry"])
def test_both_ways_to_call_the_commands_answer(tmp_path: Path, module: str):
    out, err = start("status", tmp_path, module=module).communicate(timeout=60)
    assert (out, err.count("\n"), "is not a run of memrec" in err) == ("", 1, True)


def test_interruption_that_is_swallowed_still_ends_in_the_sentence():
    script = (
        "import os, signal, sys\n"
        "from workflows import cli, entry\n"
        "def swallow():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    except KeyboardInterrupt: sys.exit(1)\n"
        "cli.main = swallow\n"
        "entry.main()"
    )
    called = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (called.returncode, called.stderr) == (130, SENTENCE + "\n")


def test_second_interruption_does_not_wait_for_the_way_out_of_the_first():
    script = (
        "import os, signal, time\n"
        "from workflows import cli, entry\n"
        "def slow():\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally: os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
        "cli.main = slow\n"
        "entry.main()"
    )
    began = time.monotonic()
    called = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (called.returncode, called.stderr) == (130, SENTENCE + "\n")
    assert time.monotonic() - began < 30


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_signal_at_any_moment_of_a_run_ends_it_with_the_sentence(small_file: Path, tmp_path: Path):
    """From the first moment at which Python can answer, to the run's last."""
    moments = [*(0.4 * count for count in range(1, 11)), 5.0, 6.5, 8.0, 11.0, 16.0]
    for moment, number in zip(moments, cycle([signal.SIGINT, signal.SIGTERM]), strict=False):
        process = start("run", small_file, "--run", tmp_path / f"{moment:.1f}")
        time.sleep(moment)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        if "read:" in out:  # it was done
            return
        assert (process.returncode, err.endswith(SENTENCE + "\n")) == (130, True), (moment, number, err)
