"""Credit and codes on a page and for programs: a code counts once, and is in no answer."""

from __future__ import annotations

import pytest

from relayd.control import grant
from relayd.control.grant import Credit
from relayd.core.actor import SHELL
from tests.console.asking import api, send, text
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person


async def code(console: Console) -> str:
    made = await grant.make_code(
        console.db, Credit(5 * 10 ** 9, "USD"), 2, 30, NOW_MS, SHELL)
    return made.text


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_code_by_pages(console: Console, language: str) -> None:
    who, given = await person(console.db, NOW_MS), await code(console)
    await text(console, who, f"/credit?lang={language}")
    answer = await send(console, who, "/credit", "/credit", code=f" {given} ")
    assert (answer.status, answer.headers["Location"]) == (303, "/credit")
    shown = await text(console, who, f"/credit?lang={language}")
    assert "5.00 USD" in shown and given not in shown
    again = await send(console, who, "/credit", "/credit", code=given)
    said = await again.text()
    assert again.status == 404 and given not in said
    assert "was redeemed by this account" in said


async def test_for_programs(console: Console) -> None:
    who, given = await person(console.db, NOW_MS), await code(console)
    status, made = await api(console, who, "POST", "/api/v1/credit", {"code": given})
    assert status == 201 and (made["amount"], made["left"], made["source"]) == (
        "5.00", "5.00", "code")
    assert await api(console, who, "GET", "/api/v1/credit") == (200, [made])
    for wrong in (given, "relayd-" + "0" * 22, "x", ""):
        status, said = await api(console, who, "POST", "/api/v1/credit", {"code": wrong})
        assert (status, said["error"]["code"]) == (404, "code_not_usable")
    other = await person(console.db, NOW_MS, name="other")
    assert await api(console, other, "GET", "/api/v1/credit") == (200, [])
    assert (await api(console, other, "POST", "/api/v1/credit", {"code": given}))[0] == 201
