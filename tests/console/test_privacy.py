"""The privacy centre: every page, the export after a proof, who looked."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import pytest

from relayd.console import texts
from relayd.control import audit, network, ticket
from relayd.control.ticket import Writing
from relayd.core.actor import Actor
from relayd.core.erasure import PARTS
from relayd.core.network import NetworkRecord
from relayd.core.portable import DOCUMENTS
from relayd.core.retention import CATEGORIES
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person
from tests.console.test_key import api, send

HOUR_MS = 3_600_000


@pytest.mark.parametrize("path", ["/privacy", "/privacy/access", "/privacy/export"])
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_page_is_shown(console: Console, path: str, language: str) -> None:
    who = await person(console.db, NOW_MS)
    answer = await console.get(f"{path}?lang={language}", cookies=who.cookies)
    text = await answer.text()
    title = {"en": "Your data", "zh": "您的数据"}[language]
    assert answer.status == 200 and title in text


async def test_Y2_the_export_is_a_zip_of_one_s_own_data(console: Console) -> None:
    who = await person(console.db, NOW_MS, name="zeisig")
    await person(console.db, NOW_MS, name="stieglitz")
    answer = await send(console, who, "/privacy/export")
    assert answer.status == 200 and answer.content_type == "application/zip"
    assert "attachment" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(await answer.read())) as archive:
        names = {name.removesuffix(".json") for name in archive.namelist()}
        whole = b"".join(archive.read(name) for name in archive.namelist())
    assert names == {"manifest", "schema", *DOCUMENTS}
    assert who.email.encode() in whole and b"stieglitz" not in whole
    status, found = await api(console, who, "GET", "/api/v1/export")
    assert status == 200 and set(DOCUMENTS) <= set(found)
    assert found["account"][0]["email"] == who.email
    events = [entry.event.action async for entry in audit.listing(
        console.db, target=who.account)]
    assert events.count("account.export") == 2


async def test_Y2_a_program_gets_the_rest_of_what_is_damaged(console: Console) -> None:
    """One value that opens no more would end every export before what comes behind it."""
    who = await person(console.db, NOW_MS)
    record = NetworkRecord(NOW_MS - 1, who.account, "key_1", "192.0.2.7", 4711, "1.3", "curl/8")
    await network.post(console.db, [record, replace(record, at_ms=NOW_MS, port=4712)])
    status, found = await api(console, who, "GET", "/api/v1/export")
    assert status == 200 and found["unread"] == []
    assert [each["port"] for each in found["network_records"]] == [4711, 4712]
    async with console.db.writing() as transaction:
        await transaction.run("UPDATE network_records SET sealed = zeroblob(length(sealed))")
    status, found = await api(console, who, "GET", "/api/v1/export")
    assert status == 200 and found["unread"] == ["network_records"]
    assert (found["network_records"], set(DOCUMENTS) <= set(found)) == ([], True)


async def test_Y2_it_takes_a_fresh_proof(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    console.now_ms += HOUR_MS
    answer = await send(console, who, "/privacy/export")
    assert answer.status == 303 and answer.headers["Location"].startswith("/prove")
    status, found = await api(console, who, "GET", "/api/v1/export")
    assert (status, found["error"]["code"]) == (403, "proof_needed")


async def test_D3_who_looked_is_shown_to_the_owner(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    made = await ticket.open_ticket(console.db, Writing(
        "question", "s", "b", account=who.account), NOW_MS)
    await ticket.look(console.db, Actor("acct_s", frozenset({"support"})), made.id, NOW_MS)
    text = await (await console.get("/privacy/access", cookies=who.cookies)).text()
    assert "A ticket was opened." in text and "support" in text
    text = await (await console.get("/privacy/access?lang=zh", cookies=who.cookies)).text()
    assert "打开了工单。" in text and "我方客服" in text and "A ticket" not in text
    status, found = await api(console, who, "GET", "/api/v1/privacy/access")
    assert status == 200 and found["access"][0]["action"] == "ticket.look"
    assert found["access"][0]["look"] is True
    assert "acct_s" not in json.dumps(found)


def test_every_document_and_every_part_has_its_words() -> None:
    known = texts.texts()
    assert {f"privacy.document_{name}" for name in DOCUMENTS} <= set(known)
    assert {f"privacy.part_{part.name}" for part in PARTS} <= set(known)
    for category in CATEGORIES:
        assert f"retention.name_{category.name}" in known
        assert f"retention.basis_{category.name}" in known
        assert f"retention.action_{category.action}" in known
