"""Every page of the route table, in both languages and both themes, as a browser shows it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from relayd.console import pages
from relayd.console.route import Route
from relayd.control import key, ticket, usage
from relayd.control.key import KeyWish
from relayd.control.ticket import Writing
from relayd.core.call import Place
from relayd.ops.clock import unix_ms
from tests.fakes.house import House
from tests.fakes.records import call_record
from tests.browser.visitor import Theme, Visitor, Windows
from tests.console.people import Person

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# what is no page: files to take away, pictures, and texts for programs
NO_PAGE = re.compile(r"/export$|/pdf$|/file/|\.(?:svg|txt|json|csv|zip|png)$|^/\.well-known/")
ROUTES = [route for route in pages.ROUTES
          if route.method == "GET" and not route.is_api and not NO_PAGE.search(route.path)]


THEMES: tuple[Theme, ...] = ("light", "dark")
NARROW = 320
"""CSS pixels: what is left of a telephone, or of a screen at 400 percent (WCAG 1.4.10)."""
FORMS = """[...document.querySelectorAll("main form")].map(
  (form) => form.querySelector("button:not([type=button])") !== null)"""


def words(text: str) -> list[str]:
    """Words without their figures: those change while one looks."""
    return re.findall(r"[A-Za-z]+", text)


def path_of(route: Route, house: House) -> str:
    """The route's path with things in it that are there, where the house has some."""
    path = route.path.format(**{**route.example, **house.examples})
    return path + house.queries.get(route.path, "")


def names_what_is_not_there(route: Route, house: House) -> bool:
    """Whether the page can only say that there is none: an example's id, a token of no mail."""
    asked = getattr(route.asks, "__struct_fields__", ())
    return bool(set(route.example) - set(house.examples)) or bool(
        {"token", "ticket"} & set(asked) and route.path not in house.queries)


def who_opens(route: Route, house: House) -> Person | None:
    """Somebody who may."""
    return {"public": None, "holder": house.holder}.get(route.access.kind, house.operator)


@pytest.mark.parametrize("language", ("en", "zh"))
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_it_is_shown_without_a_fault_in_both_themes(
    windows: Windows, house: House, route: Route, language: str
) -> None:
    with windows.of(who_opens(route, house), language=language) as visitor:
        visitor.turn("light")
        status = visitor.go(path_of(route, house))
        judged = {}
        for theme in THEMES:
            visitor.turn(theme)
            visitor.shoot(route.path)
            judged[theme] = visitor.judged()
        if status in (404, 410) and names_what_is_not_there(route, house):
            visitor.faults = [fault for fault in visitor.faults if str(status) not in fault]
        else:
            assert status == 200
        assert visitor.faults == []
        assert visitor.hosts == {house.origin}
        assert visitor.page.get_attribute("html", "lang") == (
            "zh-Hans" if language == "zh" else "en")
        assert visitor.page.locator("main h1").count() == 1
        assert judged == {theme: [] for theme in THEMES}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_it_fits_a_telephone_and_needs_no_script(
    windows: Windows, house: House, route: Route
) -> None:
    who = who_opens(route, house)
    with windows.of(who, width=NARROW) as visitor:
        visitor.go(path_of(route, house))
        wide = visitor.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= NARROW
        scripted = visitor.page.locator("main").inner_text()
        forms = visitor.page.evaluate(FORMS)
    with windows.of(who, width=NARROW, script=False) as visitor:
        visitor.go(path_of(route, house))
        plain = visitor.page.locator("main").inner_text()
        # what a script adds are buttons that copy; passkeys are of script alone
        if "passkey" not in scripted.lower():
            assert set(words(scripted)) - set(words(plain)) <= {"Copy"}
            assert all(forms), "each form can be sent by a button of its own"


@pytest.mark.parametrize("path", ["/keys/{key}", "/privacy/tickets/{ticket}",
                                  "/calls/{place}", "/overview", "/keys"])
def test_a_word_without_an_end_makes_no_page_wider(
    chromium: Browser, house: House, path: str
) -> None:
    """An address that somebody pastes into a ticket, a name of a model, of a key."""
    who = house.run(house.newcomer("words" + re.sub(r"\W", "", path)))
    now_ms, word = unix_ms(), "W" * 200
    issued = house.run(key.create(
        house.app.db, who.account, KeyWish(word[:60], word[:60]), now_ms))
    record = call_record(account=who.account, key=issued.key.id, app=word[:60], model=word[:100],
                         started_at_ms=now_ms)
    house.run(usage.post(house.app.db, [record]))
    opened = house.run(ticket.open_ticket(
        house.app.db, Writing("question", word, word * 9, account=who.account), now_ms))
    things = {"key": issued.key.id, "ticket": opened.id,
              "place": Place(now_ms, record.id).text()}
    with Visitor(chromium, house, who, width=NARROW) as visitor:
        assert visitor.go(path.format_map(things)) == 200
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= NARROW
