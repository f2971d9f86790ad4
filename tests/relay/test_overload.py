"""Overload: early 503 with a time to wait, accepted calls go on, and it ends by itself."""

from __future__ import annotations

import asyncio

import pytest

from relayd.core.errors import RelayError
from relayd.ops.config import ServerConfig
from relayd.relay.overload import SAMPLES, Overload, Share
from tests.fakes.daemon import BRISK
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

SERVER = ServerConfig(lag_seconds_max=0.2, memory_bytes_max=1000, calls_max=2,
                      pending_bytes_max=100)


def refused(overload: Overload, calls: int = 1) -> bool:
    try:
        overload.check(SERVER, calls)
    except RelayError as error:
        assert (error.code, error.retry_after_seconds) == ("overloaded", 1)
        return True
    return False


def test_one_late_turn_is_no_overload_and_a_good_one_ends_it() -> None:
    overload = Overload()
    for lag in (9.0, 0.0, 9.0, 9.0, 9.0):
        overload.sample(SERVER, lag, 0)
        assert not refused(overload)
    overload.sample(SERVER, 9.0, 0)
    assert refused(overload) and overload.refused["lag"] == 1
    overload.sample(SERVER, 0.1, 0)
    assert not refused(overload)


def test_what_waited_for_the_start_is_no_overload() -> None:
    overload = Overload(patience=3)
    for _ in range(3 + SAMPLES - 1):
        overload.sample(SERVER, 9.0, 0)
        assert not refused(overload)
    overload.sample(SERVER, 9.0, 0)
    assert refused(overload)


def test_a_limit_of_0_is_none() -> None:
    overload = Overload()
    for _ in range(SAMPLES):
        overload.sample(ServerConfig(lag_seconds_max=0, memory_bytes_max=0), 9.0, 1 << 40)
    assert overload.standing is None


@pytest.mark.parametrize(("calls", "memory", "held", "reason"), [
    (2, 1000, 100, None), (3, 0, 0, "calls"), (1, 1001, 0, "memory"), (1, 0, 101, "bytes"),
])
def test_limits(calls: int, memory: int, held: int, reason: str | None) -> None:
    overload = Overload()
    overload.sample(SERVER, 0.0, memory)
    overload.pending_bytes = held
    assert refused(overload, calls) == (reason is not None)
    assert [name for name, count in overload.refused.items() if count] == [reason] * bool(reason)


def test_the_body_that_goes_over_the_bound_is_refused_itself() -> None:
    overload = Overload()
    overload.hold(SERVER, 100)
    with pytest.raises(RelayError) as caught:
        overload.hold(SERVER, 1)
    assert caught.value.code == "overloaded" and caught.value.close


async def test_above_the_ceiling_new_calls_get_503_and_old_ones_their_answer(
    opened: Opened,
) -> None:
    lane = await opened(lambda _: Answer(b"", after="hold"), server={"calls_max": 2},
                        provider_changes=BRISK)
    plane = plane_of(lane)
    async with RawClient(lane.address) as one, RawClient(lane.address) as two:
        for client in (one, two):
            await client.send(request_bytes(TARGET, lane.key, BODY))
        await asyncio.sleep(0.1)
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        assert (reply.status, reply.value(b"retry-after")) == (503, b"1")
        assert len(plane.inflight) == 2
    records = await lane.settled(3)
    assert sorted((r.outcome, r.error) for r in records if r.error == "overloaded") == [
        ("refused", "overloaded")]


async def test_bodies_that_are_held_are_counted_and_let_go(opened: Opened) -> None:
    lane = await opened(server={"pending_bytes_max": 4096})
    plane = plane_of(lane)
    big = BODY[:-1] + b',"seed":%b}' % (b" " * 8000 + b"1")
    async with RawClient(lane.address) as slow:
        head = request_bytes(TARGET, lane.key, big)
        await slow.send(head[:3000])
        await asyncio.sleep(0.05)
        assert 2000 < plane.overload.pending_bytes <= 3000
        await slow.send(head[3000:])
        reply = await slow.final_reply()
        assert reply.status == 503
    assert plane.overload.pending_bytes == 0
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
    assert plane.overload.pending_bytes == 0


async def test_the_memory_of_the_process_is_looked_at_where_it_has_a_limit(
    opened: Opened,
) -> None:
    lane = await opened(server={"memory_bytes_max": 1 << 20})
    plane = plane_of(lane)
    async with asyncio.timeout(5):
        while plane.overload.standing is None:
            await asyncio.sleep(0.05)
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 503
    assert plane.overload.refused["memory"] == 1


def test_a_connections_share_is_what_it_keeps_now() -> None:
    overload = Overload()
    one, other = Share(overload), Share(overload)
    one.weigh(SERVER, 60)
    one.weigh(SERVER, 70)
    with pytest.raises(RelayError):
        other.weigh(SERVER, 40)
    assert overload.pending_bytes == 110 and overload.refused["bytes"] == 1
    other.weigh(SERVER, 35)  # less is never refused
    other.give_back()
    other.give_back()
    assert overload.pending_bytes == 70
