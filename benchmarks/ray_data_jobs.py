"""The same 384 recoveries as two commands: memrec's, and a pipeline of Ray Data; and what each leaves behind."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmarks.watched import FAILS_ON, LOG, Call, calls

RECOVERIES, ACTORS, UNIT = 384, 2, 48
LIMIT_S = 180
EXPERIMENT = """
name: ray-data
imports: [benchmarks.watched]
data: {name: photos, count: 48, size: 32}
models: [{architecture: fc10, activation: leaky_relu, width: 256}]
training: {targets: [1.0e-6]}
degradations: [{mask: center}, {mask: bottom}, {mask: random_80}, {mask: stripes}]
methods: [{name: watched, max_iterations: 20}]
images_per_unit: 48
pictures: 0
"""


@dataclass(frozen=True)
class Job:
    """A command, the folder of its results, the columns that say which recovery a row is of, and the file that logs
    its recoveries, where it has a Ray of its own."""

    command: list[str]
    results: Path
    key: tuple[str, ...]
    log: Path

    def start(self, fails_on: str = "") -> "subprocess.Popen[bytes]":
        environment = {**os.environ, LOG: str(self.log), FAILS_ON: fails_on}
        with self.log.with_suffix(".out").open("ab") as out:
            return subprocess.Popen(self.command, stdout=out, stderr=subprocess.STDOUT, env=environment)

    def calls(self) -> list[Call]:
        return calls(self.log)

    def rows(self) -> pd.Series:
        """How often each recovery is in the results."""
        if not any(self.results.rglob("*.parquet")):
            return pd.Series(dtype="int64")
        return pd.read_parquet(self.results).value_counts(list(self.key))


def train(folder: Path) -> Path:
    """A run with the checkpoint that both start from, and the experiment beside it."""
    file, run = folder / "experiment.yaml", folder / "trained"
    file.write_text(EXPERIMENT, encoding="utf-8")
    command = [sys.executable, "-m", "workflows", "train", str(file), "--run", str(run)]
    subprocess.run(command, check=True, capture_output=True)
    return run


def memrec(trained: Path, folder: Path, address: str = "") -> Job:
    """`memrec recover` on a run that has the checkpoint, and neither plan nor results."""
    run = folder / "memrec"
    if not run.exists():
        shutil.copytree(trained / "checkpoints", run / "checkpoints")
        shutil.copy(trained / "experiment.yaml", run)
    arguments = [str(trained.parent / "experiment.yaml"), "--run", str(run), "--actors", str(ACTORS)]
    arguments += ["--address", address] if address else []
    command = [sys.executable, "-m", "workflows", "recover", *arguments]
    return Job(command, run / "recovery", ("split", "image_id", "degradation"), folder / "memrec.log")


def ray_data(trained: Path, folder: Path, *options: str, address: str = "local") -> Job:
    """The pipeline with Ray Data; see there for its options."""
    [checkpoint], out = trained.glob("checkpoints/*/[0-9]*.safetensors"), folder / "ray_data"
    arguments = [str(checkpoint), str(out), "--actors", str(ACTORS), "--address", address, *options]
    command = [sys.executable, "-m", "benchmarks.ray_data_pipeline", *arguments]
    return Job(command, out / "recovery", ("id",), folder / "ray_data.log")
