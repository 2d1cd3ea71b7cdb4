"""The seconds and the peak memory of a process of its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

LIMIT_S = 1800
LAUNCHER = """
import json, os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
printed = process.stdout.read().decode()
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - began, used.ru_maxrss / 2**20, printed]))
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small process between: Linux counts to a process's peak what the one that started it had then."""


class Measured(NamedTuple):
    """From the start of a process to its end, its peak in GiB, and what it printed."""

    seconds: float
    peak: float
    printed: str


def measured(command: Sequence[str]) -> Measured:
    """Raises CalledProcessError where the process does not end well."""
    launched = [sys.executable, "-c", LAUNCHER, *command]
    called = subprocess.run(launched, stdout=subprocess.PIPE, text=True, check=True, timeout=LIMIT_S)
    return Measured(*json.loads(called.stdout))
