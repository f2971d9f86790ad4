"""Network records for operators: the role, a reason, and nothing before both."""

from __future__ import annotations

import pytest

from relayd.console import operate_network
from relayd.control import audit, network
from relayd.core.actor import Role
from relayd.core.network import NetworkRecord
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_key import api, send

PATH, API = "/operate/network", "/api/v1/operate/network"


async def seen(console: Console) -> tuple[Person, Person]:
    """An operator, and somebody who used a key."""
    who = await person(console.db, NOW_MS, "security", name="operator", two_factors=True)
    other = await person(console.db, NOW_MS, name="marker")
    await network.post(console.db, [
        NetworkRecord(NOW_MS - n, other.account, "key_1", f"203.0.113.{n}", 4711, "1.3", "curl/8")
        for n in range(3)])
    return who, other


async def looks(console: Console, account: str) -> list[tuple[str | None, str | None]]:
    return [(entry.event.actor, entry.reason)
            async for entry in audit.listing(console.db, target=account)
            if entry.event.action == "network.look"]


async def test_I2d_records_with_a_reason_that_the_holder_can_read(console: Console) -> None:
    who, other = await seen(console)
    text = await (await console.get(PATH, cookies=who.cookies)).text()
    assert "203.0.113" not in text
    for reason in ("", " "):
        answer = await send(console, who, PATH, who=other.email, reason=reason)
        assert answer.status in (400, 422) and "203.0.113" not in await answer.text()
    assert await looks(console, other.account) == []
    answer = await send(console, who, PATH, who=other.email, reason="case 7")
    text = await answer.text()
    assert answer.status == 200 and text.index("203.0.113.0") < text.index("203.0.113.2")
    assert other.email not in text
    status, shown = await api(
        console, who, "POST", API, {"who": other.account, "reason": "case 8"})
    assert status == 200 and not shown["more"]
    assert shown["records"][0] == {
        "at": "2027-01-15T08:00:00.000Z", "key": "key_1", "address": "203.0.113.0", "port": 4711,
        "tls": "1.3", "client": "curl/8"}
    assert await looks(console, other.account) == [
        (who.account, "case 7"), (who.account, "case 8")]


@pytest.mark.parametrize("role", ["support", "finance", "legal", "owner"])
async def test_I2d_other_roles_get_nothing(console: Console, role: Role) -> None:
    _, other = await seen(console)
    who = await person(console.db, NOW_MS, role, name=role, two_factors=True)
    answer = await send(console, who, PATH, who=other.email, reason="case 7")
    assert answer.status == 403 and "203.0.113" not in await answer.text()
    status, _ = await api(console, who, "POST", API, {"who": other.email, "reason": "case 7"})
    assert status == 403
    assert await looks(console, other.account) == []


async def test_nobody_and_nothing(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    who, other = await seen(console)
    answer = await send(console, who, PATH, who="nobody@example.org", reason="case 7")
    assert answer.status == 404
    status, shown = await api(
        console, who, "POST", API, {"who": who.account, "reason": "my own"})
    assert (status, shown) == (200, {"records": [], "more": False})
    monkeypatch.setattr(operate_network, "RECORDS_MAX", 2)
    _, shown = await api(console, who, "POST", API, {"who": other.account, "reason": "case 9"})
    assert len(shown["records"]) == 2 and shown["more"]
    answer = await send(console, who, PATH, who=other.account, reason="case 9")
    assert "203.0.113.2" not in await answer.text()
