"""The page of a run, in a real browser."""

import csv
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.audits import ATTACKS, made
from tests.browser import Browser, a_browser
from tests.conftest import SMALL, make_run
from tests.pictures import write_photos
from workflows.duration import duration
from workflows.experiment import loading as experiments
from workflows.report import write_report
from workflows.run.opened import open_run
from workflows.run.planning import Size
from workflows.run.rates import aggregate
from workflows.run.run import Run

WIDTHS = (1280, 390)
HOSTILE = "'\"><img src=x onerror=alert(1)>&amp;\u2028<!--<script>.png"
FORMULA = "=1+1"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with a_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(undisturbed: Path) -> Path:
    return undisturbed / "report" / "index.html"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose pictures, labels and description would be markup, a script's end or a formula."""
    folder = tmp_path_factory.mktemp("hostile")
    label = write_photos(folder / "pictures" / "<u onclick=alert(2)>{{ 7 * 7 }}", 6, side=16)
    (label / "00.png").rename(label / HOSTILE)
    (label.parent / FORMULA).mkdir()
    (label / "02.png").rename(label.parent / FORMULA / "02.png")
    text = SMALL.replace("photos, count: 6", f"image_folder, count: 3, root: {folder / 'pictures'}")
    text += "description: 'What `make` runs </script></style></title><script>alert(3)</script>'\n"
    text = text.replace("[1e-2, 1e-3]", "[1e-2]").replace("pictures: 2", "pictures: 3")
    experiment = experiments.parse(text, "hostile")
    run = Run(experiment, make_run(experiment, folder / "run", lambda kind: Size(12, 512)))
    aggregate(run)
    write_report(run)
    return folder / "run"


def cards(browser: Browser) -> list[str]:
    """What the gallery shows, as text."""
    return [card.text for card in browser.all("#grid .card")]


def best(run: Path, **where: object) -> pd.Series:
    """By image and degradation the smallest error of the rows whose pictures were kept."""
    rows = pd.read_parquet(run / "recovery").query("original.notna()")
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows.groupby(["image_id", "degradation"])["mse"].min()


@pytest.mark.parametrize("width", WIDTHS)
def test_page_opens_from_the_disk_without_a_request_or_a_complaint(browser: Browser, page: Path, width: int):
    browser.open(page, width=width)
    assert browser.driver.title == "memrec: small"
    assert not browser.is_wider_than_the_window()
    for summary in browser.all("summary"):
        browser.run("arguments[0].click()", summary)
    assert not browser.is_wider_than_the_window()
    assert browser.complaints() == []
    assert browser.requests() == []
    assert page.stat().st_size < 1_000_000


def test_verdict_is_the_most_that_came_back(browser: Browser, page: Path, undisturbed: Path):
    rates = pd.read_parquet(undisturbed / "rates.parquet")
    kind = "accurate" if rates["accurate_count"].any() else "approximate"
    trained = rates[rates["split"] == "train"]
    most = trained.loc[trained[f"{kind}_count"].idxmax()]
    browser.open(page)
    sentence = browser.one("#verdict .sentence").text
    assert f"{most[f'{kind}_count']} of 6 training images came back" in sentence
    assert f"{100 * most[f'{kind}_low']:.3g} to" in sentence
    assert "of 6 others (" in sentence
    assert f"the most of {len(trained)} combinations" in browser.one("#verdict").text


def test_page_says_how_long_drivers_have_worked(browser: Browser, page: Path, undisturbed: Path):
    seconds = open_run(undisturbed).status().seconds
    assert seconds is not None
    assert seconds > 1
    browser.open(page)
    assert f"Duration\n{duration(seconds)} in which a driver was at work" in browser.one("#making").text


def test_charts_have_words_and_tables_that_say_what_the_rates_are(browser: Browser, page: Path, undisturbed: Path):
    browser.open(page)
    panels = browser.all("#losses svg.panel")
    assert len(panels) == 3 * 2  # measures, degradations
    assert len(browser.all("#losses svg.panel .line")) == 3 * 2 * 6  # methods and splits
    assert all(len(browser.run("return arguments[0].querySelector('desc').textContent", own)) > 100 for own in panels)
    rates = pd.read_parquet(undisturbed / "rates.parquet")
    rows = browser.run(
        "return [...document.querySelectorAll('#losses [data-measure=approximate] tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    shown = {tuple(row[:3]): row[3:] for row in rows}
    rates = rates.query("degradation == 'center' and method == 'known_mask' and split == 'train'")
    rate = rates.set_index("target_loss")["approximate_rate"]
    for cell, loss in zip(shown["center", "known mask", "training images"], (1e-2, 1e-3), strict=True):
        assert cell.startswith(f"{100 * rate[loss]:.3g}\u00a0% (")


def test_switch_shows_one_measure_at_a_time_and_the_address_keeps_it(browser: Browser, page: Path):
    browser.open(page)
    assert [chart.is_displayed() for chart in browser.all("#losses .chart")] == [True, False, False]
    browser.choose("measure", "psnr")
    assert [chart.is_displayed() for chart in browser.all("#losses .chart")] == [False, False, True]
    address = browser.driver.current_url
    assert "measure=psnr" in address
    browser.open(page, "#" + address.partition("#")[2])
    assert [chart.is_displayed() for chart in browser.all("#losses .chart")] == [False, False, True]


def test_slider_moves_the_threshold(browser: Browser, page: Path, undisturbed: Path):
    thresholds = pd.read_parquet(undisturbed / "thresholds.parquet").query("target_loss == 1e-3")
    browser.open(page)
    slider = browser.one("#threshold")
    assert "10⁻⁷" in browser.one("#thresholds output").text
    where = cursor(browser)
    for _ in range(20):
        slider.send_keys(Keys.ARROW_LEFT)
    assert browser.one("#thresholds output").text == "MSE under 10⁻³"
    assert cursor(browser) < where
    rows = "[...document.querySelectorAll('#thresholds > .scroll tbody tr')]"
    shown = browser.run(f"return {rows}.map((row) => [...row.cells].map((cell) => cell.textContent))")
    assert len(shown) == 2 * 3  # degradations and methods
    for row in [row for row in shown if row[0] == "center"]:
        found = thresholds[(thresholds["degradation"] == "center") & (thresholds["threshold"] == 1e-3)]
        found = found[found["method"].str.replace("_", " ").str.replace("autoencoder", "AE") == row[1]]
        rates = found.set_index("split")["recovery_rate"]
        assert [cell.partition("\u00a0%")[0] for cell in row[2:]] == [
            f"{100 * rates[s]:.3g}" for s in ("train", "control")
        ]


def cursor(browser: Browser) -> float:
    """Where the line is that the slider moves."""
    return float(browser.one("#thresholds .cursor").get_attribute("x1") or "nan")


def test_chips_filter_the_pictures_and_the_address_can_be_sent(browser: Browser, page: Path, undisturbed: Path):
    browser.open(page)
    assert len(cards(browser)) == 2 * 2  # training images, degradations; at the lowest loss
    browser.choose("split", "")
    browser.choose("loss", "0.01")
    browser.choose("mask", "center")
    browser.choose("method", "known_mask")
    browser.choose("order", "worst")
    expected = best(undisturbed, degradation="center", method="known_mask", target_loss=1e-2)
    worst_first = [name for name, _ in expected.sort_values(ascending=False).index]
    assert [card.splitlines()[-1].split()[0] for card in cards(browser)] == worst_first
    assert all("known mask" in card and "unknown mask" not in card for card in cards(browser))
    fragment, seen = browser.driver.current_url.partition("#")[2], cards(browser)
    browser.open(page, f"#{fragment}")
    assert cards(browser) == seen
    browser.choose("outcome", "accurate")
    assert len(cards(browser)) == (expected < 1e-7).sum()
    browser.choose("outcome", "failed")
    assert len(cards(browser)) == (expected >= 5e-4).sum()


def test_any_image_is_found_by_its_name(browser: Browser, page: Path, undisturbed: Path):
    browser.open(page)
    name = best(undisturbed, split="control").index[0][0]
    browser.choose("split", "control")
    browser.one("input[name=find]").send_keys(name)
    assert len(cards(browser)) == 2
    assert all(name in card for card in cards(browser))


def test_image_that_the_chips_leave_out_is_a_click_away(browser: Browser, page: Path, undisturbed: Path):
    name = best(undisturbed, split="control").index[0][0]
    browser.open(page)
    browser.choose("mask", "center")
    browser.one("input[name=find]").send_keys(name)
    assert cards(browser) == []
    assert "some fit others" in browser.one("#count").text
    browser.run("arguments[0].click()", browser.one("#widen"))
    assert len(cards(browser)) == 2
    assert all(name in card for card in cards(browser))
    assert not browser.one("#widen").is_displayed()
    browser.one("input[name=find]").send_keys("-of-nothing")
    assert browser.one("#count").text == "None fits the choices above."
    assert not browser.one("#widen").is_displayed()


def test_verdict_comes_before_everything_else_on_the_first_screen(browser: Browser, page: Path):
    for width in WIDTHS:
        browser.open(page, width=width)
        place = "return document.querySelector(arguments[0]).getBoundingClientRect()"
        verdict, links = (browser.run(place, selector) for selector in ("#verdict .bars", "nav"))
        assert verdict["bottom"] < 720
        assert verdict["bottom"] < links["top"]


@pytest.mark.parametrize("width", WIDTHS)
def test_pictures_are_walked_with_the_keys_alone(browser: Browser, page: Path, width: int):
    browser.open(page, width=width)
    shown = browser.all("#grid .card")
    browser.run("arguments[0].focus()", shown[0])
    press(browser, Keys.ARROW_RIGHT, Keys.ENTER)
    assert browser.one("#viewer").is_displayed()
    title = browser.one("#viewer-title").text
    assert title.partition(":")[0] in shown[1].text
    assert len(browser.all("#viewer .found")) == 3
    assert len(browser.all("#viewer .found .tile.error")) == 3
    assert "the same image at other training losses" in browser.one("#viewer .course").text.lower()
    assert not browser.is_wider_than_the_window()
    fragment = browser.driver.current_url.partition("#")[2]
    press(browser, Keys.ARROW_RIGHT)
    assert browser.one("#viewer-title").text != title
    press(browser, Keys.ARROW_LEFT)
    assert browser.one("#viewer-title").text == title
    press(browser, Keys.ESCAPE)
    assert not browser.one("#viewer").is_displayed()
    assert browser.run("return [...document.querySelectorAll('#grid .card')].indexOf(document.activeElement)") == 1
    assert "image=" not in browser.driver.current_url
    browser.open(page, f"#{fragment}", width=width)
    assert browser.one("#viewer-title").text == title


def press(browser: Browser, *keys: str) -> None:
    for key in keys:
        ActionChains(browser.driver).send_keys(key).perform()


def test_address_of_an_image_opens_it(browser: Browser, page: Path, undisturbed: Path):
    name = best(undisturbed, split="control").index[0][0]
    browser.open(page, f"#image=photos%2Fcontrol%2F{name}")
    assert name in browser.one("#viewer-title").text
    assert "control image" in browser.one("#viewer-body").text


def test_link_to_a_section_leaves_the_filters(browser: Browser, page: Path):
    browser.open(page)
    browser.choose("mask", "center")
    seen = cards(browser)
    browser.run("arguments[0].click()", browser.one('nav a[href="#thresholds"]'))
    settled(browser)
    assert browser.driver.current_url.endswith("#thresholds")
    assert cards(browser) == seen
    assert len(seen) == 2


@pytest.mark.parametrize(
    "fragment",
    ["mask=random", "loss=1e-06", "threshold=abc", "threshold=900", "split=foo", "method=unknown"],
)
def test_address_with_an_unknown_value_falls_back(browser: Browser, page: Path, fragment: str):
    browser.open(page, f"#{fragment}")
    assert len(cards(browser)) == 2 * 2
    assert len(browser.all("#filters input:checked")) == 6
    assert "10⁻⁷" in browser.one("#thresholds output").text
    assert browser.complaints() == []


def test_address_of_an_image_that_is_not_there_says_so(browser: Browser, page: Path):
    browser.open(page, "#image=photos%2Ftrain%2Fnobody")
    assert "no picture of photos/train/nobody" in browser.one("#count").text
    assert len(cards(browser)) == 2 * 2
    assert not browser.one("#viewer").is_displayed()


@pytest.mark.parametrize(
    ("fragment", "section"), [("measure=psnr", "losses"), ("threshold=13", "thresholds"), ("mask=center", "gallery")]
)
def test_address_leads_to_the_section_it_is_about(browser: Browser, page: Path, fragment: str, section: str):
    browser.open(page, f"#{fragment}")
    settled(browser)
    top = browser.run("return document.getElementById(arguments[0]).getBoundingClientRect().top", section)
    assert abs(top) < 60


def settled(browser: Browser) -> None:
    """Wait until the page has scrolled to where it was sent."""
    places: list[float] = []
    for _ in range(50):
        places.append(browser.run("return scrollY"))
        if len(places) > 3 and len(set(places[-4:])) == 1:
            return
        time.sleep(0.1)


def test_image_without_pictures_is_said_to_be_in_the_run(browser: Browser, page: Path):
    browser.open(page)
    browser.run("document.querySelector('#images tbody tr').cells[0].textContent = 'rocket-7'")
    browser.one("input[name=find]").send_keys("rocket-7")
    assert cards(browser) == []
    assert "rocket-7 is in the run, but no pictures of it" in browser.one("#count").text


def test_closing_the_viewer_leads_back_to_the_table_that_opened_it(browser: Browser, page: Path):
    browser.open(page)
    browser.choose("mask", "center")
    link = browser.one('#images a[href^="#image="]')
    browser.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", link)
    place = browser.run("return arguments[0].getBoundingClientRect().top", link)
    link.click()
    assert browser.one("#viewer").is_displayed()
    press(browser, Keys.ESCAPE)
    settled(browser)
    assert not browser.one("#viewer").is_displayed()
    assert browser.run("return document.activeElement === arguments[0]", link)
    assert abs(browser.run("return arguments[0].getBoundingClientRect().top", link) - place) < 300
    assert len(cards(browser)) == 2
    assert "image=" not in browser.driver.current_url


def test_back_closes_the_viewer_and_stays_on_the_page(browser: Browser, page: Path):
    browser.open(page)
    browser.choose("mask", "center")
    seen = cards(browser)
    for opened in ("#grid .card", '#images a[href^="#image="]'):
        browser.run("arguments[0].click()", browser.one(opened))
        settled(browser)
        assert browser.one("#viewer").is_displayed()
        browser.driver.back()
        settled(browser)
        assert browser.driver.title == "memrec: small"
        assert not browser.one("#viewer").is_displayed()
        assert cards(browser) == seen
    assert "mask=center" in browser.driver.current_url


def test_search_finds_masks_methods_and_places(browser: Browser, page: Path, undisturbed: Path):
    name = best(undisturbed, split="train").index[0][0]
    browser.open(page)
    assert "go by the best of the methods" in browser.one("#filters").text
    for words, count in (
        (f"train/{name}", 2),
        ("random_80", 2),
        (f"center {name}", 1),
        ("unknown_mask", 4),
        ("dom_80", 0),
    ):
        browser.one("input[name=find]").clear()
        browser.one("input[name=find]").send_keys(words)
        assert len(cards(browser)) == count, words


def test_viewer_shows_the_estimated_mask_of_methods_that_make_one(browser: Browser, page: Path):
    browser.open(page)
    browser.run("arguments[0].click()", browser.all("#grid .card")[0])
    found = [own.text for own in browser.all("#viewer .found")]
    assert [text.startswith("unknown mask") for text in found] == ["estimated mask" in text for text in found]
    assert sum("estimated mask" in text for text in found) == 1


def test_pictures_of_the_viewer_are_as_large_as_the_window_lets_them_be(browser: Browser, page: Path):
    for width, least, in_a_row in ((1280, 180, 3), (390, 150, 2)):
        browser.open(page, width=width)
        browser.run("arguments[0].click()", browser.all("#grid .card")[0])
        for pair in browser.all("#viewer .pair"):
            boxes = [tile.rect for tile in pair.find_elements("css selector", ".tile")]
            assert all(box["width"] >= least for box in boxes)
            assert len({box["y"] for box in boxes[:in_a_row]}) == 1
        assert browser.run("const own = document.querySelector('#viewer'); return own.scrollWidth <= own.clientWidth")


def test_tables_are_sorted_by_a_click_and_a_second_one_turns_them(browser: Browser, page: Path):
    browser.open(page)
    browser.run("arguments[0].click()", browser.one("#numbers summary"))
    [button] = [own for own in browser.all("#rates-table thead button") if own.text == "mean PSNR, dB"]

    def column() -> list[float]:
        rows = "[...document.querySelectorAll('#rates-table tbody tr')]"
        cells = browser.run(f"return {rows}.map((row) => row.cells[12].textContent)")
        return [float(cell) for cell in cells]

    browser.run("arguments[0].click()", button)
    assert column() == sorted(column())
    browser.run("arguments[0].click()", button)
    assert column() == sorted(column(), reverse=True)
    assert len(column()) == 2 * 2 * 3 * 2


def test_without_scripts_everything_but_the_switches_can_be_read(browser: Browser, page: Path):
    browser.open(page, scripts=False)
    text = browser.one("body").text
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    for words in ("training images came back", "mean PSNR of the recoveries", "Share with an error", "AE iterations"):
        assert words in text
    assert len(re.findall("training image,", text)) == 2 * 2
    assert "Show more" not in text
    assert "worst first" not in text


def test_hostile_names_labels_and_descriptions_stay_text(browser: Browser, hostile: Path):
    browser.open(hostile / "report" / "index.html")
    assert browser.complaints() == []
    assert browser.requests() == []
    assert browser.all("img, u") == []
    assert "{{ 7 * 7 }}" in browser.one("#labels").text
    assert "<script>alert(3)</script>" in browser.one("header").text
    assert "What `make` runs </script>" in browser.one("header").text
    browser.choose("split", "")
    browser.one("input[name=find]").send_keys("onerror")
    assert any("<img src=x onerror=alert(1)>" in card for card in cards(browser))
    browser.run("arguments[0].click()", browser.all("#grid .card")[0])
    assert "<img src=x onerror=alert(1)>" in browser.one("#viewer-title").text
    assert browser.all("#viewer img") == []


def test_names_that_a_spreadsheet_would_compute_are_text_in_the_file_of_images(hostile: Path):
    with (hostile / "report" / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert f"'{FORMULA}/02.png" in {row["image_id"] for row in rows}
    assert f"'{FORMULA}" in {row["label"] for row in rows}
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_scheme_of_the_system_is_followed_and_print_is_light(browser: Browser, page: Path):
    def ground() -> str:
        return browser.run("return getComputedStyle(document.body).backgroundColor")

    browser.open(page, scheme="light")
    assert ground() == "rgb(255, 255, 255)"
    browser.look("dark")
    assert ground() != "rgb(255, 255, 255)"
    browser.look("dark", media="print")
    assert ground() == "rgb(255, 255, 255)"
    assert not browser.one("nav").is_displayed()
    assert browser.run("return document.querySelector('#grid .card .tile').checkVisibility()")


def test_page_has_no_serious_barrier(browser: Browser, page: Path):
    browser.open(page)
    assert browser.violations() == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("opened", "scheme", "width"), [(False, "dark", 390), (True, "light", 390), (True, "dark", 1280)]
)
def test_page_and_viewer_have_no_serious_barrier(browser: Browser, page: Path, opened: bool, scheme: str, width: int):
    browser.open(page, width=width, scheme=scheme)
    for summary in browser.all("summary"):
        browser.run("arguments[0].click()", summary)
    if opened:
        browser.run("arguments[0].click()", browser.all("#grid .card")[0])
    assert browser.violations() == []


@pytest.mark.long
@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_pages_fit_the_window(browser: Browser, page: Path, hostile: Path, width: int):
    for own in (page, hostile / "report" / "index.html"):
        browser.open(own, width=width)
        assert not browser.is_wider_than_the_window()


def test_all_pictures_are_written_beside_the_page(browser: Browser, memrec, undisturbed: Path, tmp_path: Path):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    assert memrec("report", run, "--all-pictures").status == 0
    browser.open(run / "report" / "pictures" / "0001.html")
    assert browser.complaints() == []
    browser.choose("split", "")
    assert len(cards(browser)) == 2 * 2 * 2
    browser.open(run / "report" / "index.html")
    assert [link.get_attribute("href") for link in browser.all('a[href^="pictures/"]')] == [
        (run / "report" / "pictures" / "0001.html").as_uri()
    ]


def test_page_of_an_audit_begins_with_its_verdict(browser: Browser, memrec, undisturbed: Path, tmp_path: Path):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    audit = made(50, model="<script>alert(1)</script>", max_rate=0.7)
    (run / "audit.json").write_text(audit.to_json())
    assert memrec("report", run).status == 0
    browser.open(run / "report" / "index.html")
    assert browser.complaints() == []
    headings = [heading.text.lower() for heading in browser.all("h2")]
    assert headings[0] == "verdict"
    verdict, detail = browser.one("#verdict").text, browser.one("#audit").text
    assert "leaks" in verdict
    assert audit.sentence in verdict
    assert "<script>alert(1)</script>" in detail
    assert all(sentence in detail for sentence in audit.warnings)
    rows = browser.all("#attacks tbody tr")
    assert len(rows) == len(ATTACKS) + 1
    assert "50/100: 50 % (39.8 to 60.2 %)" in rows[-1].text
    assert len(browser.all("#membership tbody tr")) == len(ATTACKS) + 1
    assert not browser.is_wider_than_the_window()


@pytest.mark.parametrize("data", ["{", "[]", "{}"])
def test_answer_of_an_audit_that_is_damaged_is_named(memrec, undisturbed: Path, tmp_path: Path, data: str):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    (run / "audit.json").write_text(data)
    called = memrec("report", run)
    assert called.status == 2
    assert "is not the answer of an audit" in called.err


def test_page_of_an_unfinished_run_says_so(memrec, undisturbed: Path, tmp_path: Path):
    run = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    next(run.glob("recovery/**/*.parquet")).unlink()
    words = "Incomplete: 35 of 36 work units are there"
    assert words in memrec("aggregate", run).out
    memrec("report", run)
    assert words in (run / "report" / "index.html").read_text()
    assert words not in (undisturbed / "report" / "index.html").read_text()
