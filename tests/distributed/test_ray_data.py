"""Ray Data reads a run's results: by README's line in a folder, and by the cookbook's example in a bucket. Each time in
a process of its own: a local Ray leaves its token with its process, and other clusters have none."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.workflows import test_readers as readers
from tests.workflows import test_results_guide as guide

pytestmark = pytest.mark.long
BEGINNING = """
import json, sys, ray
ray.init("local", num_cpus=1, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False)
"""
LINE = f"{BEGINNING}eval(sys.argv[1]).to_pandas()[sys.argv[2:]].to_parquet('read.parquet')"
EXAMPLE = f"{BEGINNING}exec(sys.argv[1], names := {{}})\nprint('found', json.dumps(names['found']))"


def test_its_line_in_readme_reads_the_rows(tmp_path: Path):
    run = readers.made(tmp_path)
    command = [sys.executable, "-c", LINE, f"ray{readers.LINES['ray']}", *readers.COLUMNS]
    subprocess.run(command, cwd=tmp_path, check=True)
    readers.check_rows(pd.read_parquet(tmp_path / "read.parquet"), run)


def test_its_example_in_the_cookbook_finds_what_the_rates_say(tmp_path: Path):
    runs = guide.made(tmp_path)
    [example] = [example for example in guide.PYTHON if "import ray" in example]
    with guide.in_a_bucket(runs):
        command = [sys.executable, "-c", EXAMPLE, example.replace("runs/", guide.BUCKET)]
        called = subprocess.run(command, capture_output=True, text=True, check=True)
    [found] = re.findall(r"^found (.*)$", called.stdout, re.M)
    assert json.loads(found) == pytest.approx(guide.expected(runs))
