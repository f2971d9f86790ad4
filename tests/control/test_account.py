"""Use cases on accounts: each bumps the policy version, and erasing reaches the disk."""

from __future__ import annotations

import json

import pytest

from relayd.control import account, audit, key, usage
from relayd.control.key import KeyWish
from relayd.control.publish import load, policy_version
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.key import digest
from relayd.store.db import Database
from relayd.store.secret import pepper
from tests.fakes import standing
from tests.fakes.erased import erase
from tests.fakes.records import START_MS, call_record

EMAIL = "Canary.Person@example.org"


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_create_and_list(db: Database) -> None:
    before = await policy_version(db)
    made = await account.create(db, f" {EMAIL} ", "Ann", START_MS)
    assert made.email == EMAIL and made.state == "active" and made.id.startswith("acct_")
    other = await account.create(db, "bob@example.org", None, START_MS + 1)
    assert await account.listing(db) == [made, other]
    assert await account.find(db, EMAIL.upper()) == await account.find(db, made.id) == made
    assert await policy_version(db) == before + 2


async def test_what_cannot_be_created(db: Database) -> None:
    await account.create(db, EMAIL, None, START_MS)
    before = await policy_version(db)
    assert await refused(account.create(db, EMAIL.lower(), None, START_MS)) == "email_taken"
    assert await refused(account.create(db, "nobody", None, START_MS)) == "invalid_email"
    assert await refused(account.create(db, "a@b", "\n", START_MS)) == "invalid_value"
    assert len(await account.listing(db)) == 1 and await policy_version(db) == before


async def test_the_address_of_one_that_can_be_read_no_more_is_taken(db: Database) -> None:
    lost = await account.create(db, EMAIL, None, START_MS)
    await db.keyring.destroy(lost.id)
    with pytest.raises(RelayError) as caught:
        await account.create(db, EMAIL.lower(), None, START_MS)
    assert caught.value.code == "email_taken" and lost.id in caught.value.detail
    await erase(db, EMAIL, START_MS + 1)
    await account.create(db, EMAIL, None, START_MS + 2)


async def test_suspend_and_resume_reach_the_snapshot(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    issued = await key.create(db, made.id, KeyWish("laptop"), START_MS)
    hashed = digest(pepper(db.secret), issued.text.encode())
    assert not (await load(db)).keys[hashed].suspended
    assert (await standing.move(db, EMAIL, "suspend", START_MS)).state == "suspended"
    assert (await load(db)).keys[hashed].suspended
    assert (await standing.move(db, made.id, "resume", START_MS)).state == "active"
    assert not (await load(db)).keys[hashed].suspended


@pytest.mark.parametrize("who", ["acct_nobody", "nobody@example.org", "", "'; DROP TABLE x"])
async def test_nobody_is_not_found(db: Database, who: str) -> None:
    assert await refused(account.find(db, who)) == "account_not_found"
    assert await refused(standing.move(db, who, "suspend", START_MS)) == "account_not_found"


async def test_export_is_all_that_is_kept_and_no_hash(db: Database) -> None:
    made = await account.create(db, EMAIL, "Ann", START_MS)
    issued = await key.create(db, made.id, KeyWish("laptop"), START_MS)
    records = [call_record(account=made.id, key=issued.key.id) for _ in range(3)]
    await usage.post(db, [*records, call_record(account="acct_other")])
    text = b"".join([piece async for piece in account.export(db, EMAIL, START_MS)])
    exported = json.loads(text)
    assert exported["account"].pop("limits")["concurrent"] is None
    assert exported["keys"][0].pop("limits")["concurrent"] is None
    assert exported["account"] == account.view(made)
    assert exported["keys"] == [key.view(issued.key, START_MS)]
    assert exported["call_records"] == [usage.view(record) for record in records]
    assert issued.text not in text.decode() and "digest" not in text.decode()


async def test_export_without_calls_is_still_json(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    text = b"".join([piece async for piece in account.export(db, made.id, START_MS)])
    assert json.loads(text)["call_records"] == []


async def test_what_is_done_is_in_the_audit_log(db: Database) -> None:
    operator = Actor("acct_9", frozenset({"support"}))
    made = await account.create(db, EMAIL, None, START_MS)
    for step in ("suspend", "suspend", "resume"):
        await standing.move(
            db, made.id, step, START_MS + 1, operator, "Because of ticket 7")
    await erase(db, made.id, START_MS + 1)
    found = [(each.event.action, each.event.actor, each.event.target, each.reason)
             async for each in audit.listing(db)]
    # the reasons went with the account's key
    assert found == [("account.create", None, made.id, None),
                     ("account.suspend", "acct_9", made.id, None),
                     ("account.resume", "acct_9", made.id, None),
                     ("account.close", None, made.id, None),
                     ("account.erase", None, made.id, None)]
    with pytest.raises(RelayError):
        await standing.move(db, made.id, "resume", START_MS + 2, operator)
    assert len([each async for each in audit.listing(db)]) == 5
