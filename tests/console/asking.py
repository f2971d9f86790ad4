"""Sends a page's form as a browser does: with the token of the page that it stands on."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import ClientResponse

from tests.console.conftest import Console
from tests.console.people import Person

CSRF = re.compile(r'name="csrf" value="([0-9a-f]{32})"')


async def send(
    console: Console, who: Person, where: str, path: str, /, **fields: str
) -> ClientResponse:
    page = await console.get(where, cookies=who.cookies)
    token = CSRF.search(await page.text())
    assert token is not None
    return await console.post(path, {"csrf": token[1], **fields}, cookies=who.cookies)


async def api(
    console: Console, who: Person, method: str, path: str, body: Any = None
) -> tuple[int, Any]:
    async with console.http.request(
            method, console.origin + path, json=body, headers=who.bearer) as answer:
        return answer.status, await answer.json()


async def text(console: Console, who: Person, path: str) -> str:
    answer = await console.get(path, cookies=who.cookies)
    assert answer.status == 200
    return await answer.text()
