"""Signing in and making a key with the keyboard alone; what has the focus is always seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.house import House
from tests.browser.test_first_call import PASSWORD, fill_in, mailed_link
from tests.browser.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TABS_MAX = 80
FOCUSED = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at);
  return {id: at.id, name: at.getAttribute("name"), text: at.textContent.trim(), tag: at.tagName,
          seen: at.matches(":focus-visible") ? style.outlineStyle !== "none" : true};
}"""


def tab_to(page: Page, wanted: str) -> None:
    """Presses Tab until something with this id, name or text has the focus."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None:
            continue
        assert at["seen"], f"the focus on {at} cannot be seen"
        if wanted in (at["id"], at["name"], at["text"]):
            return
    raise AssertionError(f"{wanted} cannot be reached with Tab")


@pytest.fixture(scope="module")
def signed_up(chromium: Browser, house: House) -> str:
    """The username of somebody who has an account and is signed out."""
    with Visitor(chromium, house) as visitor:
        visitor.go("/sign-up")
        fill_in(visitor, "keys")
        visitor.page.wait_for_load_state()
        visitor.go(mailed_link(house, "keys@example.org"))
        visitor.page.locator("main form button").first.click()
        visitor.expect(visitor.page).to_have_url(house.origin + "/start")
    return "keys"


def test_signing_in_and_making_a_key(chromium: Browser, house: House, signed_up: str) -> None:
    with Visitor(chromium, house) as visitor:
        page = visitor.page
        visitor.go("/sign-in")
        tab_to(page, "login")
        page.keyboard.type(f"{signed_up}@example.org")
        tab_to(page, "password")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        visitor.expect(page).to_have_url(house.origin + "/overview")

        tab_to(page, "API keys")
        page.keyboard.press("Enter")
        visitor.expect(page).to_have_url(house.origin + "/keys")
        tab_to(page, "New key")
        page.keyboard.press("Enter")
        visitor.expect(page).to_have_url(house.origin + "/keys/new")
        tab_to(page, "name")
        page.keyboard.type("typed")
        tab_to(page, "Make the key")
        page.keyboard.press("Enter")
        visitor.expect(page.locator("h1")).to_have_text("Your new key")
        tab_to(page, "Copy")
        page.keyboard.press("Enter")
        visitor.expect(page.locator("#said")).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.startswith("sk-relayd-")


def test_the_first_thing_leads_past_the_menu(chromium: Browser, house: House) -> None:
    with Visitor(chromium, house, house.holder) as visitor:
        visitor.go("/overview")
        visitor.page.keyboard.press("Tab")
        visitor.page.keyboard.press("Enter")
        assert visitor.page.evaluate("document.activeElement.id") == "main"


def test_what_was_refused_has_the_focus_and_says_why(chromium: Browser, house: House) -> None:
    with Visitor(chromium, house, house.holder) as visitor:
        page = visitor.page
        visitor.go("/keys/new")
        page.fill("[name=name]", "kept")
        page.fill("[name=expires]", "next tuesday")
        visitor.press("Make the key")
        visitor.expect(page.locator("[name=expires]")).to_be_focused()
        described = page.get_attribute("[name=expires]", "aria-describedby") or ""
        assert page.input_value("[name=name]") == "kept" and "e-expires" in described.split()
        assert "span such as 7d" in page.locator("#e-expires").inner_text()
