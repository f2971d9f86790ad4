"""Network records: who may look, what the owner learns of it, and when they are gone."""

from __future__ import annotations

import pytest

from relayd.control import account, audit, network
from relayd.core.actor import SHELL, Actor, Role
from relayd.core.errors import RelayError
from relayd.core.network import NetworkRecord
from relayd.store.db import Database
from relayd.store.directory import StoreError

NOW = 1_763_000_000_000  # 2025-11-13
DAY_MS = 86_400_000
SECURITY = Actor("acct_officer", frozenset[Role]({"security"}))


def record(owner: str, at_ms: int = NOW, address: str = "192.0.2.7") -> NetworkRecord:
    return NetworkRecord(at_ms, owner, "key_1", address, 4711, "1.3", "openai-python/3")


async def someone(db: Database, email: str = "someone@example.com") -> str:
    return (await account.create(db, email, None, NOW)).id


async def test_what_is_posted_is_there_for_its_owner(db: Database) -> None:
    one, two = await someone(db), await someone(db, "two@example.com")
    made = [record(one), record(one, NOW + 1, "2001:db8::7")]
    assert await network.post(db, [*made, record(two)]) == 3
    assert await network.own(db, one) == made[::-1]
    assert network.view(made[0]) == {
        "at": "2025-11-13T02:13:20.000Z", "key": "key_1", "address": "192.0.2.7", "port": 4711,
        "tls": "1.3", "client": "openai-python/3"}


async def test_I2d_a_look_takes_the_role_and_a_reason(db: Database) -> None:
    one = await someone(db)
    await network.post(db, [record(one)])
    for role in ("support", "finance", "legal", "owner"):
        actor = Actor("acct_x", frozenset[Role]({role}))  # type: ignore[arg-type]
        with pytest.raises(RelayError) as caught:
            await network.look(db, actor, one, "curious", NOW)
        assert caught.value.code == "role_needed" and caught.value.status == 403
    with pytest.raises(RelayError) as caught:
        await network.look(db, SECURITY, one, " ", NOW)
    assert caught.value.code == "reason_missing"
    events = [entry async for entry in audit.listing(db, target=one)
              if entry.event.action == "network.look"]
    assert events == []


async def test_I2d_the_owner_sees_who_looked_and_why(db: Database) -> None:
    one = await someone(db)
    await network.post(db, [record(one)])
    assert await network.look(db, SECURITY, one, "case 7", NOW) == [record(one)]
    [entry] = [entry async for entry in audit.listing(db, target=one)
               if entry.event.action == "network.look"]
    assert (entry.event.actor, entry.reason) == ("acct_officer", "case 7")
    await network.post(db, [record(one, NOW + n) for n in (1, 2)])
    found = await network.look(db, SHELL, "someone@example.com", "case 8", NOW, most=2)
    assert [each.at_ms for each in found] == [NOW + 2, NOW + 1]


async def test_R1_records_go_with_their_term_and_not_before(db: Database) -> None:
    one = await someone(db)
    old, young = record(one), record(one, NOW + DAY_MS)
    await network.post(db, [old, young])
    assert await network.sweep_batch(db, NOW) == 0
    assert await network.sweep_batch(db, NOW + 1) == 1
    assert await network.own(db, one) == [young]


async def test_I2d_a_month_s_key_goes_when_all_of_it_is_old(db: Database) -> None:
    one = await someone(db)
    await network.post(db, [record(one)])
    async with db.reading() as transaction:
        row = await transaction.row("SELECT id, sealed FROM network_records")
    assert row is not None
    end_ms = 1_764_547_200_000  # 2025-12-01
    assert await network.destroy_months(db, end_ms - 1) == []
    assert await network.own(db, one) == [record(one)]
    assert await network.destroy_months(db, end_ms) == ["2025-11"]
    assert await network.destroy_months(db, end_ms) == []
    async with db.reading() as transaction:  # as a backup has it
        with pytest.raises(StoreError) as caught:
            transaction.unseal("month:2025-11", "network_records", "sealed", *row)
    assert caught.value.code == "data_key_gone"
    assert await network.own(db, one) == []
    assert await someone(db, "later@example.com")  # accounts' keys are others


async def test_one_of_a_month_whose_key_is_destroyed_keeps_none_waiting(db: Database) -> None:
    one = await someone(db)
    old_ms = NOW - 400 * DAY_MS
    assert await network.post(db, [record(one, old_ms)]) == 1
    assert await network.destroy_months(db, NOW - 200 * DAY_MS) == ["2024-10"]
    assert await network.sweep_batch(db, NOW - 200 * DAY_MS) == 1
    # a clock that is behind, and set right again
    assert await network.post(db, [record(one, old_ms), record(one)]) == 1
    assert await network.post(db, [record(one, old_ms)]) == 0
    assert [each.at_ms for each in await network.own(db, one)] == [NOW]
