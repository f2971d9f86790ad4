"""The job that flags exposed keys: what the store does not take is kept for the next time."""

from __future__ import annotations

import asyncio
import io

import pytest

from relayd.control import account, exposure, key
from relayd.core.exposure import Exposure
from relayd.jobs.exposure import Exposures
from relayd.ops.logging import Logger
from relayd.relay.clear import ClearKeys
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.records import START_MS


async def test_it_flags_and_tries_again(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await account.create(db, "ann@example.org", None, START_MS)
    made = (await key.create(db, owner.id, key.KeyWish("mine"), START_MS)).key
    memory, out = ClearKeys(), io.StringIO()
    job = Exposures(db, memory, lambda: "https://c.example", every_seconds=0.01,
                    log=Logger("info", out))
    await job.flag()
    seen = Exposure(made.id, owner.id, START_MS)
    memory.give_back([seen])

    async def fails(*_: object) -> int:
        raise StoreError("store_busy")

    with monkeypatch.context() as patch:
        patch.setattr(exposure, "flag", fails)
        await job.flag()
    assert '"exposure_failed","code":"store_busy","count":1' in out.getvalue()
    running = asyncio.ensure_future(job.run())
    async with asyncio.timeout(5):
        while "keys_exposed" not in out.getvalue():
            await asyncio.sleep(0.01)
    await job.stop()
    await running
    assert memory.take() == [] and await exposure.usable(db, owner.id, START_MS) == [made.hint]


async def test_what_is_left_is_flagged_at_the_end_and_nothing_is_said_of_nothing(
    db: Database,
) -> None:
    owner = await account.create(db, "ann@example.org", None, START_MS)
    made = (await key.create(db, owner.id, key.KeyWish("mine"), START_MS)).key
    memory, out = ClearKeys(), io.StringIO()
    job = Exposures(db, memory, lambda: "https://c.example", log=Logger("info", out))
    for _ in range(2):  # the second time it is flagged already
        memory.give_back([Exposure(made.id, owner.id, START_MS)])
        await job.stop()
    await job.flag()
    assert memory.take() == [] and out.getvalue().count('"event"') == 1
    assert '"event":"keys_exposed","keys":1' in out.getvalue()
