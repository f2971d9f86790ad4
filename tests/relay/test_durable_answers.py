"""`sync_ms = 0`: an answer's last byte goes out when the disk has what the call used."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest

from relayd.core.provider import Timeouts
from relayd.ops.config import MeteringConfig
from tests.fakes.daemon import ANSWER
from tests.fakes.rawclient import RawClient, request_bytes
from tests.fakes.rawupstream import Answer
from tests.fakes.stepped import EVENTS, chunk, vanish
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import EVENT

DONE = b"data: [DONE]\n\n"
SLOW = EVENTS + chunk(EVENT) + chunk(DONE) + chunk(b"")
SYNC_NOW = MeteringConfig(flush_seconds=0.05, sync_ms=0)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """fdatasync returns when the event is set."""
    ready = threading.Event()
    real = os.fdatasync

    def sync(handle: int) -> None:
        ready.wait(5)
        real(handle)

    monkeypatch.setattr(os, "fdatasync", sync)
    yield ready
    ready.set()


async def test_a_stream_s_end_waits_for_the_disk(opened: Opened, disk: threading.Event) -> None:
    pace = f"segments-{len(EVENTS + chunk(EVENT))}"
    lane = await opened(lambda _: Answer(SLOW, pace=pace), metering=SYNC_NOW)
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, STREAM))
        await client.reader.readuntil(b"one")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.reader.readuntil(b"0\r\n\r\n")
        disk.set()
        await client.reader.readuntil(b"0\r\n\r\n")
    assert [r.outcome for r in await lane.settled(1)] == ["completed"]


@pytest.mark.parametrize("total", [0.0, 1.0])
async def test_what_waits_for_the_disk_is_not_taken_for_a_silent_provider(
    opened: Opened, disk: threading.Event, total: float,
) -> None:
    half = EVENTS + chunk(EVENT) + chunk(EVENT[:20])
    rest = chunk(EVENT[20:]) + chunk(DONE) + chunk(b"")
    timeouts = Timeouts(connect=1.0, first_byte=1.0, idle=0.3, total=total)
    lane = await opened(lambda _: Answer(half + rest, pace=f"segments-{len(half)}"),
                        metering=SYNC_NOW, server={"heartbeat_seconds": 0.3},
                        provider_changes={"timeouts": timeouts})
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, STREAM))
        timer = asyncio.get_running_loop().call_later(1.3, disk.set)
        reply = await client.final_reply()
    timer.cancel()
    assert (reply.ended, reply.body) == ("complete", EVENT + EVENT + DONE)
    assert [r.outcome for r in await lane.settled(1)] == ["completed"]


async def test_a_whole_answer_waits_for_the_disk(opened: Opened, disk: threading.Event) -> None:
    lane = await opened(metering=SYNC_NOW)
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.reader.read(1)
        disk.set()
        reply = await client.final_reply()
    assert reply.status == 200 and reply.body == ANSWER
    assert [r.outcome for r in await lane.settled(1)] == ["completed"]


async def test_a_client_that_leaves_meanwhile_is_still_recorded(
    opened: Opened, disk: threading.Event,
) -> None:
    lane = await opened(metering=SYNC_NOW)
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        await asyncio.sleep(0.2)
        vanish(client)
        await asyncio.sleep(0.1)
    disk.set()
    [record] = await lane.settled(1)
    assert (record.outcome, record.input_tokens, record.usage_source) == (
        "client_left", 3, "reported")


async def test_otherwise_nothing_waits(opened: Opened, disk: threading.Event) -> None:
    lane = await opened(metering=MeteringConfig(flush_seconds=0.05, sync_ms=1))
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        assert (await client.final_reply()).status == 200
    disk.set()
