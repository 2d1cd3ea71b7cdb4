"""memrec against the limit of the machine and against what else one could use: `make bench`.

    python -m benchmarks [limit] [batches] [rivals] [adaptive] [training] [ray_costs] [ray_data] [simulation]
                         [memory] [aggregation] [page] [answers] [object_store] [demo]

runs those named, all where none is; it prints one table, and keeps it in benchmarks/results.json. Leave the machine
alone while it runs.
"""

import importlib
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.rows import Row
from memrec_core.torchvision_import import import_torchvision

SECTIONS = [
    *("limit", "batches", "rivals", "adaptive", "training", "ray_costs", "ray_data", "simulation", "memory"),
    *("aggregation", "page", "answers", "object_store", "demo"),
]
RESULTS = Path(__file__).parent / "results.json"


def main() -> int:
    wanted = sys.argv[1:] or SECTIONS
    if unknown := set(wanted) - set(SECTIONS):
        print(f"error: no benchmark {', '.join(sorted(unknown))}; choose of {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    import_torchvision()  # before anything else imports it
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    measured: dict[str, list[Row]] = {}
    for section in wanted:
        began = time.monotonic()
        measured[section] = importlib.import_module(f"benchmarks.{section}").rows()
        keep(section, measured[section])
        print(f"{section}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    Console(width=150).print(table([row for rows in measured.values() for row in rows]))
    return 0


def table(rows: list[Row]) -> Table:
    printed = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("what", "ours", "rival", "ratio", "target", ""):
        printed.add_column(title, justify="left" if title in ("what", "") else "right")
    for row in rows:
        sign = "<=" if row.at_most else ">="
        target = "" if row.target is None else f"{sign} {row.target:g}"
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        rival = "" if row.rival is None else f"{row.rival:.3g} {row.unit}"
        ratio = "" if row.ratio is None else f"{row.ratio:.3g}"
        printed.add_row(row.what, f"{row.ours:.3g} {row.unit}", rival, ratio, target, f"{verdict}  {row.note}".strip())
    return printed


def keep(section: str, rows: list[Row]) -> None:
    """Beside what was kept of other sections."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    entries = [{**asdict(row), "met": row.met} for row in rows]
    kept[section] = {"torch": torch.__version__, "threads": torch.get_num_threads(), "rows": entries}
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
