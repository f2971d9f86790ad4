"""The route table as a whole: who may use what is said for every route."""

from __future__ import annotations

import inspect
import re
from collections import Counter

import pytest

from relayd.console import pages
from relayd.console.frame import Item
from relayd.console.route import Access, Route
from relayd.console.texts import texts
from relayd.core.actor import ROLES


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", pages.ROUTES, ids=named)
def test_D3_every_route_says_who_may_use_it(route: Route) -> None:
    assert isinstance(route.access, Access)
    assert route.access.kind in ("public", "holder", "operator")
    assert (route.access.kind == "operator") == bool(route.access.roles)
    assert route.access.roles <= set(ROLES)


@pytest.mark.parametrize("route", pages.ROUTES, ids=named)
def test_every_route_is_whole(route: Route) -> None:
    assert route.path.startswith("/") and route.summary
    assert inspect.iscoroutinefunction(route.handler)
    # what changes something is never asked for with GET
    assert route.method != "GET" or route.takes is None
    # forms know two methods
    assert route.is_api or route.method in ("GET", "POST")
    names = set(re.findall(r"\{([a-z_]+)\}", route.path))
    assert set(route.example) <= names
    if route.method == "GET" and not route.is_api:
        assert set(route.example) == names, "tests visit every page: give an example"


SENSITIVE = (
    r"(GET|POST) (/privacy)?/export", r"POST (/privacy)?/(erase|erasure)",
    r"(GET|POST|PUT) (/settings)?/(email|password)", r"\w+ (/settings)?/totp(/.*)?",
    r"(\w+ /settings/passkeys/.*|(POST|DELETE) /passkeys(/.*)?)",
    r"POST /operate/accounts/{account}/(terminate|reveal)", r"\w+ /operate/network",
    r"POST /operate/requests/{request}/approve", r"POST (/operate)?/operators/(give|take)",
    r"POST /operate/credit/(grants|grants/{grant}/end|codes)", r"(POST|PUT) /operate/credit/lines",
    r"POST /operate/(orders/{order}/refunds?|months|invoices/{invoice}/void)",
    r"POST /operate/fapiao/{fapiao}/(red|reverse)")
"""Methods and paths of pages and of the API, whose prefix is left out."""


@pytest.mark.parametrize("pattern", SENSITIVE)
def test_what_is_sensitive_wants_a_fresh_proof(pattern: str) -> None:
    """A session that somebody finds open does none of it, by a page or by the API; of an
    operator's own factors nothing without the one that they have."""
    asked = [route for route in pages.ROUTES if re.fullmatch(
        pattern, f"{route.method} {route.path.removeprefix('/api/v1')}")
        and named(route) != "GET /privacy/export"]  # the page of its form
    assert {route.is_api for route in asked} == {True, False}
    assert [named(route) for route in asked if not route.proof] == []
    assert all(route.factors for route in asked if re.search("totp|passkeys", route.path))


CHANGES = {
    "accounts": "support security legal", "accounts/{account}/suspend": "support security",
    "accounts/{account}/resume": "support security",
    "accounts/{account}/terminate": "security legal", "alarms": "finance", "credit": "finance",
    "enterprises": "finance", "fapiao": "finance", "invoices": "finance", "mail": "owner support",
    "mails": "owner support", "months": "finance", "network": "security", "notices": "legal owner",
    "operators": "owner", "orders": "finance", "requests": "legal owner",
    "tickets": "support legal owner"}
"""Who changes something at these paths and below; docs/console.md says so too."""


def place(route: Route) -> str:
    return route.path.removeprefix("/api/v1").removeprefix("/operate").removeprefix("/")


@pytest.mark.parametrize(
    "route", [route for route in pages.ROUTES if route.access.kind == "operator"], ids=named)
def test_D3_operators_do_what_is_their_roles_alone(route: Route) -> None:
    path = place(route)
    area = path.partition("/")[0]
    if route.method != "GET":
        assert route.access.roles == set(CHANGES.get(path, CHANGES[area]).split())
        return
    page = {"mails": "mail", "months": "invoices"}.get(area, area)
    [item] = [item for item in pages.MENU if item.path == f"/operate/{page}"]
    assert route.access.roles <= item.access.roles


def test_no_route_is_there_twice() -> None:
    counted = Counter((route.method, route.path) for route in pages.ROUTES)
    assert [key for key, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("item", [*pages.MENU, *pages.FOOTER], ids=lambda item: item.path)
def test_links_lead_to_pages_that_the_visitor_may_open(item: Item) -> None:
    assert item.text in texts()
    found = [route for route in pages.ROUTES if route.method == "GET" and re.fullmatch(
        re.sub(r"\{[a-z_]+\}", "[^/]+", route.path), item.path)]
    assert len(found) >= 1
    assert any(route.access == item.access for route in found)


def test_every_page_is_at_one_place_of_the_menu() -> None:
    found = {route.path: [item.path for item in pages.MENU if item.holds(route.path)]
             for route in pages.ROUTES
             if route.method == "GET" and route.access.kind != "public"
             and not route.path.startswith("/api/")}
    # before all else: a second factor, an agreement
    assert [path for path, held in found.items() if not held] == ["/prove", "/agree"]
    assert [path for path, held in found.items() if len(held) > 1] == []


def test_the_menu_marks_where_a_page_belongs() -> None:
    item = Item("/balance", "money.balance", others=("/orders",))
    assert all(map(item.holds, ("/balance", "/balance/alerts", "/orders/ord_1")))
    assert not any(map(item.holds, ("/", "/balances", "/orderly", "/operate/orders")))
