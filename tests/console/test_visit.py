"""A visit: whose it is, and what of it a form proves."""

from __future__ import annotations

import msgspec
import pytest
from aiohttp import web

from relayd.console.page import reply
from relayd.console.route import HOLDER, PUBLIC, Route
from relayd.console.visit import Visit
from relayd.store.db import Database
from tests.console.conftest import started
from tests.console.people import person


class One(msgspec.Struct):
    """What the route takes."""

    name: str = ""


class Other(msgspec.Struct):
    """What it does not take."""


async def _show(visit: Visit) -> web.StreamResponse:
    with pytest.raises(AssertionError):
        visit.take(Other)
    with pytest.raises(AssertionError):
        visit.ask(Other)
    caller = visit.caller
    return reply({"csrf": visit.csrf, "device": caller.device, "address": caller.address,
                  "via": caller.via, "taken": visit.take(One).name, "part": visit.name("part"),
                  "proved": visit.is_proved, "text": visit.t("base.sign_in")})


ROUTES = (Route("POST", "/api/v1/{part}", _show, HOLDER, "Shows.", takes=One),
          Route("POST", "/api/v1/open/{part}", _show, PUBLIC, "Shows.", takes=One))


async def test_it_knows_the_caller_and_the_session(db: Database) -> None:
    site = await started(db, ROUTES)
    ann, bob = await person(db, site.now_ms), await person(db, site.now_ms)
    agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0",
             "Accept-Language": "zh-CN"}
    found = []
    for who in (ann, bob, ann):
        response = await site.http.post(f"{site.origin}/api/v1/x", json={"name": "n"},
                                        headers={**who.bearer, **agent})
        found.append(await response.json())
    assert found[0] == found[2] and found[0]["csrf"] != found[1]["csrf"]
    assert len(found[0]["csrf"]) == 32
    assert {name: found[0][name] for name in ("device", "address", "via", "taken", "part")} == {
        "device": "Firefox on Linux", "address": "127.0.0.1", "via": "api", "taken": "n",
        "part": "x"}
    assert found[0]["proved"] and found[0]["text"] == "登录"
    await site.stop()


async def test_nobody_has_no_form_token(db: Database) -> None:
    site = await started(db, ROUTES)
    response = await site.http.post(f"{site.origin}/api/v1/open/x", json={})
    found = await response.json()
    assert found["csrf"] == "" and not found["proved"]
    await site.stop()
