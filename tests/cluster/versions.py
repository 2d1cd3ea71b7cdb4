"""The versions that the files in cluster/ must name: Ray's and torch's from constraints.txt, memrec's and Python's from
pyproject.toml. Python's is the oldest that memrec allows."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))

MEMREC, RAY, TORCH = PROJECT["version"], PINNED["ray"], PINNED["torch"]
PYTHON = PROJECT["requires-python"].removeprefix(">=")
IMAGE = f"memrec:{MEMREC}-ray{RAY}-py{PYTHON.replace('.', '')}"
