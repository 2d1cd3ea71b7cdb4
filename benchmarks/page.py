"""The page of a run of 25,000 images under 6 masks at 5 checkpoints: its time, its size, and how soon it opens."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver

import workflows
from benchmarks.aggregation import Shape, write_run
from benchmarks.processes import measured
from benchmarks.rows import Row
from workflows.run.rates import aggregate
from workflows.run.store import REPORT, Store

LARGE = Shape(25_000, 6, 5, 25_000, control=1000, pictures=100)
REPORTED = """
import sys, time
began = time.perf_counter()
import workflows
from workflows.report import write_report
write_report(workflows.open_run(sys.argv[1]))
print(time.perf_counter() - began)
"""


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        write_run(Store(folder), LARGE)
        aggregate(workflows.open_run(folder))
        called = measured([sys.executable, "-c", REPORTED, folder])
        took, peak = float(called.printed.splitlines()[-1]), called.peak
        page = Path(folder, REPORT)
        size, opened = page.stat().st_size / 1e6, _opened(page)
    what, note = "the page of 25,000 images, 6 masks, 5 checkpoints", "rival: what is allowed"
    return [
        Row(f"{what}: made", took, 120.0, took / 120, 1.0, at_most=True, note=note),
        Row(f"{what}: peak memory", peak, 4.0, peak / 4, 1.0, at_most=True, unit="GiB", note=note),
        Row(f"{what}: size", size, 3.0, size / 3, 1.0, at_most=True, unit="MB", note=note),
        Row(f"{what}: opened in a browser", opened, 2.0, opened / 2, 1.0, at_most=True, note=note),
    ]


def _opened(page: Path) -> float:
    """Seconds until a browser that is up has loaded and laid out the page: the median of three times."""
    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"):
        options.add_argument(flag)
    chromium = shutil.which("chromium")
    if chromium is not None:
        options.binary_location = chromium
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        times = []
        for _ in range(3):
            browser.get("about:blank")
            began = time.perf_counter()
            browser.get(page.absolute().as_uri())
            browser.execute_script("return document.body.offsetHeight")
            times.append(time.perf_counter() - began)
        return sorted(times)[1]
    finally:
        browser.quit()
