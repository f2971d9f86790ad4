"""A visitor: one window of the browser, that keeps what went wrong and where it went."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from tests.browser.conftest import AXE
from tests.fakes.house import House
from tests.console.people import Person

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Request

Theme = Literal["light", "dark"]
SHOTS = os.environ.get("RELAYD_SHOTS")
PATIENCE_MS = 30_000
"""How long anything may take: a busy machine shows a page after ten seconds."""
WANTED = "wcag2a,wcag2aa,wcag21a,wcag21aa,wcag22aa,best-practice".split(",")


class Visitor:
    """`with Visitor(chromium, house) as visitor`. `who` is signed in.

    `theme` and `language` are what the browser asks for; `script` False is a browser without any.
    """

    def __init__(self, chromium: Browser, house: House, who: Person | None = None,
                 **wishes: Any) -> None:
        self.house = house
        self._who = who
        self.language = wishes.get("language", "en")
        self.theme = wishes.get("theme", "light")
        self._context = chromium.new_context(
            base_url=house.origin, color_scheme=self.theme,
            locale="zh-CN" if self.language == "zh" else "en-US",
            java_script_enabled=wishes.get("script", True),
            viewport={"width": wishes.get("width", 1280), "height": 900},
            permissions=["clipboard-read", "clipboard-write"])
        self.faults: list[str] = []
        self.hosts: set[str] = set()
        self.page: Page = self._context.new_page()
        self.forget()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error.name}"))
        self.page.on("request", self._asked)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the window."""
        self._context.close()

    def forget(self) -> None:
        """As new: what a sign-in leaves is all that the browser has, and nothing was seen."""
        self._context.clear_cookies()
        if self._who is not None:
            self._context.add_cookies(self.house.cookies(self._who))  # type: ignore[arg-type]
        self.faults, self.hosts = [], set()

    def turn(self, theme: Theme) -> None:
        """The system changes to this theme, and the page with it."""
        self.page.emulate_media(color_scheme=theme)
        self.theme = theme

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data":
            self.hosts.add(f"{url.scheme}://{url.netloc}")

    def expect(self, what: Page | Locator) -> Any:
        """Playwright's own waiting assertions."""
        expect = importlib.import_module("playwright.sync_api").expect
        expect.set_options(timeout=PATIENCE_MS)
        return expect(what)

    def go(self, path: str) -> int:
        """Opens a page; returns its status."""
        answer = self.page.goto(path)
        assert answer is not None
        return answer.status

    def press(self, name: str) -> None:
        """Presses the button or link of this name in the page's own part."""
        main = self.page.locator("main")
        main.get_by_role("button", name=name, exact=True).or_(
            main.get_by_role("link", name=name, exact=True)).first.click()

    @property
    def stored(self) -> tuple[set[str], int]:
        """(names of cookies, things in the browser's other stores)."""
        names = {cookie["name"] for cookie in self._context.cookies()}
        others = self.page.evaluate(
            "async () => localStorage.length + sessionStorage.length"
            " + (await indexedDB.databases()).length + (await caches.keys()).length"
            if self.house.origin.startswith("https") else
            "async () => localStorage.length + sessionStorage.length"
            " + (await indexedDB.databases()).length")
        return names, others

    def judged(self) -> list[str]:
        """What axe finds on the page as it is, but what is minor."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate(
            "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']})", WANTED)
        return [f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}"
                for each in found["violations"]
                if each["impact"] in ("serious", "critical", "moderate")]

    def shoot(self, name: str) -> None:
        """A picture of the whole page, where somebody wants to look."""
        if SHOTS:
            file = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "front"
            self.page.screenshot(
                path=Path(SHOTS) / f"{file}-{self.language}-{self.theme}.png", full_page=True)


class Windows:
    """Windows that stay open from one page to the next, as people keep them: a new one costs the
    machine three times what the next page in it does."""

    def __init__(self, chromium: Browser, house: House) -> None:
        self._chromium, self._house = chromium, house
        self._open: dict[tuple[Person | None, frozenset[tuple[str, Any]]], Visitor] = {}

    @contextmanager
    def of(self, who: Person | None, **wishes: Any) -> Iterator[Visitor]:
        """The visitor who is so and wishes so, as new; one of whom a test failed comes no more."""
        asked = who, frozenset(wishes.items())
        visitor = self._open.pop(asked, None)
        if visitor is None:
            visitor = Visitor(self._chromium, self._house, who, **wishes)
        else:
            visitor.forget()
        try:
            yield visitor
        except BaseException:
            visitor.close()
            raise
        self._open[asked] = visitor

    def close(self) -> None:
        """Closes all."""
        for visitor in self._open.values():
            visitor.close()
