"""The audit log: events in the transaction of what they tell of."""

from __future__ import annotations

import orjson
import pytest

from relayd.control import audit
from relayd.core.actor import SHELL, SYSTEM, Actor
from relayd.core.audit import START, AuditEvent, chained
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339
from relayd.store import audit as store_audit
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.sealer import Sealer
from tests.fakes.records import START_MS

OPERATOR = Actor("acct_9", frozenset({"security", "support"}))


async def kept(db: Database) -> list[tuple[AuditEvent, bytes]]:
    async with db.reading() as transaction:
        return [each async for each in store_audit.events(transaction)]


async def test_events_are_a_chain(db: Database) -> None:
    async with db.writing() as transaction:
        assert await audit.append(
            transaction, OPERATOR, "account.suspend", "acct_1", START_MS) == 1
        assert await audit.append(transaction, SHELL, "limit.change", None, START_MS + 1,
                                  details={"name": "concurrent", "key": "key_1"}) == 2
    async with db.writing() as transaction:
        assert await audit.append(transaction, SYSTEM, "audit.prune", None, START_MS + 2) == 3
    before = START
    events = await kept(db)
    for event, hashed in events:
        before = chained(before, event)
        assert hashed == before
    assert [(event.actor, event.roles, event.via) for event, _ in events] == [
        ("acct_9", "security,support", "console"),
        (None, "finance,legal,owner,security,support", "shell"), (None, "", "system")]
    assert orjson.loads(events[1][0].details) == {"key": "key_1", "name": "concurrent"}


async def test_an_event_is_undone_with_its_change(db: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.writing() as transaction:
            await audit.append(transaction, OPERATOR, "account.suspend", "acct_1", START_MS)
            raise ZeroDivisionError
    assert await kept(db) == []


async def test_looks_need_a_reason(db: Database) -> None:
    with pytest.raises(RelayError) as caught:
        async with db.writing() as transaction:
            await audit.append(transaction, OPERATOR, "personal.look", "acct_1", START_MS)
    assert caught.value.code == "reason_missing"
    assert await kept(db) == []


async def test_a_reason_goes_with_the_key_of_whom_it_is_about(db: Database) -> None:
    await db.keyring.make("acct_1")
    async with db.writing() as transaction:
        for target in ("acct_1", None):
            await audit.append(transaction, OPERATOR, "personal.look", target, START_MS,
                               reason="Ann asked in ticket 7")
    assert [each.reason async for each in audit.listing(db)] == ["Ann asked in ticket 7"] * 2
    assert all(b"Ann" not in file.read_bytes() for file in db.directory.iterdir())
    await db.keyring.destroy("acct_1")
    async with db.writing() as transaction:
        await audit.append(transaction, OPERATOR, "personal.look", "acct_1", START_MS,
                           reason="A court's order")
    assert [each.reason async for each in audit.listing(db)] == [
        None, "Ann asked in ticket 7", "A court's order"]
    assert "Ann" not in repr([each async for each in audit.listing(db)])


async def test_a_reason_that_could_not_be_sealed_is_not_kept_under_another_key(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.keyring.make("acct_1")

    def fails(sealer: Sealer, owner: str, *rest: str) -> bytes | None:
        if owner == "acct_1":
            raise StoreError("store_master_key")
        return real(sealer, owner, *rest)

    real = Sealer.seal
    monkeypatch.setattr(Sealer, "seal", fails)
    with pytest.raises(StoreError):
        async with db.writing() as transaction:
            await audit.append(transaction, OPERATOR, "personal.look", "acct_1", START_MS,
                               reason="Ann asked in ticket 7")
    assert await kept(db) == []


async def test_the_newest_are_shown_in_parts(db: Database) -> None:
    async with db.writing() as transaction:
        for number in range(6):
            await audit.append(transaction, OPERATOR, "personal.look", f"acct_{number % 2}",
                               START_MS + number, reason=f"ticket {number}")

    async def seqs(before: int | None, target: str | None, most: int) -> list[int]:
        return [each.event.seq for each in await audit.latest(db, before, target, most)]

    assert await seqs(None, None, 9) == [6, 5, 4, 3, 2, 1]
    assert await seqs(None, None, 2) == [6, 5] and await seqs(5, None, 2) == [4, 3]
    assert await seqs(None, "acct_1", 2) == [6, 4] and await seqs(4, "acct_1", 2) == [2]
    for reasons in (False, True):
        assert [each.reason for each in await audit.latest(
            db, None, "acct_0", 9, reasons=reasons)] == (
                ["ticket 4", "ticket 2", "ticket 0"] if reasons else [None] * 3)


async def test_what_is_shown(db: Database) -> None:
    async with db.writing() as transaction:
        await audit.append(transaction, SHELL, "key.revoke", "acct_1", START_MS,
                           details={"key": "key_1"})
        await audit.append(transaction, SYSTEM, "audit.prune", None, START_MS + 5)
    shown = [audit.view(each) async for each in audit.listing(db)]
    assert shown[0] == {
        "seq": 1, "at": rfc3339(START_MS), "actor": None,
        "roles": ["finance", "legal", "owner", "security", "support"], "via": "shell",
        "action": "key.revoke", "target": "acct_1", "reason": None, "details": {"key": "key_1"},
        "hash": (await kept(db))[0][1].hex()}
    assert shown[1]["roles"] == []
    assert [each.event.seq async for each in audit.listing(db, since_ms=START_MS + 1)] == [2]
    assert [each.event.seq async for each in audit.listing(db, target="acct_1")] == [1]
