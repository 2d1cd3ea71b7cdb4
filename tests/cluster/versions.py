"""The versions that the files in cluster/ must name: Ray's and torch's from constraints.txt, memrec's from the package,
Python's from pyproject.toml, the oldest that memrec allows."""

import re
import tomllib
from pathlib import Path

import memrec_core

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))

MEMREC, RAY, TORCH = memrec_core.__version__, PINNED["ray"], PINNED["torch"]
PYTHON = PROJECT["requires-python"].removeprefix(">=")
IMAGE = f"memrec:{MEMREC}-ray{RAY}-py{PYTHON.replace('.', '')}"
