"""From signing up to the first streamed answer, as somebody does who has never been here."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from relayd.console.cookie import COOKIES
from tests.fakes.house import House
from tests.browser.visitor import Visitor
from tests.fakes.mailserver import links_in

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "quartz lantern orbit maple"


def mailed_link(house: House, address: str) -> str:
    """The link of the last mail to an address, once it has come."""
    for _ in range(100):
        mails = [mail for mail, to in zip(house.mail.mails, house.mail.recipients, strict=True)
                 if to == address]
        if mails:
            return links_in(mails[-1])[0]
        house.wait(0.1)
    raise AssertionError("no mail came")


def fill_in(visitor: Visitor, name: str) -> None:
    """The form of whoever signs up, with all that is required and nothing else."""
    page = visitor.page
    page.locator("[name=email]").fill(f"{name}@example.org")
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(PASSWORD)
    boxes = page.locator("main input[type=checkbox]")
    assert not any(box.is_checked() for box in boxes.all())
    for box in page.locator("main input[type=checkbox][required]").all():
        box.check()
    page.locator("main form button").last.click()


def streamed(snippet: str) -> list[str]:
    """What the pasted curl command gets, event by event; sent by this process."""
    found = re.search(r"curl -N (\S+)", snippet)
    key = re.search(r"Bearer (sk-relayd-\w+)", snippet)
    body = re.search(r"-d '(.*)'", snippet)
    assert found and key and body
    request = urllib.request.Request(found[1], body[1].encode(), {
        "Authorization": f"Bearer {key[1]}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return [line[6:].decode().strip() for line in answer if line.startswith(b"data: ")]


@pytest.fixture(params=("with script", "without script"))
def visitor(
    request: pytest.FixtureRequest, chromium: Browser, house: House
) -> Iterator[Visitor]:
    """Somebody new."""
    with Visitor(chromium, house, script=request.param == "with script") as made:
        yield made


def test_from_signing_up_to_the_first_streamed_answer(
    visitor: Visitor, house: House, request: pytest.FixtureRequest
) -> None:
    name = "new" if "with script" in request.node.name else "plain"
    page = visitor.page
    visitor.go("/")
    visitor.press("Sign up")
    fill_in(visitor, name)
    page.wait_for_load_state()
    visitor.shoot(f"flow-1-signed-up-{name}")

    visitor.go(mailed_link(house, f"{name}@example.org"))
    page.locator("main form button").first.click()
    visitor.expect(page).to_have_url(house.origin + "/start")
    visitor.shoot(f"flow-2-start-{name}")
    visitor.press("Make a key")
    snippet = page.locator("pre code").first.inner_text()
    visitor.shoot(f"flow-3-key-{name}")

    events = streamed(snippet)
    assert events[-1] == "[DONE]" and len(events) > 3
    assert "".join(json.loads(event)["choices"][0]["delta"].get("content") or ""
                   for event in events[:-1] if json.loads(event)["choices"])
    if name == "plain":
        house.wait(1.0)
        visitor.press("Look again")
    visitor.expect(page.locator("main")).to_contain_text("Your first call has arrived.")
    visitor.shoot(f"flow-4-seen-{name}")
    visitor.press("To the overview")
    visitor.expect(page.locator("main")).to_contain_text("Spent")
    assert visitor.faults == [] and visitor.hosts == {house.origin}


def test_another_browser_than_the_one_that_signed_up_is_asked_for_the_password(
    chromium: Browser, house: House
) -> None:
    with Visitor(chromium, house) as stranger:
        stranger.go("/sign-up")
        fill_in(stranger, "lent")
        stranger.page.wait_for_load_state()
        assert {"rd_new"} <= stranger.stored[0]
    with Visitor(chromium, house) as owner:
        page = owner.page
        owner.go(mailed_link(house, "lent@example.org"))
        owner.shoot("flow-5-another-browser")
        page.locator("[name=password]").fill("a guess of the owner")
        page.locator("main form button").first.click()
        owner.expect(page.get_by_role("alert")).to_be_visible()
        owner.shoot("flow-6-wrong-password")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("main form button").first.click()
        owner.expect(page).to_have_url(house.origin + "/start")
        assert "rd_new" not in owner.stored[0]
        assert owner.hosts == {house.origin}


def test_H2_the_browser_keeps_the_declared_cookies_and_nothing_else(
    chromium: Browser, house: House
) -> None:
    declared = {cookie.name for cookie in COOKIES}
    with Visitor(chromium, house, house.holder) as visitor:
        for path in ("/", "/overview", "/start", "/settings", "/legal/privacy", "/connect"):
            visitor.go(path)
        footer = visitor.page.locator("footer")
        footer.get_by_role("button", name="Dark").click()
        assert visitor.page.get_attribute("html", "data-theme") == "dark"
        footer.get_by_role("button", name="中文").click()
        assert visitor.page.get_attribute("html", "lang") == "zh-Hans"
        names, others = visitor.stored
        assert names == {"rd_sid", "rd_theme", "rd_lang"} <= declared
        assert others == 0 and visitor.hosts == {house.origin}


def test_K2_language_and_theme_are_remembered_without_an_account(
    chromium: Browser, house: House
) -> None:
    with Visitor(chromium, house, script=False) as visitor:
        visitor.go("/")
        visitor.page.locator("footer").get_by_role("button", name="中文").click()
        visitor.page.locator("footer").get_by_role("button", name="深色").click()
        visitor.go("/sign-in")
        assert visitor.page.get_attribute("html", "data-theme") == "dark"
        assert visitor.page.get_attribute("html", "lang") == "zh-Hans"
