"""A slow first byte: a second deployment is asked, the first good answer wins, once."""

from __future__ import annotations

import asyncio

import pytest

from relayd.core.provider import Timeouts
from relayd.core.route import Deployment, Route
from relayd.ops.metrics import Metrics
from relayd.relay.pool import Pool
from relayd.relay.upstream import UpstreamConnection
from tests.fakes.daemon import ANSWER, plain_answer, provider
from tests.fakes.faulty import FAULTS, REJECTED, SHORT, providers, route, upstreams
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import stepped, vanish
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

HOLD = Answer(b"", after="hold")
PATIENT = Timeouts(connect=0.5, first_byte=2.0, idle=1.0)


async def test_the_second_answers_first(opened: Opened) -> None:
    async with upstreams(lambda _: HOLD, plain_answer) as made:
        lane = await opened(providers=providers(made, timeouts=PATIENT),
                            routes=(route(hedge_ms=100),))
        before = asyncio.get_running_loop().time()
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        assert (reply.status, reply.body) == (200, ANSWER)
        assert 0.1 <= asyncio.get_running_loop().time() - before < 0.6
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts, record.outcome) == ("p1", 2, "completed")
        pools = plane_of(lane).policy.pools
        assert (pools["p0"].busy, pools["p1"].idle) == (0, 1)  # the slower one is cut off
        assert lane.app.metrics._retries["p1", "hedge"] == 1


async def test_who_answers_in_time_has_no_rival(opened: Opened) -> None:
    async with upstreams() as made:
        lane = await opened(providers=providers(made), routes=(route(hedge_ms=200),))
        for _ in range(5):
            assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        await asyncio.sleep(0.3)
        assert [len(u.requests) for u in made] == [5, 0]


async def test_a_kept_connection_that_closed_is_replaced(opened: Opened) -> None:
    async with upstreams() as made:
        made[0].answers.extend([plain_answer(), Answer(b"", after="close"), plain_answer()])
        lane = await opened(providers=providers(made), routes=(route(hedge_ms=1000),))
        for _ in range(2):
            assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        assert [r.attempts for r in await lane.settled(2)] == [1, 2] and made[1].requests == []
        text = lane.app.metrics.render()
        for result, count in (("head", 2), ("upstream_reset", 1)):
            line = f'relayd_upstream_attempts_total{{provider="p0",result="{result}"}} {count}\n'
            assert line.encode() in text


@pytest.mark.parametrize("second", ["500", "closed", "404", "429", "garbage", "redirect"])
async def test_a_rival_that_fails_does_not_win(opened: Opened, second: str) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        await asyncio.sleep(0.4)
        writer.write(message(ANSWER))
        await reader.read()

    async with stepped(slowly) as address, upstreams(lambda _: FAULTS[second]) as made:
        slow = provider("openai", 1, name="slow", address=address, timeouts=PATIENT)
        lane = await opened(
            providers={"slow": slow, **providers(made)}, routes=(Route("test-model", (
                Deployment("slow"), Deployment("p0", priority=2)), hedge_ms=50),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts) == ("slow", 2)
        assert len(made[0].requests) == 1


async def test_both_fail(opened: Opened) -> None:
    async with upstreams(lambda _: FAULTS["silence"], lambda _: FAULTS["503"]) as made:
        lane = await opened(providers=providers(made), routes=(route(hedge_ms=50, retries=0),))
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        assert reply.status in (503, 504)
        assert (await lane.settled(1))[0].attempts == 2
        assert all(pool.busy == 0 for pool in plane_of(lane).policy.pools.values())


async def test_what_the_request_is_at_fault_for_is_sent_nowhere_else(opened: Opened) -> None:
    """The rival's verdict was dropped with it, and a third deployment was asked."""
    answers = (lambda _: FAULTS["silence"]), (lambda _: REJECTED["400"]), plain_answer
    async with upstreams(*answers) as made:
        lane = await opened(
            providers=providers(made, timeouts=SHORT),
            routes=(Route("test-model", tuple(
                Deployment(f"p{n}", priority=n + 1) for n in range(3)), hedge_ms=50),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 400
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts) == ("p1", 2) and made[2].requests == []


async def test_the_first_cannot_be_reached(opened: Opened) -> None:
    down = provider("openai", 1, name="down", timeouts=SHORT)
    async with upstreams(plain_answer) as made:
        lane = await opened(
            providers={"down": down, **providers(made)}, routes=(Route("test-model", (
                Deployment("down"), Deployment("p0", priority=2)), hedge_ms=100),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts) == ("p0", 2)


async def test_a_client_that_leaves_ends_both(opened: Opened) -> None:
    async with upstreams(lambda _: HOLD, lambda _: HOLD) as made:
        lane = await opened(providers=providers(made, timeouts=PATIENT),
                            routes=(route(hedge_ms=50),))
        async with RawClient(lane.address) as client:
            await client.send(request_bytes(TARGET, lane.key, BODY))
            await asyncio.sleep(0.3)
            assert [len(u.requests) for u in made] == [1, 1]
            vanish(client)
            [record] = await lane.settled(1)
        assert (record.outcome, record.attempts) == ("client_left", 2)
        assert all(pool.busy == 0 for pool in plane_of(lane).policy.pools.values())


async def slow_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"hi")
    await asyncio.sleep(0.7)
    writer.write(message(ANSWER))
    await reader.read()


async def test_each_side_has_its_own_time(opened: Opened) -> None:
    """The second provider's shorter patience does not end the first one's attempt."""
    hasty = Timeouts(connect=0.5, first_byte=0.2, idle=1.0, total=0.3)
    async with stepped(slow_answer) as address, upstreams(lambda _: HOLD) as made:
        slow = provider("openai", 1, name="slow", address=address, timeouts=PATIENT)
        lane = await opened(
            providers={"slow": slow, **providers(made, timeouts=hasty)},
            routes=(Route("test-model", (
                Deployment("slow"), Deployment("p0", priority=2)), hedge_ms=50),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts) == ("slow", 2)
        health = plane_of(lane).policy.plans["openai", "test-model"].places[1].health
        assert health.circuit.troubled  # it was silent, and that is known of it
        assert (b'relayd_upstream_attempts_total{provider="p0",result="upstream_timeout"} 1'
                in lane.app.metrics.render())


async def test_a_rival_that_is_asked_again_has_its_own_name_of_the_model(opened: Opened) -> None:
    overload = Answer(message(
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"Overloaded"}}\n\n', "text/event-stream", chunked=True))
    body = (b'{"model":"test-model","stream":true,"max_tokens":9,'
            b'"messages":[{"role":"user","content":"hi"}]}')
    async with upstreams(lambda _: HOLD, lambda _: overload) as made:
        lane = await opened(
            providers=providers(made, "anthropic", timeouts=PATIENT),
            routes=(Route("test-model", (
                Deployment("p0", "one"), Deployment("p1", "other", priority=2)), hedge_ms=50),))
        await ask(lane.address, request_bytes("/v1/messages", lane.key, body))
        assert len(made[1].requests) == 2
        assert all(b'"model":"other"' in request.body for request in made[1].requests)


async def test_nobody_else_is_asked_for_a_client_that_has_left(opened: Opened) -> None:
    """The one that was asked is read on to the end, as its provider is configured."""
    async with stepped(slow_answer) as address, upstreams(plain_answer) as made:
        slow = provider("openai", 1, name="slow", address=address, timeouts=PATIENT,
                        on_client_close="drain")
        lane = await opened(
            providers={"slow": slow, **providers(made)}, routes=(Route("test-model", (
                Deployment("slow"), Deployment("p0", priority=2)), hedge_ms=300),))
        async with RawClient(lane.address) as client:
            await client.send(request_bytes(TARGET, lane.key, BODY))
            await asyncio.sleep(0.1)
            vanish(client)
            [record] = await lane.settled(1)
        assert (record.outcome, record.usage_source) == ("client_left", "reported")
        assert (record.attempts, made[0].requests) == (1, [])


async def test_a_connection_that_comes_too_late_is_kept_for_others(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, came = Pool._connect, asyncio.Event()

    async def slowly(pool: Pool) -> UpstreamConnection:
        if pool.provider.name == "p0":
            await came.wait()
        return await connect(pool)

    monkeypatch.setattr(Pool, "_connect", slowly)
    async with upstreams(plain_answer, plain_answer) as made:
        lane = await opened(providers=providers(made, timeouts=PATIENT),
                            routes=(route(hedge_ms=50),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
        pool = plane_of(lane).policy.pools["p0"]
        assert pool.idle == 0
        came.set()
        async with asyncio.timeout(5):
            while not pool.idle:
                await asyncio.sleep(0.01)
        assert pool.busy == 0 and [len(u.requests) for u in made] == [0, 1]


async def test_the_time_of_a_whole_call_ends_all_that_were_asked(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(Metrics, "attempt", lambda metrics, *what: counted.append(what))
    times = Timeouts(connect=1.0, first_byte=9.0, idle=9.0, total=0.5)
    async with upstreams(lambda _: HOLD, lambda _: HOLD) as made:
        lane = await opened(providers=providers(made, timeouts=times),
                            routes=(route(hedge_ms=50),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 504
        assert [r.attempts for r in await lane.settled(1)] == [2]
        assert sorted(counted) == [("p0", "upstream_timeout"), ("p1", "upstream_timeout")]
        assert all(pool.busy == 0 for pool in plane_of(lane).policy.pools.values())


async def test_what_failed_before_the_whole_call_s_time_passed_is_counted_as_it_failed(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[str, str]] = []
    monkeypatch.setattr(Metrics, "attempt", lambda metrics, *what: counted.append(what))
    asked = asyncio.Event()

    async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        await asked.wait()
        writer.write(message(b"{}", status=503))
        await reader.read()

    def silent(_: object) -> Answer:
        asked.set()
        return HOLD

    times = Timeouts(connect=1.0, first_byte=9.0, idle=9.0, total=0.8)
    async with stepped(failing) as address, upstreams(silent) as made:
        first = provider("openai", 1, name="first", address=address, timeouts=times)
        lane = await opened(
            providers={"first": first, **providers(made, timeouts=times)},
            routes=(Route("test-model", (
                Deployment("first"), Deployment("p0", priority=2)), hedge_ms=50),))
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 504
        assert [r.attempts for r in await lane.settled(1)] == [2]
        assert sorted(counted) == [("first", "status_5xx"), ("p0", "upstream_timeout")]
