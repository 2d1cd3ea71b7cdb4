"""The page of a run, in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from workflows.report.pictures import rows_of

from tests.audits import ATTACKS, made

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,1600",
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver on this machine; on Debian: apt install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def test_page_opens_from_the_disk_and_shows_curves_pictures_and_numbers(browser: webdriver.Chrome, undisturbed: Path):
    page = undisturbed / "report" / "index.html"
    browser.get(page.as_uri())
    assert browser.title == "memrec: small"
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    # Accurate, approximate, PSNR and thresholds; a panel for each degradation; six lines (methods, splits) in each.
    assert len(browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot")) == 4
    assert len(browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .scatterlayer .trace")) == 4 * 2 * 6
    pictures = browser.find_elements(By.CSS_SELECTOR, ".pictures img")
    assert len(pictures) == 2 * 2 * 2 * (2 + 3)  # degradations, splits, images, rows
    assert all(browser.execute_script("return arguments[0].naturalWidth", picture) == 16 for picture in pictures)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#rates tbody tr")) == 2 * 2 * 3 * 2
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_page_of_an_audit_begins_with_its_verdict(browser: webdriver.Chrome, memrec, undisturbed: Path, tmp_path: Path):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    audit = made(50, model="<script>alert(1)</script>", max_rate=0.7)
    (run / "audit.json").write_text(audit.to_json())
    assert memrec("report", run).status == 0
    browser.get((run / "report" / "index.html").as_uri())
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    headings = [heading.text for heading in browser.find_elements(By.CSS_SELECTOR, "h2")]
    assert headings[:2] == ["Verdict: leaks", "Findings"]
    section = browser.find_element(By.ID, "verdict")
    assert audit.sentence in section.text
    assert "<script>alert(1)</script>" in section.text
    assert all(sentence in section.text for sentence in audit.warnings)
    rows = section.find_elements(By.CSS_SELECTOR, ".attacks tbody tr")
    assert len(rows) == len(ATTACKS) + 1
    assert "50/100: 50 (39.8 – 60.2)" in rows[-1].text
    assert len(section.find_elements(By.CSS_SELECTOR, ".membership tbody tr")) == len(ATTACKS) + 1
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_page_of_an_unfinished_run_says_so(memrec, undisturbed: Path, tmp_path: Path):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    next(run.glob("recovery/**/*.parquet")).unlink()
    words = "Incomplete: 35 of 36 work units are there"
    assert words in memrec("aggregate", run).out
    memrec("report", run)
    assert words in (run / "report" / "index.html").read_text()
    assert words not in (undisturbed / "report" / "index.html").read_text()


def test_pictures_stand_below_their_originals_though_some_are_missing(undisturbed: Path):
    results = pd.read_parquet(undisturbed / "recovery").query("original.notna() and split == 'train'")
    results = results[(results.target_loss == 1e-3) & (results.degradation == "center")]
    first = results.image_id.min()
    titles = {method: method for method in ("unknown_mask", "known_mask", "autoencoder_iterations")}
    some = results[(results.image_id != first) | (results.method != "unknown_mask")]
    originals, _, unknown, known, _ = rows_of(some, titles)
    whole = rows_of(results, titles)
    assert (originals, known) == (whole[0], whole[3])
    assert [bool(picture.uri) for picture in unknown.pictures] == [False, True]
    assert unknown.pictures[1] == whole[2].pictures[1]


def test_page_needs_nothing_from_the_network(undisturbed: Path):
    page = (undisturbed / "report" / "index.html").read_text()
    assert 'src="http' not in page
    assert '<link rel="stylesheet" href="http' not in page
