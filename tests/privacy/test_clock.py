"""A clock that is a year ahead at the machine's start takes nothing from anybody."""

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
from relayd.jobs.mail import Postman
from relayd.jobs.retention import Retention
from relayd.ops import clock
from relayd.store.db import open_database
from relayd.store.record import CallFilter
from tests.fakes.daemon import Lane
from tests.fakes.records import call_record

YEAR_MS = 365 * 86_400_000


@pytest.fixture
def just_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "up_seconds", lambda: 20.0)


async def test_R1_a_year_ahead_for_a_minute(tmp_path: Path, just_started: None) -> None:
    now_ms = clock.unix_ms()
    db = await open_database(tmp_path / "store")
    await retention.note(db, "tickets", 0, now_ms)
    made = await account.create(db, "one@example.org", None, now_ms)
    other = await account.create(db, "two@example.org", None, now_ms)
    await erasure.ask(db, SHELL, made.id, Wish(), now_ms)
    await usage.post(db, [call_record(started_at_ms=now_ms, account=other.id)])
    await network.post(db, [
        NetworkRecord(now_ms, other.id, "key_1", "192.0.2.7", 1, "1.3", "x/1")])
    await db.close()
    async with Lane(tmp_path / "store") as lane:
        db = lane.app.db
        sweeps = cast(Retention, lane.app._jobs["retention"])
        erasures = cast(Erasures, lane.app._jobs["erasures"])
        with pytest.MonkeyPatch.context() as patch:
            for job in (sweeps, erasures):
                patch.setattr(job, "_now_ms", lambda: clock.unix_ms() + YEAR_MS)
            assert await sweeps.look() == 0
            assert await erasures.look() == 0
        postman = cast(Postman, lane.app._jobs["mail"])  # which gives nothing up for it
        assert not await postman._believed(clock.unix_ms() + YEAR_MS)
        assert (await account.find(db, made.id)).state == "closing"
        assert len([each async for each in usage.calls(db, CallFilter(other.id))]) == 1
        assert len(await network.own(db, other.id)) == 1
        assert f"month:{rfc3339(now_ms)[:7]}" in db.keyring.owners()
        assert '"clock_leapt"' in lane.log.getvalue()
        await sweeps.look()
        assert '"clock_believed"' in lane.log.getvalue()


@pytest.mark.parametrize("up_seconds", [20.0, 2000.0])
async def test_R1_a_start_in_another_year(
    up_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store was swept at last is known when a process starts; a machine that has been up
    for a while has the right time, and a daemon that was off for a year sweeps at once."""
    now_ms = clock.unix_ms()
    monkeypatch.setattr(clock, "up_seconds", lambda: up_seconds)
    db = await open_database(tmp_path / "store")
    await retention.note(db, "tickets", 0, now_ms - YEAR_MS)
    await usage.post(db, [call_record(started_at_ms=now_ms - YEAR_MS)])
    await db.close()
    async with Lane(tmp_path / "store") as lane:
        sweeps = cast(Retention, lane.app._jobs["retention"])
        kept = up_seconds == 20.0
        assert (await sweeps.look() == 0) is kept
        assert ('"clock_leapt"' in lane.log.getvalue()) is kept
        left = [each async for each in usage.calls(lane.app.db, CallFilter())]
        assert len(left) == (1 if kept else 0)
