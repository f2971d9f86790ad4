"""Roles by the pages of whoever has the role owner; the matrix of roles and endpoints."""

from __future__ import annotations

import re

import pytest
from aiohttp import ClientSession

from relayd.console import pages
from relayd.console.route import Route
from relayd.core.actor import ROLES
from tests.console.conftest import Console
from tests.console.people import Person, person
from tests.fakes import standing

API = [route for route in pages.ROUTES if route.is_api and route.access.kind == "operator"]
EXAMPLES = re.compile(r"\{[a-z_]+\}")


async def call(console: Console, who: Person, method: str, path: str, body: object = None) -> int:
    async with ClientSession() as http, http.request(
            method, console.origin + path, json=body, headers=who.bearer) as answer:
        await answer.read()
        return answer.status


async def owner(console: Console) -> Person:
    return await person(console.db, console.now_ms, "owner", name="owner", two_factors=True)


async def test_given_listed_and_taken(console: Console) -> None:
    boss = await owner(console)
    other = await person(console.db, console.now_ms, name="other")
    order = {"account": other.email, "role": "support"}
    assert await call(console, boss, "POST", "/api/v1/operators/give", order) == 200
    async with ClientSession(cookies=boss.cookies) as http:
        async with http.get(console.origin + "/operate/operators") as answer:
            shown = await answer.text()
    assert other.account in shown and "o***@e***" in shown and other.email not in shown
    assert re.search(r'name="account"[^>]* value=""', shown), "nobody is named yet"
    assert await call(console, boss, "POST", "/api/v1/operators/take", order) == 200
    # whoever lost it is signed out
    assert await call(console, other, "GET", "/api/v1/account") == 401
    mine = {"account": boss.account, "role": "legal"}
    assert await call(console, boss, "POST", "/api/v1/operators/give", mine) == 403
    nobody = {"account": "nobody@example.org", "role": "legal"}
    assert await call(console, boss, "POST", "/api/v1/operators/give", nobody) == 404


async def test_by_the_form(console: Console) -> None:
    boss = await owner(console)
    other = await person(console.db, console.now_ms, name="other")
    async with ClientSession(cookies=boss.cookies) as http:
        async with http.get(console.origin + "/operate/operators") as answer:
            csrf = (await answer.text()).partition('name="csrf" value="')[2].partition('"')[0]
        for path, who, status in (("give", other.account, 303), ("give", "acct_x", 404),
                                  ("take", other.account, 303), ("take", boss.account, 403)):
            fields = {"csrf": csrf, "account": who, "role": "legal"}
            async with http.post(f"{console.origin}/operate/operators/{path}", data=fields,
                                 headers={"Origin": console.origin},
                                 allow_redirects=False) as answer:
                assert answer.status == status


@pytest.mark.parametrize("route", API, ids=lambda route: f"{route.method} {route.path}")
async def test_D3_each_role_opens_its_own_endpoints_alone(
        console: Console, route: Route) -> None:
    path = EXAMPLES.sub("x", route.path)
    people = {role: await person(console.db, console.now_ms, role, name=role, two_factors=True)
              for role in ROLES}
    holder = await person(console.db, console.now_ms, name="holder")
    for role in ROLES:
        status = await call(console, people[role], route.method, path, {})
        assert (status == 403) != (role in route.access.roles), (role, status)
    assert await call(console, holder, route.method, path, {}) == 403


@pytest.mark.parametrize("role", ROLES)
async def test_D3_without_a_second_factor_no_operator_s_page_opens(
        console: Console, role: str) -> None:
    who = await person(console.db, console.now_ms, role, name="op")  # type: ignore[arg-type]
    for route in API:
        path = EXAMPLES.sub("x", route.path)
        assert await call(console, who, route.method, path, {}) == 403


async def test_a_suspended_operator_opens_nothing(console: Console) -> None:
    who = await person(console.db, console.now_ms, *ROLES, name="op", two_factors=True)
    assert await call(console, who, "GET", "/api/v1/operators") == 200
    await standing.move(console.db, who.account, "suspend", console.now_ms)
    assert await call(console, who, "GET", "/api/v1/operators") == 409
    assert await call(console, who, "GET", "/api/v1/account") == 200
