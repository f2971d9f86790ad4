"""The composition root: the order of start and stop, readiness, and that no record is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relayd.app import App
from relayd.ops.logging import Logger
from relayd.store.directory import StoreError
from tests.fakes.daemon import Lane, config, records
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer
from tests.fakes.stepped import EVENTS, chunk, stepped
from tests.http.play import BODY, STREAM, TARGET

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
READYZ = b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"


async def figures(lane: Lane) -> dict[str, float]:
    raw = (await ask(lane.app.ops_address, b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n")).body
    lines = [line for line in raw.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


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


async def test_records_of_the_last_moment_are_stored(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        for _ in range(20):
            await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert len(await records(lane.store)) == 20


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
        stopping = asyncio.gather(lane.app.stop())
        await asyncio.sleep(0.1)
        reply = await ask(lane.app.ops_address, READYZ)
        assert reply.status == 503 and b"draining" in reply.body
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
            await asyncio.wait_for(lane.app.stop(), 2)
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


async def test_a_store_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    app = App(config(tmp_path / "store", 1), logger=Logger("error"))
    with pytest.raises(StoreError):
        await app.start()
    await app.stop()


async def test_two_relays_on_one_store(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        other = App(config(tmp_path / "store", lane.upstream.port), logger=Logger("error"))
        await other.start()
        try:
            raw = request_bytes(TARGET, lane.key, BODY)
            for address in (lane.address, other.address):
                assert (await ask(address, raw)).status == 200
            assert len(await lane.settled(2)) == 2
        finally:
            await other.stop()
