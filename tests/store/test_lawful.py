"""Lawful requests as rows: who asks is sealed, and the two people are not one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.errors import RelayError
from relayd.core.lawful import LawfulRequest
from relayd.store import lawful
from relayd.store.db import Database
from relayd.store.directory import StoreError

REQUEST = LawfulRequest(
    "req_1", "acct_1", "regulator", "open", "Zeisig Office", "Z 1/26", "ab" * 32,
    ("profile", "keys"), 0, 100, "acct_a", 5, 1000)


async def kept(db: Database) -> None:
    async with db.writing() as transaction:
        await lawful.insert(transaction, REQUEST, 2031)


async def test_what_is_kept_comes_back_and_is_sealed(db: Database) -> None:
    await kept(db)
    async with db.reading() as transaction:
        assert await lawful.get(transaction, "req_1") == REQUEST
        assert await lawful.listing(transaction) == [REQUEST]
        row = await transaction.row("SELECT authority, reference FROM legal_requests")
        with pytest.raises(RelayError):
            await lawful.get(transaction, "req_2")
    assert row is not None and b"Zeisig" not in row[0] and b"Z 1/26" not in row[1]


async def test_S3_the_store_itself_refuses_one_person_and_unapproved_files(db: Database) -> None:
    await kept(db)
    for wrong in (replace(REQUEST, state="approved", approver="acct_a"),
                  replace(REQUEST, state="produced", produced_sha256="ab" * 32),
                  replace(REQUEST, state="produced", approver="acct_b")):
        with pytest.raises(StoreError) as caught:
            async with db.writing() as transaction:
                await lawful.update(transaction, wrong)
        assert caught.value.code == "store_refused"


async def test_what_is_due(db: Database) -> None:
    await kept(db)
    produced = replace(
        REQUEST, state="produced", approver="acct_b", decided_at_ms=6, produced_at_ms=7,
        produced="{}", produced_sha256="ab" * 32)
    async with db.writing() as transaction:
        assert await lawful.expiring(transaction, 999) == []
        assert await lawful.expiring(transaction, 1000) == [REQUEST]
        await lawful.update(transaction, produced)
        assert await lawful.untold(transaction, 7) == [produced]
        assert await lawful.told(transaction, "acct_1") == frozenset()
        # the file stays until its owner knows of it, however long they may not
        assert await lawful.delete_before(transaction, 8, 9) == 0
        await lawful.update(transaction, replace(produced, notified_at_ms=8))
        assert await lawful.untold(transaction, 9) == []
        assert await lawful.told(transaction, "acct_1") == {"req_1"}
        assert await lawful.counts(transaction) == [("regulator", "produced", 1)]
        assert await lawful.delete_before(transaction, 7, 9) == 0
        assert await lawful.delete_before(transaction, 8, 9) == 1


async def test_one_request_s_decision_is_no_other_s(db: Database) -> None:
    others = [replace(REQUEST, id=f"req_{number}", account=f"acct_{number}") for number in (2, 3)]
    produced = replace(
        REQUEST, state="produced", approver="acct_b", decided_at_ms=6, produced_at_ms=7,
        produced="{}", produced_sha256="ab" * 32, gag_until_ms=None)
    async with db.writing() as transaction:
        for each in (REQUEST, *others):
            await lawful.insert(transaction, each, 2031)
        await lawful.update(transaction, produced)
        assert await lawful.listing(transaction) == [*reversed(others), produced]
        refused = replace(others[0], state="refused", decided_at_ms=8)
        gagged = replace(produced, id="req_3", account="acct_3", decided_at_ms=9)
        await lawful.update(transaction, refused)
        await lawful.update(transaction, gagged)
        assert await lawful.listing(transaction) == [gagged, refused, produced]
        assert await lawful.untold(transaction, 7) == [produced, gagged]
        assert await lawful.expiring(transaction, 5000) == []
        await lawful.update(transaction, replace(gagged, notified_at_ms=9))
        assert await lawful.told(transaction, "acct_3") == {"req_3"}
        assert await lawful.told(transaction, "acct_1") == frozenset()
        assert await lawful.counts(transaction) == [
            ("regulator", "produced", 2), ("regulator", "refused", 1)]
        # what was refused has nothing to be known of
        assert await lawful.delete_before(transaction, 10, 9) == 2
        assert await lawful.listing(transaction) == [produced]
