"""What pages of documents, consents, notices and mail are tested with."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from aiohttp import ClientResponse

from relayd.console.document import cookie_words
from relayd.control import consent, document
from relayd.control.document import Release
from relayd.control.document_text import drafts
from relayd.core.actor import SHELL
from relayd.core.consent import REQUIRED
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person

CSRF = re.compile(r'name="csrf" value="([0-9a-f]{32})"')


async def settled(console: Console) -> None:
    """First versions of all documents."""
    await document.settle(console.db, drafts(console.config, cookie_words()), NOW_MS - 1000)


async def holder(console: Console, *more: str) -> Person:
    """Somebody who agreed to what is required, and to these items."""
    who = await person(console.db, NOW_MS - 500)
    async with console.db.writing() as transaction:
        await consent.register(
            transaction, who.account, [*REQUIRED, *more], ("en", "console"), NOW_MS - 500)
    return who


async def material(console: Console, name: str = "privacy", **changes: Any) -> None:
    """A material version, with another sentence, that is in force at once."""
    texts = {each: dict(by) for each, by in drafts(console.config, cookie_words()).items()}
    for language in texts[name]:
        texts[name][language] += "\nA new sentence.\n"
    fields: dict[str, Any] = {
        "kind": "material", "summaries": {"en": "A sentence more.", "zh": "新增一句。"},
        "effective_at_ms": 0, "gate": "keys", "items": (name,)}
    await document.publish(
        console.db, SHELL, name, texts, Release(**(fields | changes)), NOW_MS)


async def send(
    console: Console, who: Person, page: str, path: str, **fields: str
) -> ClientResponse:
    """Sends a form with the token of the page that it is on."""
    text = await (await console.get(page, cookies=who.cookies)).text()
    token = CSRF.search(text)
    assert token is not None
    return await console.post(path, {"csrf": token[1], **fields}, cookies=who.cookies)


async def text_of(console: Console, path: str, who: Person | None = None, **more: Any) -> str:
    """A page's text, which must be there."""
    answer = await console.get(path, cookies=who.cookies if who else None, **more)
    assert answer.status == 200, (path, answer.status)
    return unescape(await answer.text())


async def api(
    console: Console, who: Person | None, method: str, path: str, body: Any = None
) -> Any:
    """(status, JSON or None, headers)."""
    headers = who.bearer if who else {}
    async with console.http.request(
            method, console.origin + path, json=body, headers=headers) as answer:
        found = await answer.json() if answer.content_length else None
        return answer.status, found, answer.headers
