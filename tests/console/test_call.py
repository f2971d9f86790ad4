"""Calls of one's own: pages, filters, files and JSON say the same, and hold no other's."""

from __future__ import annotations

import csv
import io
import re
import secrets

import msgspec
import pytest

from relayd.console.call import NAMES, Calls
from relayd.control import call, key, usage
from relayd.control.usage import view
from relayd.core.call import Place
from relayd.core.record import CallRecord
from relayd.core.timestamp import HOUR_MS
from relayd.core.ulid import RANDOM_BYTES, ulid
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.fakes.records import call_record


async def busy(console: Console, count: int = 120) -> tuple[Person, list[CallRecord]]:
    """A holder with so many calls, the newest first, and somebody else with some."""
    who, other = await person(console.db, NOW_MS), await person(console.db, NOW_MS)
    issued = await key.create(console.db, who.account, key.KeyWish("laptop"), NOW_MS)
    records = [
        call_record(account=who.account, key=issued.key.id, started_at_ms=NOW_MS - n * 60_000,
                    id=ulid(NOW_MS - n, secrets.token_bytes(RANDOM_BYTES)),
                    model=f"model-{n % 3}", outcome=("completed", "refused")[n % 4 == 0],
                    amount_nano=n * 10 ** 7) for n in range(count)]
    await usage.post(console.db, records)
    await usage.post(console.db, [call_record(
        account=other.account, started_at_ms=NOW_MS, model="marker", provider="marker")])
    return who, records


async def test_pages_lead_through_all_calls(console: Console) -> None:
    who, records = await busy(console)
    found: list[str] = []
    path: str | None = "/calls?span=24h"
    while path:
        text = await (await console.get(path, cookies=who.cookies)).text()
        assert "marker" not in text and "laptop" in text
        found += re.findall(r'href="/calls/[0-9a-f]+_(\w{26})"', text)
        older = re.search(r'href="(/calls\?[^"]*before=[^"]*)"', text)
        path = older[1].replace("&amp;", "&") if older else None
    assert found == [record.id for record in records]


@pytest.mark.parametrize(("query", "field", "value"), (
    ("model=model-1", "model", "model-1"), ("outcome=refused", "outcome", "refused")))
async def test_filters_are_kept_in_links_and_files(
    console: Console, query: str, field: str, value: str
) -> None:
    who, records = await busy(console)
    wanted = [record.id for record in records if getattr(record, field) == value]
    text = await (await console.get(f"/calls?span=24h&{query}", cookies=who.cookies)).text()
    assert re.findall(r'href="/calls/[0-9a-f]+_(\w{26})"', text) == wanted[:50]
    assert f'<option value="{value}" selected>' in text
    file = re.search(r'href="(/calls/export\?[^"]*format=csv)"', text)
    assert file is not None
    answer = await console.get(file[1].replace("&amp;", "&"), cookies=who.cookies)
    rows = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["id"] for row in rows] == wanted


async def test_files_hold_every_field_of_every_call(console: Console) -> None:
    who, records = await busy(console, 450)
    answer = await console.get("/calls/export?span=7d&format=json", cookies=who.cookies)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="calls-7d.jsonl"'
    found = [msgspec.json.decode(line) for line in (await answer.read()).splitlines()]
    assert [{**each, "place": None} for each in found] == [
        {"place": None, **view(record)} for record in records]
    answer = await console.get("/calls/export?span=7d&format=csv", cookies=who.cookies)
    rows = list(csv.reader(io.StringIO(await answer.text())))
    assert tuple(rows[0]) == NAMES and len(rows) == 451


async def test_a_program_gets_pages(console: Console) -> None:
    who, records = await busy(console)
    found: list[str] = []
    more = ""
    while True:
        answer = await console.get(f"/api/v1/calls?limit=50&since=30d{more}", headers=who.bearer)
        page = msgspec.json.decode(await answer.read(), type=Calls)
        found += [each.id for each in page.calls]
        if page.next is None:
            break
        more = f"&before={page.next}"
    assert found == [record.id for record in records]
    answer = await console.get(f"/api/v1/calls?since={3600}s&until=30m&limit=0",
                               headers=who.bearer)
    [one] = msgspec.json.decode(await answer.read(), type=Calls).calls
    assert one.id == records[31].id


async def test_a_page_has_a_bound_whatever_is_asked_for(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "PAGE_CALLS_MAX", 2)
    who, records = await busy(console, 3)
    answer = await console.get("/api/v1/calls?limit=1000000&since=30d", headers=who.bearer)
    page = msgspec.json.decode(await answer.read(), type=Calls)
    assert [each.id for each in page.calls] == [record.id for record in records[:2]]
    assert page.next is not None


async def test_one_call(console: Console) -> None:
    who, records = await busy(console, 3)
    place = Place(records[1].started_at_ms, records[1].id).text()
    text = await (await console.get(f"/calls/{place}", cookies=who.cookies)).text()
    assert "laptop" in text and "$0.0100" in text and records[1].id in text
    answer = await console.get(f"/api/v1/calls/{place}", headers=who.bearer)
    assert (await answer.json())["id"] == records[1].id
    other = await person(console.db, NOW_MS)
    for path, status in ((place, 404), ("nonsense", 400)):
        assert (await console.get(f"/calls/{path}", cookies=other.cookies)).status == status
        assert (await console.get(f"/api/v1/calls/{path}", headers=other.bearer)).status == status


@pytest.mark.parametrize(("query", "code"), (
    ("since=soon", "invalid_time"), ("until=1x", "invalid_time"), ("before=x", "invalid_value"),
    ("limit=x", "invalid_form"), ("span=7d", "invalid_form")))
async def test_what_cannot_be_asked(console: Console, query: str, code: str) -> None:
    who = await person(console.db, NOW_MS)
    answer = await console.get(f"/api/v1/calls?{query}", headers=who.bearer)
    assert (await answer.json())["error"]["code"] == code


async def test_hours_without_such_calls_are_not_the_end(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    await usage.post(console.db, [
        call_record(account=who.account, started_at_ms=NOW_MS - n * HOUR_MS,
                    outcome="refused" if n == 99 else "completed") for n in range(100)])
    text = await (await console.get(
        "/calls?span=30d&outcome=refused", cookies=who.cookies)).text()
    assert 'class="empty"' in text and "before=" in text
