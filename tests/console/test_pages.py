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


@pytest.mark.parametrize("path", [
    "/operate/accounts/{account}/terminate", "/operate/accounts/{account}/reveal",
    "/operate/network", "/operate/requests/{request}/approve", "/operators/give",
    "/operators/take", "/export", "/erasure", "/email", "/password", "/totp", "/passkeys"])
def test_what_is_sensitive_wants_a_fresh_proof(path: str) -> None:
    """A session that somebody finds open does none of it."""
    api = [route for route in pages.ROUTES if route.path == f"/api/v1{path}"]
    twins = [route for route in pages.ROUTES if route.path == path]
    asked = [route for route in (*api, *twins) if (route.method, route.path) not in (
        ("GET", "/api/v1/erasure"), ("DELETE", "/api/v1/erasure"),
        ("GET", "/api/v1/passkeys"))]
    assert api and all(route.proof for route in asked)


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
