"""Language and theme: chosen without signing in, kept by cookies that say so."""

from __future__ import annotations

import re
from html import unescape
from http.cookies import SimpleCookie

import pytest
from yarl import URL

from relayd.console.preference import local
from tests.console.conftest import Console


async def test_K2_a_choice_is_kept_without_signing_in(console: Console) -> None:
    response = await console.post(
        "/preferences", {"language": "zh", "theme": "dark", "next": "/x"})
    assert (response.status, response.headers["Location"]) == (303, "/x")
    page = await (await console.get("/nowhere")).text()
    assert 'lang="zh-Hans"' in page and 'data-theme="dark"' in page


@pytest.mark.parametrize("asked, back", [
    ("/reset?token=a-b_c", "/reset?token=a-b_c"),
    ("/sign-in?next=%2Fkeys%3Fx%3D1&lang=zh", "/sign-in?next=/keys?x%3D1"),
    ("/sign-in?lang=zh", "/sign-in"), ("/legal/privacy", "/legal/privacy"),
    ("/nowhere?x=%22%3E%3Cimg%3E", "/nowhere?x=%22%3E%3Cimg%3E")])
async def test_a_choice_leads_back_to_the_page_with_its_token(
    console: Console, asked: str, back: str
) -> None:
    """Whoever followed a mailed link and would rather read Chinese still has the link's token."""
    page = await (await console.get(asked)).text()
    [again] = set(re.findall(r'name="next" value="([^"]*)"', page.partition("preferences")[2]))
    assert URL(unescape(again), encoded=True) == URL(back, encoded=True)
    response = await console.post("/preferences", {"language": "zh", "next": unescape(again)})
    assert response.headers["Location"] == unescape(again)


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
