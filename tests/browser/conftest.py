"""The browser and what it visits, once for all tests here; skipped with a word where it is absent.

RELAYD_CHROMIUM names another browser than Debian's; RELAYD_SHOTS a folder for screenshots.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

    from tests.browser.visitor import Windows
    from tests.fakes.house import House

HERE = Path(__file__).parent
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = os.environ.get("RELAYD_CHROMIUM") or which("chromium")
MISSING = [name for name, there in (
    ("chromium", CHROMIUM), ("playwright", importlib.util.find_spec("playwright")),
    ("axe-core", AXE.exists())) if not there]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing here runs where something is missing."""
    if MISSING:
        why = f"no {', '.join(MISSING)}: `make test-browser` installs what is needed"
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The relay, its console, and people."""
    house = importlib.import_module("tests.fakes.house")
    with house.House(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """Debian's browser, without its sandbox: root has none."""
    playwright = importlib.import_module("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def windows(chromium: Chromium, house: House) -> Iterator[Windows]:
    """The windows of all tests here that look at one page after another."""
    visitor = importlib.import_module("tests.browser.visitor")
    windows = visitor.Windows(chromium, house)
    yield windows
    windows.close()
