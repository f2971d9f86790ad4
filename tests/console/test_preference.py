"""Language and theme: chosen without signing in, kept by cookies that say so."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest

from relayd.console.preference import local
from tests.console.conftest import Console


async def test_K2_a_choice_is_kept_without_signing_in(console: Console) -> None:
    response = await console.post(
        "/preferences", {"language": "zh", "theme": "dark", "next": "/x"})
    assert (response.status, response.headers["Location"]) == (303, "/x")
    page = await (await console.get("/nowhere")).text()
    assert 'lang="zh-Hans"' in page and 'data-theme="dark"' in page


async def test_K1_the_cookies_are_for_this_host_and_a_year(console: Console) -> None:
    response = await console.post("/preferences", {"language": "zh"})
    found = SimpleCookie(response.headers["Set-Cookie"])["rd_lang"]
    assert (found["samesite"], found["path"], found["max-age"]) == ("Lax", "/", "31536000")
    assert not found["domain"]


async def test_without_a_choice_the_browser_decides(console: Console) -> None:
    page = await (await console.get("/nowhere", headers={"Accept-Language": "zh-CN"})).text()
    assert 'lang="zh-Hans"' in page and 'data-theme="auto"' in page


@pytest.mark.parametrize("path, expected", [
    ("/keys?x=1", "/keys?x=1"), ("//evil.example", "/"), ("/\\evil.example", "/"), ("", "/"),
    ("https://evil.example", "/"), ("/a\r\nSet-Cookie: x", "/"), ("javascript:alert(1)", "/"),
])
def test_it_leads_back_to_this_console_alone(path: str, expected: str) -> None:
    assert local(path) == expected
