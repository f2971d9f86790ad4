"""The job of network records: what is noted is stored, and kept while the store fails."""

from __future__ import annotations

import asyncio
import io
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from relayd.control import network as control_network
from relayd.core.network import NetworkRecord
from relayd.core.timestamp import DAY_MS
from relayd.jobs import network as network_module
from relayd.jobs.network import Network
from relayd.ops.logging import Logger
from relayd.relay.network import NetworkLog
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.network import month_owner

NOW = 1_763_000_000_000


def records(count: int) -> list[NetworkRecord]:
    return [NetworkRecord(NOW + n, "acct_1", "key_1", "192.0.2.7", 4711, "1.3", "curl/8")
            for n in range(count)]


async def test_all_is_stored_and_prefixes_are_counted(db: Database) -> None:
    memory = NetworkLog()
    job = Network(db, memory)
    made = records(control_network.BATCH_RECORDS * 2 + 1)
    memory.give_back(list(made))
    assert await job.flush() and len(memory) == 0
    assert job.prefixes.counts(NOW) == {"key_1": 1}
    assert await control_network.own(db, "acct_1") == made[::-1]


async def test_it_runs_until_it_is_stopped(db: Database) -> None:
    memory = NetworkLog()
    job = Network(db, memory, every_seconds=0.01)
    memory.give_back(records(1))
    running = asyncio.ensure_future(job.run())
    async with asyncio.timeout(3):
        while not await control_network.own(db, "acct_1"):
            await asyncio.sleep(0.01)
    memory.give_back(records(1))
    await job.stop()
    await running
    assert len(await control_network.own(db, "acct_1")) == 2


async def test_what_the_store_does_not_take_is_kept(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, out = NetworkLog(), io.StringIO()
    job = Network(db, memory, log=Logger("info", out))
    made = records(control_network.BATCH_RECORDS + 5)
    memory.give_back(list(made))
    real, calls = control_network.post, 0

    async def fails_once_begun(db: Database, batch: list[NetworkRecord]) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise StoreError("store_busy")
        return await real(db, batch)

    monkeypatch.setattr(control_network, "post", fails_once_begun)
    assert not await job.flush() and len(memory) == 5
    assert '"event":"network_records_failed"' in out.getvalue()
    assert "192.0.2.7" not in out.getvalue()
    assert await job.flush()
    assert out.getvalue().count('"event":"network_records_taken"') == 1
    assert await control_network.own(db, "acct_1") == made[::-1]


async def test_a_month_s_damaged_key_keeps_no_other_month_waiting(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module, "HELD_MAX", 3)
    memory, out = NetworkLog(), io.StringIO()
    job = Network(db, memory, log=Logger("info", out))
    damaged = records(5)
    later = [replace(each, at_ms=each.at_ms + 31 * DAY_MS) for each in records(4)]
    await db.keyring.make(month_owner(NOW))
    with closing(sqlite3.connect(db.directory / "keys.db", isolation_level=None)) as other:
        other.execute("UPDATE data_keys SET wrapped = zeroblob(length(wrapped))")
    real, tried = control_network.post, []

    async def noted(db: Database, batch: list[NetworkRecord]) -> int:
        tried.append(month_owner(batch[0].at_ms))
        return await real(db, batch)

    monkeypatch.setattr(control_network, "post", noted)
    memory.give_back([damaged[0], later[0], *damaged[1:], *later[1:]])
    assert not await job.flush()
    of_later = month_owner(later[0].at_ms)
    assert sorted(tried) == [month_owner(NOW), of_later, of_later]  # not again once it failed
    assert await control_network.own(db, "acct_1") == later[::-1]
    assert memory.take() == damaged[-3:] and memory.lost == 2
    assert '"network_records_failed","code":"seal_broken","records":3' in out.getvalue()


async def test_what_finds_no_room_is_counted(db: Database) -> None:
    memory, out = NetworkLog(records_max=2), io.StringIO()
    job = Network(db, memory, log=Logger("info", out))
    memory.give_back(records(5))
    assert await job.flush() and await job.flush()
    assert out.getvalue().count('"event":"network_records_lost","lost":3') == 1
    for _ in range(3):  # within the minute
        memory.give_back(records(5))
        assert await job.flush()
    assert out.getvalue().count("network_records_lost") == 1
    await job.stop()
    assert out.getvalue().count('"event":"network_records_lost","lost":9') == 1
