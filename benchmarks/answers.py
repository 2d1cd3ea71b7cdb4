"""What asking a run of 25,000 images under 6 masks at 5 checkpoints takes, from the command to its end: a query beside
bare DuckDB on the same files, a comparison with another such run, the figures."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import workflows
from benchmarks.aggregation import write_run
from benchmarks.page import LARGE
from benchmarks.processes import Measured, measured
from benchmarks.rows import Row
from workflows.run.rates import aggregate
from workflows.run.store import Store

SQL = (
    "select degradation, method, split, count(*) filter (mse < 1e-7) as accurate, avg(psnr) as psnr "
    "from results group by all order by all"
)
BARE = "import sys, duckdb; results = duckdb.read_parquet(sys.argv[1]); print(duckdb.sql(sys.argv[2]))"
ROUNDS = 3
"""Of which the middle one counts."""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        runs = [f"{folder}/{name}" for name in "ab"]
        for seed, run in enumerate(runs, 42):
            write_run(Store(run), LARGE, seed)
            aggregate(workflows.open_run(run))
        query = _memrec("query", runs[0], SQL)
        bare = _middle([sys.executable, "-c", BARE, f"{runs[0]}/results/**/*.parquet", SQL])
        compare = _memrec("compare", *runs, "--page", f"{folder}/compared.html")
        size = Path(folder, "compared.html").stat().st_size / 1e6
        figures = _memrec("figures", runs[0], "--out", f"{folder}/figures")
    what, note = "of 25,000 images, 6 masks, 5 checkpoints", "rival: bare DuckDB on the same files, a process each"
    ratios = query.seconds / bare.seconds, query.peak / bare.peak
    return [
        Row(f"query {what}", query.seconds, bare.seconds, ratios[0], note=note),
        Row("query: peak memory", query.peak, bare.peak, ratios[1], unit="GiB", note=note),
        Row(f"compare two runs {what}", compare.seconds, None, None),
        Row("compare: peak memory", compare.peak, None, None, unit="GiB"),
        Row("compare: size of the page", size, None, None, unit="MB"),
        Row(f"figures {what}", figures.seconds, None, None),
        Row("figures: peak memory", figures.peak, None, None, unit="GiB"),
    ]


def _memrec(*arguments: str) -> Measured:
    return _middle([sys.executable, "-m", "workflows", *arguments])


def _middle(command: Sequence[str]) -> Measured:
    """Of ROUNDS processes that of the median time."""
    return sorted(measured(command) for _ in range(ROUNDS))[ROUNDS // 2]
