"""Cookies: those of the table, and no others."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from aiohttp import web

from relayd.console import cookie
from relayd.console.texts import texts


@pytest.mark.parametrize("row", cookie.COOKIES, ids=lambda row: row.name)
def test_K4_every_cookie_says_what_it_is_for(row: cookie.Cookie) -> None:
    assert row.purpose in texts()
    assert row.name.startswith("rd_")


@pytest.mark.parametrize("secure", [True, False])
def test_the_session_is_out_of_reach_of_scripts(secure: bool) -> None:
    response = web.Response()
    cookie.put(response, cookie.SESSION, "rs_x", secure)
    name = "__Host-rd_sid" if secure else "rd_sid"
    morsel = response.cookies[name]
    assert morsel["httponly"] and bool(morsel["secure"]) == secure
    assert (morsel["samesite"], morsel["path"], morsel["domain"]) == ("Lax", "/", "")
    cookie.drop(response, cookie.SESSION, secure)
    assert response.cookies[name]["max-age"] == "0"


def test_nothing_else_sets_cookies() -> None:
    folder = resources.files("relayd")
    found = [path.name for path in folder.rglob("*.py")  # type: ignore[attr-defined]
             if re.search(r"\bset_cookie\(|Set-Cookie\"\]", path.read_text("utf-8"))]
    assert found == ["cookie.py"]
