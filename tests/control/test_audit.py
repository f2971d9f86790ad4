"""The audit log: events in the transaction of what they tell of."""

from __future__ import annotations

import orjson
import pytest

from relayd.control import audit
from relayd.core.actor import SHELL, SYSTEM, Actor
from relayd.core.audit import START, AuditEvent, chained
from relayd.core.errors import RelayError
from relayd.store import audit as store_audit
from relayd.store.db import Database
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
