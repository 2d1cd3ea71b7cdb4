"""A real browser, headless, and what tests ask of a page in it."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(sys.prefix, "node_modules", "axe-core", "axe.min.js")
"""Where `make test` puts it, unless AXE_CORE says another place."""


class Browser:
    """Chromium, as a user who may look at pages in it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(
        self, page: Path, fragment: str = "", width: int = 1280, scheme: str = "light", scripts: bool = True
    ) -> None:
        """A page from the disk, as if for the first time."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.look(scheme)
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.driver.get(page.as_uri() + fragment)

    def look(self, scheme: str, media: str = "") -> None:
        """In a colour scheme, and as it would be printed for the medium `print`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def choose(self, name: str, value: str) -> None:
        """Click a chip of a switch or filter."""
        self.run("arguments[0].click()", self.one(f'input[name="{name}"][value="{value}"]'))

    def complaints(self) -> list[dict[str, Any]]:
        """What the browser said of the page, such as errors of its script and what its policy refused."""
        return self.driver.get_log("browser")

    def requests(self) -> list[str]:
        """What the page has asked for beside itself."""
        entries = self.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        return [name for name in entries if not name.startswith("data:")]

    def is_wider_than_the_window(self) -> bool:
        return self.run("return document.documentElement.scrollWidth > document.documentElement.clientWidth")

    def violations(self) -> list[str]:
        """What axe-core calls serious or critical; skips the test where it is not there."""
        place = Path(os.environ.get("AXE_CORE", AXE))
        if not place.is_file():
            pytest.skip(f"no axe-core in {place}; make test fetches it")
        self.run(place.read_text())
        found = self.driver.execute_async_script("axe.run(document).then(arguments[0])")
        return [
            f"{own['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for own in found["violations"]
            if own["impact"] in ("serious", "critical")
            for node in own["nodes"]
        ]


@contextmanager
def a_browser(profile: Path) -> Iterator[Browser]:
    """Skips the test where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no chromium and chromedriver on this machine; on Debian: apt install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={profile}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    chrome.set_script_timeout(60)
    try:
        yield Browser(chrome)
    finally:
        chrome.quit()
