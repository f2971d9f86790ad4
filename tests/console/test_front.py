"""The first page is for everybody; who is signed in is led on."""

from __future__ import annotations

from dataclasses import replace

from relayd.ops.config import ConsoleConfig
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person


async def test_who_is_signed_in_is_led_on(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    answer = await console.get("/", cookies=who.cookies)
    assert (answer.status, answer.headers["Location"]) == (303, "/overview")


async def test_signing_up_is_offered_where_it_is_open(console: Console) -> None:
    text = await (await console.get("/")).text()
    assert "/sign-in" in text and "/sign-up" not in text
    console.config = replace(console.config, console=ConsoleConfig(registration="open"))
    assert 'href="/sign-up"' in await (await console.get("/")).text()
