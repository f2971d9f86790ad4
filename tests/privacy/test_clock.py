"""A clock that is a year ahead, at a start or later, takes nothing from anybody."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from relayd.control import account, erasure, network, retention, usage
from relayd.control.erasure import Wish
from relayd.core.actor import SHELL
from relayd.core.network import NetworkRecord
from relayd.core.timestamp import rfc3339
from relayd.jobs.erasure import Erasures
from relayd.jobs.retention import Retention
from relayd.ops import clock
from relayd.store.db import open_database
from relayd.store.record import CallFilter
from tests.fakes.daemon import Lane
from tests.fakes.records import call_record

YEAR_MS = 365 * 86_400_000


async def test_R1_a_year_ahead_for_a_minute(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        db, now_ms = lane.app.db, clock.unix_ms()
        made = await account.create(db, "one@example.org", None, now_ms)
        other = await account.create(db, "two@example.org", None, now_ms)
        await erasure.ask(db, SHELL, made.id, Wish(), now_ms)
        await usage.post(db, [call_record(started_at_ms=now_ms, account=other.id)])
        await network.post(db, [
            NetworkRecord(now_ms, other.id, "key_1", "192.0.2.7", 1, "1.3", "x/1")])
        sweeps = cast(Retention, lane.app._jobs["retention"])
        erasures = cast(Erasures, lane.app._jobs["erasures"])
        await sweeps.sweep()
        with pytest.MonkeyPatch.context() as patch:
            for job in (sweeps, erasures):
                patch.setattr(job, "_now_ms", lambda: clock.unix_ms() + YEAR_MS)
            assert await sweeps.sweep() == 0
            assert await erasures.turn() == 0
        assert (await account.find(db, made.id)).state == "closing"
        assert len([each async for each in usage.calls(db, CallFilter(other.id))]) == 1
        assert len(await network.own(db, other.id)) == 1
        assert f"month:{rfc3339(now_ms)[:7]}" in db.keyring.owners()
        assert '"clock_leapt"' in lane.log.getvalue()
        await sweeps.sweep()
        assert '"clock_believed"' in lane.log.getvalue()


async def test_R1_a_start_in_another_year(tmp_path: Path) -> None:
    """What the store was swept at last is known when a process starts."""
    now_ms = clock.unix_ms()
    db = await open_database(tmp_path / "store")
    await retention.note(db, "tickets", 0, now_ms - YEAR_MS)
    await usage.post(db, [call_record(started_at_ms=now_ms - YEAR_MS)])
    await db.close()
    async with Lane(tmp_path / "store") as lane:
        sweeps = cast(Retention, lane.app._jobs["retention"])
        assert await sweeps.sweep() == 0
        assert '"clock_leapt"' in lane.log.getvalue()
        assert len([each async for each in usage.calls(lane.app.db, CallFilter())]) == 1
