"""The audit log, page by page, without the words of reasons."""

from __future__ import annotations

import re

import msgspec
import pytest

from relayd.console.operate_audit import PAGE_EVENTS, Events
from relayd.control import audit
from relayd.core.actor import SYSTEM, Actor
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person


async def test_pages_lead_through_the_whole_log(console: Console) -> None:
    who = await person(console.db, NOW_MS, "security", two_factors=True)
    other = await person(console.db, NOW_MS)
    async with console.db.writing() as transaction:
        for n in range(2 * PAGE_EVENTS):
            await audit.append(transaction, SYSTEM, "retention.sweep", None, NOW_MS + n,
                               details={"rows": n})
        await audit.append(
            transaction, Actor(who.account, frozenset({"security"})), "network.look",
            other.account, NOW_MS, reason="secret words")
    every = [entry async for entry in audit.listing(console.db)]
    found: list[int] = []
    path: str | None = "/operate/audit"
    while path:
        text = await (await console.get(path, cookies=who.cookies)).text()
        assert "secret words" not in text
        found += [int(seq) for seq in re.findall(r'class="number">(\d+)</th>', text)]
        older = re.search(r'href="(/operate/audit\?before=\d+)"', text)
        path = older[1] if older else None
    assert found == [entry.event.seq for entry in reversed(every)]

    text = await (await console.get(
        f"/operate/audit?account={other.account}", cookies=who.cookies)).text()
    assert "network.look" in text and "has a reason" in text and "retention.sweep" not in text
    answer = await console.get("/api/v1/operate/audit", headers=who.bearer)
    page = msgspec.json.decode(await answer.read(), type=Events)
    assert page.events[0].action == "network.look" and page.events[0].has_reason
    assert page.events[0].hash == every[-1].hash.hex()
    assert len(page.events) == PAGE_EVENTS and page.next == page.events[-1].seq


@pytest.mark.parametrize("before", ("0", "-5", str(1 << 70), "1"))
async def test_any_number_is_a_place(console: Console, before: str) -> None:
    who = await person(console.db, NOW_MS, "owner", two_factors=True)
    answer = await console.get(f"/api/v1/operate/audit?before={before}", headers=who.bearer)
    assert answer.status in (200, 422)
    answer = await console.get(f"/operate/audit?before={before}", cookies=who.cookies)
    assert answer.status in (200, 422)
