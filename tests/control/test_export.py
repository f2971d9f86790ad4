"""The export: everything about oneself, nothing of others, in documents that fit their schema."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import jsonschema
import pytest

from relayd.control import account, audit, erasure, export, key, ticket, usage
from relayd.control.erasure import Wish
from relayd.control.key import KeyWish
from relayd.control.ticket import Writing
from relayd.core.actor import SHELL, Actor
from relayd.core.errors import RelayError
from relayd.core.portable import DOCUMENTS
from relayd.store.db import Database
from tests.fakes.person import make_person
from tests.fakes.records import START_MS, call_record


async def exported(
    db: Database, who: str, now_ms: int = START_MS + 999_999
) -> dict[str, Any]:
    data = b"".join([piece async for piece in export.export(db, SHELL, who, now_ms)])
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name.removesuffix(".json"): json.loads(archive.read(name))
                for name in archive.namelist()}


async def test_Y2_everything_that_is_kept_and_it_fits_the_schema(db: Database) -> None:
    who = await make_person(db)
    await erasure.ask(db, Actor(who), who, Wish(), START_MS)
    found = await exported(db, who)
    assert set(found) == {"manifest", "schema", *DOCUMENTS}
    for name in DOCUMENTS:
        jsonschema.validate(found[name], found["schema"]["$defs"][name])
    [profile] = found["account"]
    assert (profile["email"], profile["name"]) == ("Zeisig.Person@example.org", "Zeisig Name")
    assert [each["app"] for each in found["calls"]] == ["zeisig-app"] * 3
    assert found["keys"][0]["name"] == "zeisig-laptop"
    assert found["tickets"][0]["messages"][0]["body"] == "Kanarienvogel"
    assert {each["item"] for each in found["consents"]} == {"terms", "privacy"}
    assert [each["state"] for each in found["orders"]] == ["disputed", "pending", "credited"]
    assert found["erasures"][0]["state"] == "cooling"
    assert found["totals"][0]["calls"] == 3
    assert {each["kind"] for each in found["letters"]} == {"ticket_received", "erasure_asked"}


async def test_what_is_of_this_very_moment_is_in_it(db: Database) -> None:
    who = await make_person(db)
    for now_ms, there in ((START_MS - 1, 0), (START_MS, 3)):
        found = await exported(db, who, now_ms)
        assert len(found["orders"]) == there


async def test_nothing_of_anybody_else_and_nothing_secret(db: Database) -> None:
    who = await make_person(db)
    other = await account.create(db, "Other.Canard@example.org", "Canard", START_MS)
    issued = await key.create(db, other.id, KeyWish("canard-key", app="canard"), START_MS)
    await usage.post(db, [call_record(account=other.id, key=issued.key.id, app="canard")])
    await ticket.open_ticket(db, Writing(
        "question", "canard", "canard", account=other.id), START_MS)
    text = json.dumps(await exported(db, who)).lower()
    assert "canard" not in text and other.id.lower() not in text and "digest" not in text


async def test_D3_who_looked_is_in_it_and_so_is_the_export_itself(db: Database) -> None:
    who = await make_person(db)
    support = Actor("acct_support", frozenset({"support"}))
    [mine] = await ticket.of_account(db, who)
    await ticket.look(db, support, mine.id, START_MS)
    found = (await exported(db, who))["access"]
    looks = [(each["action"], each["by"]) for each in found if each["look"]]
    assert looks == [("ticket.look", "support")]
    assert found[-1]["action"] == "account.export"
    events = [entry.event.action async for entry in audit.listing(db, target=who)]
    assert events.count("account.export") == 1


async def test_it_is_written_as_it_is_read(db: Database) -> None:
    made = await account.create(db, "many@example.org", None, START_MS)
    records = [call_record(account=made.id, model=f"model-{n * n * 7919 % 99991}")
               for n in range(20_000)]
    await usage.post(db, records)
    end_ms = records[-1].started_at_ms + 1
    sizes = [len(piece) async for piece in export.export(db, SHELL, made.id, end_ms)]
    assert len(sizes) > 3 and max(sizes) < 3 * export.PIECE_BYTES


async def test_nobody_is_refused_before_the_first_byte(db: Database) -> None:
    with pytest.raises(RelayError) as caught:
        await anext(export.export(db, SHELL, "nobody@example.org", START_MS))
    assert caught.value.code == "account_not_found"
