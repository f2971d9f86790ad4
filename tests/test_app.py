"""The composition root: the order of start and stop, readiness, and that no record is lost."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trustme

from relayd import app as app_module
from relayd import app_jobs
from relayd.app import App
from relayd.control import account, key, usage
from relayd.core.plan import Plan
from relayd.core.price import Price, PriceBook, unit_prices
from relayd.core.route import Deployment, Route
from relayd.jobs import flush as flush_module
from relayd.jobs.retention import Retention
from relayd.ops.clock import unix_ms
from relayd.ops.config import LogConfig, StoreConfig, TlsFiles
from relayd.ops.logging import Logger
from relayd.store import journal_segment
from relayd.store.db import FILE_NAME, Database, open_database
from relayd.store.directory import StoreError
from relayd.store.journal_files import Files
from relayd.store.journal_frame import CLOSE, OPEN, frame
from relayd.store.journal_lane import claim, lane_directory, lanes, lock_store
from relayd.store.transaction import Transaction
from tests.fakes.daemon import Lane, config, issue, records
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer
from tests.fakes.records import call_record
from tests.fakes.stepped import EVENTS, chunk, stepped
from tests.http.play import BODY, STREAM, TARGET
from tests.store.test_journal_replay import opening_of

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
Look = Callable[[Database], AbstractAsyncContextManager[Transaction]]
READYZ = b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"


async def figures(lane: Lane) -> dict[str, float]:
    reply = await ask(lane.app.ops_address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    lines = [line for line in reply.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def test_healthz_says_what_runs(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        reply = await ask(lane.app.ops_address, READYZ.replace(b"readyz", b"healthz"))
    assert json.loads(reply.body) == {
        "live": True, "ready": True, "reason": "ok", "version": app_module.__version__}


async def test_who_was_erased_before_a_restore_that_was_killed_is_erased_at_the_start(
    tmp_path: Path,
) -> None:
    await issue(tmp_path / "store", "erased@example.com")
    db = await open_database(tmp_path / "store")
    try:
        who = await account.find(db, "erased@example.com")
        await db.keyring.destroy(who.id)  # as after an erasure that the restored copy has not
    finally:
        await db.close()
    async with Lane(tmp_path / "store") as lane:
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
    db = await open_database(tmp_path / "store")
    try:
        assert (await account.find(db, who.id)).state == "erased"
    finally:
        await db.close()


async def test_it_serves_and_is_ready(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        assert (await ask(lane.app.ops_address, READYZ)).status == 200
        for _ in range(3):
            assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        await lane.settled(3)
        found = await figures(lane)
        assert found["relayd_calls_in_flight"] == found["relayd_lost_records_total"] == 0
        started = [line for line in lane.log.getvalue().splitlines() if '"started"' in line]
        assert len(started) == 1 and '"port":%d' % lane.address[1] in started[0]
    assert '"stopped"' in lane.log.getvalue()


async def test_an_idle_relay_leaves_its_store_alone_and_takes_what_changes_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def counted(look: Look) -> Look:
        def counting(db: Database) -> AbstractAsyncContextManager[Transaction]:
            nonlocal asked
            asked += 1
            return look(db)

        return counting

    async with Lane(tmp_path / "store") as lane:
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        await asyncio.sleep(3.0)  # what begins with the relay looks twice
        for name in ("reading", "watching"):
            monkeypatch.setattr(Database, name, counted(getattr(Database, name)))
        await asyncio.sleep(1.5)
        assert asked <= 4  # documents may look for a second time now
        other = await open_database(lane.store)
        try:
            await key.revoke(other, lane.key, unix_ms())
        finally:
            await other.close()
        async with asyncio.timeout(1):
            while (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status != 401:
                await asyncio.sleep(0.02)
        assert asked > 0


async def test_records_of_the_last_moment_are_stored(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        for _ in range(20):
            await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert len(await records(lane.store)) == 20


async def test_records_go_when_their_days_are_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for the minute after which a daemon begins."""
    monkeypatch.setattr(app_jobs, "Retention", partial(Retention, first_seconds=0.1))
    async with Lane(tmp_path / "store") as lane:
        now_ms, day_ms = unix_ms(), 86_400_000
        kept = [call_record(started_at_ms=now_ms - days * day_ms) for days in (1, 189)]
        gone = [call_record(started_at_ms=now_ms - days * day_ms) for days in (191, 2000)]
        await usage.post(lane.app.db, [*kept, *gone])
        async with asyncio.timeout(10):
            while '"swept"' not in lane.log.getvalue():
                await asyncio.sleep(0.05)
    assert {each.id for each in await records(lane.store)} == {each.id for each in kept}


async def test_drain_waits_for_what_is_running(tmp_path: Path) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(EVENTS + chunk(EVENT))
        await asyncio.sleep(0.5)
        writer.write(chunk(b"data: [DONE]\n\n") + chunk(b""))
        await reader.read()

    async with stepped(slowly) as address, Lane(
        tmp_path / "store", provider_changes={"address": address}
    ) as lane, RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, STREAM))
        await client.reader.readuntil(b"\r\n\r\n")
        assert (await figures(lane))["relayd_draining"] == 0
        stopping = asyncio.gather(lane.app.stop())
        await asyncio.sleep(0.1)
        reply = await ask(lane.app.ops_address, READYZ)
        assert reply.status == 503 and b"draining" in reply.body
        assert (await figures(lane))["relayd_draining"] == 1
        with pytest.raises(OSError):
            await asyncio.open_connection(*lane.address)
        assert (await client.reader.read()).endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
        await stopping
        assert [r.outcome for r in await records(lane.store)] == ["completed"]


@pytest.mark.parametrize("hurried", [False, True])
async def test_drain_seconds(tmp_path: Path, hurried: bool) -> None:
    async with Lane(tmp_path / "store", lambda _: Answer(EVENTS + chunk(EVENT), after="hold"),
                    server={"drain_seconds": 60.0 if hurried else 0.2}) as lane:
        async with RawClient(lane.address) as client:
            await client.send(request_bytes(TARGET, lane.key, STREAM))
            await client.reader.readuntil(b"\r\n\r\n")
            if hurried:
                lane.app.hurry = lambda: True
            await asyncio.wait_for(lane.app.stop(), 20)
            rest = await client.reader.read()
            assert not rest.endswith(b"0\r\n\r\n")
    [record] = await records(lane.store)
    assert (record.outcome, record.error) == ("interrupted", "draining")


async def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        taken = "127.0.0.1:%d" % lane.address[1]
        for changes in ({"server": {"listen": (taken,)}}, {"ops_listen": taken}):
            app = App(config(tmp_path / "other", 1, **changes), logger=Logger("error"))
            with pytest.raises(OSError):
                await app.start()
            await app.stop()
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200


@pytest.mark.parametrize("empty", [False, True])
async def test_a_store_whose_database_is_gone_is_not_made_anew_in_silence(
    tmp_path: Path, empty: bool
) -> None:
    async with Lane(tmp_path / "store") as lane:
        assert "store_made_anew" not in lane.log.getvalue()
    for file in (tmp_path / "store").glob("relayd.db*"):
        file.unlink()
    if empty:
        (tmp_path / "store" / "relayd.db").touch(mode=0o600)
    log = io.StringIO()
    app = App(config(tmp_path / "store", 1), logger=Logger("info", log))
    await app.start()
    await app.stop()
    assert '"level":"warning","event":"store_made_anew"' in log.getvalue()


async def test_a_store_that_is_new_is_told(tmp_path: Path) -> None:
    """As where the disk with all accounts is not mounted."""
    log = io.StringIO()
    for _ in range(2):
        app = App(config(tmp_path / "store", 1), logger=Logger("info", log))
        await app.start()
        await app.stop()
    assert log.getvalue().count('"store_made"') == 1
    assert "store_made_anew" not in log.getvalue()


async def test_a_store_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    app = App(config(tmp_path / "store", 1), logger=Logger("error"))
    with pytest.raises(StoreError):
        await app.start()
    await app.stop()


async def test_two_relays_on_one_store(tmp_path: Path) -> None:
    shared = StoreConfig(str(tmp_path / "store"), shared=True)
    async with Lane(tmp_path / "store", store=shared) as lane:
        other = App(config(tmp_path / "store", lane.upstream.port, store=shared),
                    logger=Logger("error"))
        await other.start()
        try:
            raw = request_bytes(TARGET, lane.key, BODY)
            for address in (lane.address, other.address):
                assert (await ask(address, raw)).status == 200
            assert len(await lane.settled(2)) == 2
        finally:
            await other.stop()
    assert lanes(tmp_path / "store") == [0, 1]


@pytest.mark.parametrize("first, second", [(False, False), (False, True), (True, False)])
async def test_a_store_that_is_not_shared_is_served_by_one(
    tmp_path: Path, first: bool, second: bool
) -> None:
    path = str(tmp_path / "store")
    async with Lane(tmp_path / "store", store=StoreConfig(path, shared=first)) as lane:
        other = App(config(tmp_path / "store", 1, store=StoreConfig(path, shared=second)),
                    logger=Logger("error"))
        with pytest.raises(StoreError) as caught:
            await other.start()
        await other.stop()
        assert caught.value.code == "store_in_use" and "shared = true" in caught.value.kind.message
        # commands go on, and so does the first
        await issue(tmp_path / "store", "another@example.com")
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
    lock_store(tmp_path / "store", shared=second).release()  # it is free again


async def test_the_journal_is_empty_when_all_is_stored(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        folder = lane_directory(lane.store, 0)
        assert len(journal_segment.paths(folder)) == 1
        await lane.settled(1)
        found = await figures(lane)
        assert found["relayd_journal_segments"] == 1 and found["relayd_journal_bytes"] > 200
        assert found["relayd_oldest_unflushed_seconds"] == 0
    assert journal_segment.paths(folder) == []
    assert '"recovered"' not in lane.log.getvalue()


@pytest.mark.parametrize("limit", ["records", "bytes"])
async def test_a_journal_that_is_full_refuses_calls_before_they_are_sent(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unusable(files: Files) -> bool:
        return False

    small = 1024 * 1024
    async with Lane(tmp_path / "store", store=StoreConfig(
            str(tmp_path / "store"), journal_bytes_max=small)) as lane:
        raw = request_bytes(TARGET, lane.key, BODY)
        assert (await ask(lane.address, raw)).status == 200
        journal = lane.app._journal
        assert journal is not None
        if limit == "bytes":
            journal._files.full = True
        else:
            # its own task may be about to look
            monkeypatch.setattr(Files, "usable", unusable)
            journal._stuck = True
        sent = lane.upstream.requests
        count = len(sent)
        reply = await ask(lane.address, raw)
        assert reply.status == 503 and reply.value(b"retry-after") == b"2"
        assert len(sent) == count
        ready = await ask(lane.app.ops_address, READYZ)
        assert ready.status == 503 and b"journal" in ready.body
        name = 'relayd_requests_refused_total{api="openai",error="journal_full"}'
        assert (await figures(lane))[name] == 1
        if limit == "bytes":
            journal._files._plan()
        else:
            monkeypatch.undo()
            await journal.work()
        assert (await ask(lane.address, raw)).status == 200
    assert [record.outcome for record in await records(lane.store)] == ["completed"] * 2


async def test_a_store_that_is_locked_stops_no_call(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        raw = request_bytes(TARGET, lane.key, BODY)
        await ask(lane.address, raw)
        other = sqlite3.connect(lane.store / FILE_NAME, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        began = asyncio.get_running_loop().time()
        count = 1
        while asyncio.get_running_loop().time() - began < 2.0:
            assert (await ask(lane.address, raw)).status == 200
            count += 1
        assert (await figures(lane))["relayd_unflushed_records"] > 0
        other.execute("ROLLBACK")
        other.close()
    found = await records(lane.store)
    assert len({record.id for record in found}) == len(found) == count


async def test_a_store_that_was_moved_takes_no_call_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flush_module, "PROBE_SECONDS", 0.0)
    away = tmp_path / "away"
    async with Lane(tmp_path / "store") as lane:
        raw = request_bytes(TARGET, lane.key, BODY)
        assert (await ask(lane.address, raw)).status == 200
        lane.store.rename(away)
        await until_readyz(lane, b"store\n")
        assert (await ask(lane.address, raw)).status == 503
        assert (await figures(lane))["relayd_ready"] == 0
        assert '"code":"store_moved"' in lane.log.getvalue()
        assert not lane.store.exists()
        away.rename(lane.store)
        await until_readyz(lane, b"ok\n")
        assert (await ask(lane.address, raw)).status == 200
    assert not lane.app.unsaved
    assert [each.outcome for each in await records(lane.store)] == ["completed"] * 2


async def test_a_database_that_was_deleted_takes_no_record_of_which_the_journal_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes to a deleted file is lost: calls stay in the journal for the next start."""
    monkeypatch.setattr(flush_module, "PROBE_SECONDS", 0.0)
    async with Lane(tmp_path / "store") as lane:
        raw = request_bytes(TARGET, lane.key, BODY)
        assert (await ask(lane.address, raw)).status == 200
        await lane.settled(1)
        (lane.store / FILE_NAME).rename(tmp_path / "away")
        await until_readyz(lane, b"store\n")
        assert (await ask(lane.address, raw)).status == 200
    assert not lane.app.unsaved and '"records_left"' in lane.log.getvalue()
    (tmp_path / "away").rename(lane.store / FILE_NAME)
    async with Lane(lane.store, email="another@example.com"):
        assert len(await records(lane.store)) == 2


async def until_readyz(lane: Lane, body: bytes) -> None:
    async with asyncio.timeout(15):
        while (await ask(lane.app.ops_address, READYZ)).body != body:
            await asyncio.sleep(0.02)


async def test_what_a_dead_daemon_left_is_recovered_before_anything_is_served(
    tmp_path: Path,
) -> None:
    store = tmp_path / "store"
    await issue(store, "another@example.com")
    done, left = call_record(), call_record()
    (owned,) = claim(store)
    data = [frame(1, OPEN, msgspec.msgpack.encode(opening_of(left))),
            frame(2, CLOSE, msgspec.msgpack.encode(done)), b"torn"]
    (owned.directory / "000000000001.journal").write_bytes(b"".join(data))
    owned.release()
    async with Lane(store) as lane:
        assert [r.outcome for r in await lane.settled(2)] == ["completed", "interrupted"]
        assert (await figures(lane))["relayd_journal_torn_bytes_total"] == 4
        (line,) = [json.loads(line) for line in lane.log.getvalue().splitlines()
                   if '"recovered"' in line]
    assert (line["replayed"], line["interrupted"], line["torn_bytes"], line["level"]) == (
        1, 1, 4, "warning")
    assert line["seconds"] >= 0 and "bad_fields" not in line


async def test_the_watchdog_is_told_of_what_only_a_restart_would_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Lane(tmp_path / "store") as lane:
        assert lane.app.alive()
        may_end = threading.Event()
        assert lane.app._journal is not None
        hanging = asyncio.ensure_future(
            lane.app._journal._files.in_thread(may_end.wait, 5.0))
        await asyncio.sleep(0.05)
        assert lane.app.alive()
        monkeypatch.setattr(app_module, "HANGS_SECONDS", 0.02)
        assert not lane.app.alive()
        may_end.set()
        await hanging

        async def fails() -> None:
            raise KeyError

        await asyncio.gather(lane.app._tasks.spawn("encodings", fails()), return_exceptions=True)
        await asyncio.sleep(0.01)
        assert lane.app.alive()
        await asyncio.gather(lane.app._tasks.spawn("flush", fails()), return_exceptions=True)
        await asyncio.sleep(0.01)
        assert not lane.app.alive()


async def test_what_was_stored_is_in_the_metrics_and_in_the_access_log(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store", log=LogConfig("all"), patterns=("test-model",)) as lane:
        await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        await lane.settled(1)
        async with asyncio.timeout(5):
            while '"call"' not in lane.log.getvalue():
                await asyncio.sleep(0.01)
        found = await figures(lane)
        assert found['relayd_route_calls_total{route="test-model",outcome="completed"}'] == 1
        assert found['relayd_drift_calls_total{provider="openai",model="test-model"}'] == 1
        assert found["relayd_posted_records_total"] == found["relayd_ready"] == 1
        assert found['relayd_store_bytes{file="database"}'] > 0
        # a reload brings new names, and turns the access log off
        lane.app.reload(replace(lane.app.config, log=LogConfig(), routes=(
            Route("other", (Deployment("openai"),)),)))
        body = BODY.replace(b"test-model", b"other")
        await ask(lane.address, request_bytes(TARGET, lane.key, body))
        async with asyncio.timeout(5):
            name = 'relayd_route_calls_total{route="other",outcome="completed"}'
            while (await figures(lane))[name] != 1:
                await asyncio.sleep(0.01)
    assert lane.log.getvalue().count('"call"') == 1


async def test_the_certificate_s_end_is_a_metric(tmp_path: Path) -> None:
    ends = datetime(2031, 5, 6, tzinfo=UTC)
    made = trustme.CA().issue_cert("localhost", not_after=ends)
    files = TlsFiles(str(tmp_path / "chain.pem"), str(tmp_path / "key.pem"))
    made.private_key_pem.write_to_path(files.key)
    for blob in made.cert_chain_pems:
        blob.write_to_path(files.certificate, append=True)
    async with Lane(tmp_path / "store", server={"tls": files}) as lane:
        found = await figures(lane)
    assert found['relayd_certificate_expiry_timestamp_seconds{listener="public"}'] \
        == ends.timestamp()


async def test_without_tokenizers_calls_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app_module, "ENCODINGS", ("none",))
    async with Lane(tmp_path) as lane:
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        assert reply.status == 200 and "encodings" in lane.log.getvalue()


async def test_what_calls_cost_follows_the_prices_and_the_plans(relay: Lane) -> None:
    app = relay.app
    first = app._tariff()
    assert app._tariff() is first and first.book is app.config.prices
    app.reload(replace(app.config, prices=PriceBook((Price("m", unit_prices({"input": 5})),))))
    second = app._tariff()
    assert second.book is app.config.prices is not first.book
    app.reload(replace(app.config, plans={"team": Plan("team")}))
    assert app._tariff().plans is app.config.plans is not second.plans
    await account.create(app.db, "bob@example.org", None, unix_ms())
    await app.refresh()
    assert app._tariff().of_account is app.view.current.plans
