"""Two deployments, one of which fails: what is asked again, where, and what the client sees."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from relayd.core.health import REST_SECONDS, TRIP_FAILURES
from relayd.core.journal import Mark
from relayd.core.provider import Address, Timeouts
from relayd.core.route import Deployment, Route
from relayd.relay.journey import patience_of
from relayd.relay.meter import Meter
from tests.fakes.daemon import ANSWER, PATIENT, Lane, plain_answer, provider
from tests.fakes.faulty import (
    EVENT_HEAD, FAULTS, REJECTED, SHORT, black_hole, error, providers, route, upstreams,
)
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawhttp import Reply
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import chunk, vanish
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

MESSAGES = b'{"model":"test-model","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
OVERLOAD = (b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
            b'"message":"Overloaded"}}\n\n')


async def call(lane: Lane, body: bytes = BODY, target: str = TARGET,
               fields: tuple[tuple[str, str], ...] = ()) -> Reply:
    return await ask(lane.address, request_bytes(target, lane.key, body, fields=fields))


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_next_deployment_serves_it(opened: Opened, fault: str) -> None:
    async with upstreams() as made:
        made[0].answers.append(FAULTS[fault])
        lane = await opened(providers=providers(made), routes=(route(),))
        reply = await call(lane)
        assert (reply.status, reply.body) == (200, ANSWER)
        [record] = await lane.settled(1)
        assert (record.provider, record.attempts, record.outcome) == ("p1", 2, "completed")
        assert [len(u.requests) for u in made] == [1, 1]


async def test_the_journal_knows_of_an_attempt_before_it_is_made(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with upstreams() as made:
        made[0].answers.append(FAULTS["503"])
        lane = await opened(providers=providers(made), routes=(route(),))
        marks: list[Mark] = []
        monkeypatch.setattr(Meter, "mark", lambda meter, mark: marks.append(mark))
        assert (await call(lane)).status == 200
        assert [(mark.provider, mark.attempts) for mark in marks] == [("p1", 2)]


@pytest.mark.parametrize("fault", ["closed", "silence", "503", "429", "garbage"])
async def test_a_stream_too(opened: Opened, fault: str) -> None:
    events = message(b"data: {}\n\ndata: [DONE]\n\n", "text/event-stream", chunked=True)
    async with upstreams() as made:
        made[0].answers.append(FAULTS[fault])
        made[1].answers.append(Answer(events))
        lane = await opened(providers=providers(made), routes=(route(),))
        reply = await call(lane, STREAM)
        assert reply.status == 200 and reply.body.endswith(b"[DONE]\n\n")
        assert (await lane.settled(1))[0].attempts == 2


@pytest.mark.parametrize("fault", REJECTED)
async def test_what_the_request_is_at_fault_for_is_told(opened: Opened, fault: str) -> None:
    async with upstreams() as made:
        made[0].answers.append(REJECTED[fault])
        lane = await opened(providers=providers(made), routes=(route(),))
        reply = await call(lane)
        assert 400 <= reply.status < 500 and b'"message":"no"' in reply.body
        assert (await lane.settled(1))[0].attempts == 1 and made[1].requests == []
        # and nobody suffers for it
        health = plane_of(lane).policy.plans["openai", "test-model"].places[0].health
        assert not health.reach.troubled and not health.circuit.troubled


async def test_an_unreachable_provider_costs_its_calls_no_answer(opened: Opened) -> None:
    async with upstreams(plain_answer) as made:
        down = provider("openai", 1, name="down", timeouts=SHORT)
        tls = provider("openai", made[0].port, "https", name="tls", timeouts=SHORT)
        lane = await opened(
            providers={"down": down, "tls": tls, **providers(made)},
            routes=(Route("test-model", (
                Deployment("down"), Deployment("tls", priority=2),
                Deployment("p0", priority=3))),))
        for _ in range(TRIP_FAILURES + 3):
            assert (await call(lane)).status == 200
        attempts = [r.attempts for r in await lane.settled(TRIP_FAILURES + 3)]
        assert attempts == [3] * TRIP_FAILURES + [1] * 3  # the circuits are open


async def test_all_down_is_said_at_once(opened: Opened) -> None:
    down = {name: provider("openai", 1, name=name) for name in ("a", "b")}
    lane = await opened(providers=down, routes=(
        Route("test-model", (Deployment("a"), Deployment("b"))),))
    for _ in range(TRIP_FAILURES):
        assert (await call(lane)).status == 502
    before = asyncio.get_running_loop().time()
    reply = await call(lane)
    assert asyncio.get_running_loop().time() - before < 0.05
    assert reply.status == 503 and reply.value(b"retry-after") == b"1"
    last = (await lane.settled(TRIP_FAILURES + 1))[-1]
    assert (last.error, last.attempts, last.provider) == ("upstream_down", 0, None)


async def test_one_deployment_alone_is_cut_off_only_where_nothing_answers(opened: Opened) -> None:
    lane = await opened(lambda _: FAULTS["500"])
    for _ in range(3 * TRIP_FAILURES):
        reply = await call(lane)
        assert reply.status == 500 and b'"message":"no"' in reply.body
    assert len(lane.upstream.requests) == 3 * TRIP_FAILURES


@pytest.mark.parametrize(("fault", "again"), [
    ("408", True), ("409", True), ("429", True), ("503", True), ("529", True), ("498", True),
    ("500", False), ("502", False), ("504", False), ("closed", False), ("garbage", False),
    ("401", False), ("no credit", False), ("404", False), ("429 asks to wait", False),
])
async def test_the_same_deployment_is_asked_again_where_it_says_it_was_too_much(
    opened: Opened, fault: str, again: bool
) -> None:
    lane = await opened()
    lane.upstream.answers.append(FAULTS[fault])
    reply = await call(lane)
    assert (reply.status == 200) is again
    assert len(lane.upstream.requests) == 1 + again
    assert (await lane.settled(1))[0].attempts == 1 + again


async def test_a_provider_s_wait_is_kept(opened: Opened) -> None:
    lane = await opened()
    now = asyncio.get_running_loop().time
    for fields, low in (({"retry_after_ms": "300"}, 0.3), ({"retry_after": "1"}, 1.0)):
        lane.upstream.answers.append(error(429, "rate_limit_exceeded", **fields))
        before = now()
        assert (await call(lane)).status == 200
        assert low <= now() - before < low + 0.5
    # nobody waits where the provider or the client says that it makes no sense
    lane.upstream.answers.append(error(503, x_should_retry="false"))
    assert (await call(lane)).status == 503
    lane.upstream.answers.append(error(429, "rate_limit_exceeded", retry_after="2"))
    before = now()
    reply = await call(lane, fields=(("x-stainless-read-timeout", "1"),))
    assert reply.status == 429 and now() - before < 0.5
    assert reply.value(b"retry-after") == b"2"


async def test_retries_can_be_off(opened: Opened) -> None:
    lane = await opened(routes=(Route("*", (Deployment("openai"),), retries=0),))
    lane.upstream.answers.append(FAULTS["503"])
    assert (await call(lane)).status == 503


async def test_the_last_error_is_the_client_s(opened: Opened) -> None:
    async with upstreams() as made:
        made[0].answers.append(FAULTS["garbage"])
        made[1].answers.append(error(504, "timeout_error"))
        lane = await opened(providers=providers(made), routes=(route(),))
        reply = await call(lane)
        assert reply.status == 504 and b"timeout_error" in reply.body
        [record] = await lane.settled(1)
        assert (record.provider, record.error, record.attempts) == ("p1", "provider_failed", 2)


async def test_another_model_where_the_route_says_so(opened: Opened) -> None:
    async with upstreams(plain_answer, plain_answer) as made:
        routes = (
            route(1, fallback=("other",), fallback_on=("unavailable", "context_length")),
            Route("other", (Deployment("p1"),), fallback=("test-model",)))
        lane = await opened(providers=providers(made), routes=routes)
        for fault in (FAULTS["500"], FAULTS["garbage"], REJECTED["too long"]):
            made[0].answers.append(fault)
            assert (await call(lane)).status == 200
        assert all(b'"model":"other"' in r.body for r in made[1].requests)
        assert len(made[1].requests) == 3
        made[0].answers.append(REJECTED["policy"])  # not among the route's reasons
        assert (await call(lane)).status == 400
        # no way back from there
        made[0].answers.extend([FAULTS["500"], FAULTS["500"]])
        made[1].answers.append(FAULTS["502"])
        assert (await call(lane)).status == 502
        records = await lane.settled(5)
        assert [(r.model, r.provider_model, r.attempts) for r in records] == [
            ("test-model", "other", 2)] * 3 + [("test-model", "test-model", 1),
                                               ("test-model", "other", 2)]


async def test_the_text_of_anthropic_says_that_a_prompt_is_too_long(opened: Opened) -> None:
    body = (b'{"type":"error","error":{"type":"invalid_request_error",'
            b'"message":"prompt is too long: 210000 tokens > 200000 maximum"}}')
    async with upstreams(plain_answer) as made:
        lane = await opened(
            providers=providers(made, "anthropic"),
            routes=(route(1, fallback=("large",), fallback_on=("context_length",)),
                    Route("large", (Deployment("p0"),))))
        made[0].answers.append(Answer(message(body, status=400)))
        assert (await call(lane, MESSAGES, "/v1/messages")).status == 200
        assert b'"model":"large"' in made[0].requests[1].body


@pytest.mark.parametrize("late", [False, True])
async def test_an_overload_as_the_first_event(opened: Opened, late: bool) -> None:
    pace = f"segments-{len(EVENT_HEAD)}" if late else "once"
    overload = Answer(EVENT_HEAD + chunk(OVERLOAD) + chunk(b""), pace)
    good = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    async with upstreams() as made:
        made[0].answers.extend([overload, overload])
        made[1].answers.extend([
            Answer(EVENT_HEAD + chunk(good) + chunk(b"")), overload, overload])
        lane = await opened(providers=providers(made, "anthropic"), routes=(route(),))
        stream = MESSAGES[:-1] + b',"stream":true}'
        reply = await call(lane, stream, "/v1/messages")
        assert reply.body == good
        # where all are overloaded the client is told in the provider's words
        made[0].answers.extend([overload] * 3)
        reply = await call(lane, stream, "/v1/messages")
        assert reply.status == 200 and OVERLOAD in reply.body


async def test_credentials_are_refused_one_by_one(opened: Opened) -> None:
    def answer(request: object) -> Answer:
        bad = b"Bearer two" in request.raw  # type: ignore[attr-defined]
        return FAULTS["401"] if bad else plain_answer()

    lane = await opened(answer, provider_changes={"credentials": ("one", "two", "three")})
    for _ in range(9):
        assert (await call(lane)).status == 200
    used = [r.values(b"authorization")[0].split()[1] for r in lane.upstream.requests]
    assert used.count(b"two") == 1  # it rests
    assert {used.count(b"one"), used.count(b"three")} <= {4, 5}
    assert sum(r.attempts for r in await lane.settled(9)) == 10


async def test_all_credentials_are_refused(opened: Opened) -> None:
    lane = await opened(lambda _: FAULTS["401"],
                        provider_changes={"credentials": ("one", "two")})
    reply = await call(lane)
    assert reply.status == 401 and len(lane.upstream.requests) == 2
    assert (await lane.settled(1))[0].error == "provider_auth"
    assert (await call(lane)).status == 401  # the last resort is asked all the same


async def test_what_has_little_left_is_spared(opened: Opened) -> None:
    low = (("x-ratelimit-limit-requests", "100"), ("x-ratelimit-remaining-requests", "1"),
           ("x-ratelimit-reset-requests", "0.4s"))
    async with upstreams() as made:
        made[0].answers.append(Answer(message(ANSWER, fields=low)))
        lane = await opened(providers=providers(made), routes=(route(),))
        for _ in range(3):
            reply = await call(lane)
            assert not any(b"ratelimit" in name for name, _ in reply.fields)
        await asyncio.sleep(0.5)
        await call(lane)
        assert [len(u.requests) for u in made] == [2, 2]


async def test_an_upload_is_sent_once(opened: Opened) -> None:
    form = (b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\ntest-model\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="f.mp3"\r\n\r\nx\r\n--b--\r\n')
    raw = ("Content-Type", "multipart/form-data; boundary=b"), ("Content-Length", str(len(form)))
    async with upstreams() as made:
        made[0].answers.append(FAULTS["503"])
        down = provider("openai", 1, name="down", timeouts=SHORT)
        lane = await opened(
            providers={"down": down, **providers(made)},
            routes=(Route("test-model", (Deployment("down"), Deployment("p0", priority=2),
                                         Deployment("p1", priority=3))),))
        for status in (503, 200):
            reply = await ask(lane.address, request_bytes(
                "/v1/audio/transcriptions", lane.key, fields=raw) + form)
            assert reply.status == status
        assert [len(u.requests) for u in made] == [2, 0]


async def test_a_budget_bounds_what_an_outage_multiplies(opened: Opened) -> None:
    async with upstreams(lambda _: FAULTS["504"], lambda _: FAULTS["504"]) as made:
        lane = await opened(providers=providers(made), routes=(route(retry_share=0.0),))
        for _ in range(4):
            assert (await call(lane)).status == 504
        assert [len(u.requests) for u in made] == [4, 0]


@pytest.mark.parametrize("fault", [f for f in (*FAULTS, "no body") if f != "403"])
async def test_another_model_serves_it(opened: Opened, fault: str) -> None:
    head = message(ANSWER)[:-len(ANSWER)]
    answer = FAULTS.get(fault, Answer(head, after="reset"))
    timeouts = replace(PATIENT, first_byte=1.0) if fault == "silence" else PATIENT
    async with upstreams() as made:
        lane = await opened(
            providers=providers(made, timeouts=timeouts),
            routes=(route(1, fallback=("other",)), Route("other", (Deployment("p1"),))))
        async with RawClient(lane.address) as client:
            for failing in (False, True):  # over a kept connection
                made[0].answers.extend([answer] * 2 * failing)
                reply = await client.ask(request_bytes(TARGET, lane.key, BODY))
                assert (reply.status, reply.body) == (200, ANSWER)
        assert [r.provider for r in await lane.settled(2)] == ["p0", "p1"]


async def test_total_time_bounds_the_call_and_not_the_attempt(opened: Opened) -> None:
    async with upstreams(lambda _: FAULTS["silence"], plain_answer) as made:
        lane = await opened(
            providers=providers(made, timeouts=Timeouts(0.5, 60.0, 1.0, 0.5)), routes=(route(),))
        assert (await call(lane)).status == 504
        [record] = await lane.settled(1)
        assert (record.error, record.attempts, len(made[1].requests)) == ("upstream_timeout", 1, 0)


async def test_total_time_leaves_no_other_model_to_try(opened: Opened) -> None:
    async with upstreams(lambda _: FAULTS["silence"], plain_answer) as made:
        lane = await opened(
            providers=providers(made, timeouts=Timeouts(0.5, 60.0, 1.0, 0.5)),
            routes=(route(1, fallback=("other",)), Route("other", (Deployment("p1"),))))
        assert (await call(lane)).status == 504 and made[1].requests == []


@pytest.mark.parametrize(("timeouts", "answer", "status", "error"), [
    (Timeouts(first_byte=0.3), Answer(b"", after="hold"), 504, "upstream_timeout"),
    (Timeouts(first_byte=9.0, total=0.3), Answer(b"", after="hold"), 504, "upstream_timeout"),
    (Timeouts(first_byte=0.3), Answer(b"HTTP/1.1 200 OK\r\n", after="hold"), 504,
     "upstream_timeout"),
    (Timeouts(idle=0.3), Answer(EVENT_HEAD + chunk(b"data: {}\n\n"), after="hold"), 200,
     "upstream_stalled"),
    (Timeouts(idle=9.0, total=0.3), Answer(EVENT_HEAD + chunk(b"data: {}\n\n"), after="hold"),
     200, "upstream_timeout"),
])
async def test_every_timeout_has_its_error(
    opened: Opened, timeouts: Timeouts, answer: Answer, status: int, error: str
) -> None:
    lane = await opened(lambda _: answer, provider_changes={"timeouts": timeouts})
    reply = await call(lane, STREAM)
    assert reply.status == status
    if status == 200:
        assert b'"error"' in reply.body and reply.ended == "closed"
    [record] = await lane.settled(1)
    assert (record.error, record.attempts) == (error, 1)
    assert record.outcome == ("provider_error" if status != 200 else "provider_truncated")


async def test_a_connect_timeout(opened: Opened) -> None:
    with black_hole() as port:
        lane = await opened(provider_changes={
            "address": Address("http", "127.0.0.1", port, "/v1"),
            "timeouts": Timeouts(connect=0.3)})
        before = asyncio.get_running_loop().time()
        assert (await call(lane)).status == 502
        assert 0.3 <= asyncio.get_running_loop().time() - before < 1.0
        [record] = await lane.settled(1)
        assert (record.error, record.attempts) == ("upstream_connect", 1)


async def test_a_client_that_leaves_during_a_wait_ends_it(opened: Opened) -> None:
    lane = await opened(lambda _: error(429, "rate_limit_exceeded", retry_after="4"))
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        await asyncio.sleep(0.2)
        vanish(client)
        [record] = await lane.settled(1)
    assert (record.outcome, record.attempts) == ("client_left", 1)
    assert len(lane.upstream.requests) == 1 and not plane_of(lane).inflight


async def test_a_trial_that_its_client_leaves_does_not_stick(opened: Opened) -> None:
    lane = await opened(lambda _: FAULTS["silence"])
    health = plane_of(lane).policy.plans["openai", "*"].places[0].health
    for _ in range(TRIP_FAILURES):
        health.circuit.failed(plane_of(lane).now() - 10.0, hard=True)
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        await asyncio.sleep(0.2)
        assert health.circuit.on_trial
        vanish(client)
        await lane.settled(1)
    assert not health.circuit.on_trial
    lane.upstream.answer = plain_answer
    assert (await call(lane)).status == 200 and not health.circuit.troubled


async def test_a_gate_and_its_queue(opened: Opened) -> None:
    async with upstreams(lambda _: Answer(message(ANSWER), "segments-40")) as made:
        deployment = Deployment("p0", concurrent=1, queue=1, queue_seconds=1.0)
        lane = await opened(providers=providers(made),
                            routes=(Route("test-model", (deployment,)),))
        gate = plane_of(lane).policy.plans["openai", "test-model"].places[0].gate
        made[0].answers.append(Answer(b"", after="hold"))
        replies = [asyncio.create_task(call(lane)) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert gate is not None and (gate.busy, gate.waiting) == (1, 1)
        found = sorted([reply.status for reply in await asyncio.gather(*replies)])
        assert found == [200, 503, 504]  # the third had no place in the queue
        assert (gate.busy, gate.waiting) == (0, 0)
        errors = {r.error for r in await lane.settled(3)}
        assert errors == {None, "upstream_busy", "upstream_timeout"}


async def test_who_waits_too_long_for_a_place_goes_on(opened: Opened) -> None:
    async with upstreams() as made:
        made[0].answers.append(Answer(b"", after="hold"))
        first = Deployment("p0", concurrent=1, queue=9, queue_seconds=0.1)
        lane = await opened(
            providers=providers(made), routes=(
                Route("test-model", (first,), fallback=("other",)),
                Route("other", (Deployment("p1"),))))
        holding = asyncio.create_task(call(lane))
        await asyncio.sleep(0.05)
        reply = await call(lane)
        assert reply.status == 200 and len(made[1].requests) == 1
        assert (await holding).status == 200  # its own provider timed out, and it fell back too


async def test_a_full_deployment_comes_after_one_that_is_not(opened: Opened) -> None:
    async with upstreams() as made:
        made[0].answers.append(Answer(b"", after="hold"))
        lane = await opened(providers=providers(made), routes=(Route("test-model", (
            Deployment("p0", concurrent=1, queue=9), Deployment("p1", priority=2))),))
        async with RawClient(lane.address) as client:
            await client.send(request_bytes(TARGET, lane.key, BODY))
            await asyncio.sleep(0.05)
            for _ in range(3):
                assert (await call(lane)).status == 200
            vanish(client)
            await lane.settled(4)
        assert [len(u.requests) for u in made] == [1, 3]
        assert (await call(lane)).status == 200 and len(made[0].requests) == 2


async def test_a_deployment_that_drains_takes_no_call(opened: Opened) -> None:
    async with upstreams() as made:
        lane = await opened(providers=providers(made), routes=(Route("test-model", (
            Deployment("p0", drain=True), Deployment("p1", priority=2))),))
        assert (await call(lane)).status == 200 and made[0].requests == []
        assert b'relayd_deployments{provider="p0",state="draining"} 1' \
            in lane.app.metrics.render()


async def test_an_alias(opened: Opened) -> None:
    lane = await opened(routes=(Route("test-model", (Deployment("openai"),), ("fast",)),))
    assert (await call(lane, BODY.replace(b"test-model", b"fast"))).status == 200
    assert b'"model":"test-model"' in lane.upstream.requests[0].body
    [record] = await lane.settled(1)
    assert (record.model, record.provider_model) == ("fast", "test-model")
    listed = await ask(lane.address, request_bytes("/v1/models", lane.key, method="GET"))
    assert b'"fast"' in listed.body and b'"test-model"' in listed.body


async def test_streams_that_break_put_a_deployment_behind(opened: Opened) -> None:
    events = EVENT_HEAD + chunk(b"data: {}\n\n")
    good = Answer(events + chunk(b"data: [DONE]\n\n") + chunk(b""))
    async with upstreams(lambda _: Answer(events, after="close"), lambda _: good) as made:
        lane = await opened(providers=providers(made), routes=(route(),))
        for _ in range(9):
            await call(lane, STREAM)
        assert [len(u.requests) for u in made] == [5, 4]


async def test_health_goes_over_to_the_next_policy(opened: Opened) -> None:
    down = Address("http", "127.0.0.1", 1, "/v1")
    lane = await opened(provider_changes={"address": down})
    for _ in range(TRIP_FAILURES):
        await call(lane)
    plane = plane_of(lane)
    assert (await call(lane)).status == 503
    plane.adopt(replace(lane.app.config))
    assert (await call(lane)).status == 503
    config = lane.app.config
    mended = replace(config.providers["openai"],
                     address=replace(down, port=lane.upstream.port))
    plane.adopt(replace(config, providers={**config.providers, "openai": mended}))
    assert (await call(lane)).status == 200


async def test_at_random_no_call_fails_that_a_healthy_deployment_could_serve(
    opened: Opened
) -> None:
    dice = random.Random(7)
    bad = [answer for name, answer in FAULTS.items() if name != "silence"]

    def ill(_: object) -> Answer:
        return dice.choice(bad) if dice.random() < 0.5 else plain_answer()

    async with upstreams(ill, plain_answer) as made:
        both = (Deployment("p0"), Deployment("p1"))
        # how much of them the budget allows is a matter of how fast the machine is
        lane = await opened(providers=providers(made), routes=(
            Route("test-model", both, retry_share=1.0),))

        async def some(count: int) -> set[int]:
            async with RawClient(lane.address) as client:
                raw = request_bytes(TARGET, lane.key, BODY)
                return {(await client.ask(raw)).status for _ in range(count)}

        found = await asyncio.gather(*(some(50) for _ in range(8)))
        assert found == [{200}] * 8
        records = await lane.settled(400)
        assert sum(r.attempts for r in records) <= 1.2 * 400
        assert len(made[1].requests) >= 200


@pytest.mark.parametrize(("fields", "seconds"), [
    ({}, float("inf")), ({b"x-stainless-timeout": b"60"}, 60.0),
    ({b"x-stainless-read-timeout": b"600", b"x-stainless-timeout": b"1"}, 600.0),
    ({b"x-stainless-timeout": b"NaN"}, float("inf")),
    # what Python's SDKs send for timeout=20.0
    ({b"x-stainless-read-timeout": b"20.0"}, 20.0), ({b"x-stainless-read-timeout": b"0.5"}, 0.5),
    ({b"x-stainless-read-timeout": b"1e9"}, float("inf")),
])
def test_patience(fields: dict[bytes, bytes], seconds: float) -> None:
    class Exchange:
        class head:  # noqa: N801
            pass

    Exchange.head.fields = fields  # type: ignore[attr-defined]
    assert patience_of(Exchange) == seconds  # type: ignore[arg-type]


def retries(lane: Lane) -> dict[tuple[str, ...], int]:
    return {where: count for where, count in lane.app.metrics._retries.items() if count}


async def test_every_further_attempt_is_counted_by_its_kind(opened: Opened) -> None:
    async with upstreams() as made:
        lane = await opened(providers=providers(made), routes=(
            route(), Route("alone", (Deployment("p1"),)),
            Route("twin", (Deployment("p0"),), fallback=("alone",), retries=0)))
        assert (await call(lane)).status == 200 and retries(lane) == {}
        made[0].answers.append(FAULTS["503"])
        assert (await call(lane)).status == 200
        assert retries(lane) == {("p1", "next"): 1}
        made[1].answers.append(FAULTS["503"])
        assert (await call(lane, BODY.replace(b"test-model", b"alone"))).status == 200
        assert retries(lane) == {("p1", "next"): 1, ("p1", "again"): 1}
        made[0].answers.append(FAULTS["500"])
        assert (await call(lane, BODY.replace(b"test-model", b"twin"))).status == 200
        assert retries(lane) == {("p1", "next"): 1, ("p1", "again"): 1, ("p1", "fallback"): 1}


async def test_who_asks_for_a_longer_wait_is_not_asked_with_the_others(opened: Opened) -> None:
    async with upstreams() as made:
        times: list[tuple[int, float]] = []

        def answering(n: int, first: Answer) -> None:
            def answer(_: object) -> Answer:
                times.append((n, asyncio.get_running_loop().time()))
                if n == 1 and len([one for one in times if one[0] == 1]) == 2:
                    return plain_answer()
                return first
            made[n].answer = answer

        answering(0, error(429, "rate_limit_exceeded", retry_after_ms="100"))
        answering(1, error(429, "rate_limit_exceeded", retry_after_ms="900"))
        lane = await opened(providers=providers(made), routes=(route(),))
        assert (await call(lane)).status == 200
        assert [n for n, _ in times] == [0, 1, 0, 1]
        assert times[2][1] - times[0][1] >= 0.1 and times[3][1] - times[1][1] >= 0.9


async def test_nothing_is_waited_for_beyond_the_total_time(opened: Opened) -> None:
    async with upstreams(lambda _: error(429, "rate_limit_exceeded", retry_after="3")) as made:
        lane = await opened(
            providers=providers(made, timeouts=replace(SHORT, total=1.0)), routes=(route(1),))
        before = asyncio.get_running_loop().time()
        reply = await call(lane)
        assert asyncio.get_running_loop().time() - before < 0.5
        assert reply.status == 429 and reply.value(b"retry-after") == b"3"


async def test_silence_is_counted_among_the_attempts(opened: Opened) -> None:
    async with upstreams() as made:
        made[0].answers.append(FAULTS["silence"])
        lane = await opened(providers=providers(made), routes=(route(),))
        assert (await call(lane)).status == 200
        text = lane.app.metrics.render()
        for line in (b'{provider="p0",result="upstream_timeout"} 1',
                     b'{provider="p1",result="head"} 1'):
            assert b"relayd_upstream_attempts_total" + line in text


async def test_an_answer_ends_the_strikes_of_a_credential(opened: Opened) -> None:
    async with upstreams(plain_answer) as made:
        lane = await opened(providers=providers(made), routes=(route(1, retries=0),))
        health = plane_of(lane).policy.plans["openai", "test-model"].places[0].health
        for _ in range(4):  # now and then one is refused, and the next one is not
            made[0].answers.append(error(429, "rate_limit_exceeded"))
            assert (await call(lane)).status == 429
            assert (await call(lane)).status == 200
            assert health.credentials.wait(plane_of(lane).now()) <= REST_SECONDS
        assert not health.circuit.troubled
