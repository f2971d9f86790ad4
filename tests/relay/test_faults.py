"""Attempts are judged: bodies of errors are bounded and stay, health gets what it should."""

from __future__ import annotations

import asyncio
import time

import pytest

from relayd.core.health import REST_SECONDS, State
from relayd.core.retry import RULES
from relayd.relay.faults import _FIRST_EVENT, ERROR_BODY_BYTES_MAX, Fault, _may_be_error
from tests.fakes.daemon import plain_answer
from tests.fakes.faulty import FAULTS, REJECTED, error, providers, route, upstreams
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

CREDENTIAL = {"429", "429 asks to wait", "no credit", "402", "401", "403"}
NOBODY = {"409", "404"}
HEADLESS = {"closed", "reset", "half a head", "garbage", "two lengths", "silence"}


def test_every_rule_has_a_meaning() -> None:
    assert all(Fault(kind, None).rule.meaning for kind in RULES)


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_counts_for_health(opened: Opened, fault: str) -> None:
    async with upstreams() as made:
        made[0].answers.append(FAULTS[fault])
        lane = await opened(providers=providers(made), routes=(route(),))
        plane = plane_of(lane)
        health = plane.policy.plans["openai", "test-model"].places[0].health
        health.reach.failed(plane.now(), hard=True)
        await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        # what answers at all is reached
        assert health.reach.streak == (fault in HEADLESS)
        assert health.circuit.streak == (fault not in CREDENTIAL | NOBODY)
        rests = health.credentials.ready(plane.now()) == 0
        assert rests is (fault in CREDENTIAL)
        assert health.state(plane.now()) is (State.COOLING if rests else State.HEALTHY)


@pytest.mark.parametrize("pace", ["once", "segments-20"])
async def test_an_error_s_body_stays(opened: Opened, pace: str) -> None:
    for name, answer in REJECTED.items():
        async with upstreams() as made:
            made[0].answers.append(Answer(answer.raw, pace))
            lane = await opened(providers=providers(made), routes=(route(),))
            reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
            assert reply.body == answer.raw.partition(b"\r\n\r\n")[2], name
        break


async def test_a_long_error_is_judged_by_its_status_alone(opened: Opened) -> None:
    long = b'{"error":{"code":"context_length_exceeded","message":"%b"}}' % (
        b"x" * ERROR_BODY_BYTES_MAX)
    async with upstreams() as made:
        made[0].answers.extend([Answer(message(long, status=400)),
                                Answer(message(long, status=500))])
        lane = await opened(providers=providers(made), routes=(
            route(fallback=("test-model",), fallback_on=("context_length",)),))
        for status in (400, 200):
            reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
            assert reply.status == status and b"xxx" not in reply.body


@pytest.mark.parametrize(("data", "may"), [
    (b"", True), (b"event: err", True), (b"\n\nevent: error\ndata: {", True),
    (b"event: error\ndata: {}\n\n", False), (b"event: error\r\ndata: {}\r\n\r\n", False),
    (b"event: message_start", False), (b"data: {", False), (b": hello", False),
    (b"event: error" + b"x" * ERROR_BODY_BYTES_MAX, False),
])
def test_what_may_still_be_an_error(data: bytes, may: bool) -> None:
    assert _may_be_error(data) is may


@pytest.mark.parametrize(("fields", "delay"), [
    ((("Retry-After", "Wed, 21 Oct 2026 07:28:02 GMT"),
      ("Date", "Wed, 21 Oct 2026 07:28:01 GMT")), ""),
    ((), "1.0s"),
])
async def test_every_way_to_ask_for_a_wait_is_kept(
    opened: Opened, fields: tuple[tuple[str, str], ...], delay: str
) -> None:
    body = b'{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[%b]}}' % (
        b'{"retryDelay":"%b"}' % delay.encode() if delay else b"")
    async with upstreams(plain_answer) as made:
        made[0].answers.append(Answer(message(body, status=429, fields=fields)))
        lane = await opened(providers=providers(made, "gemini"), routes=(route(1),))
        before = asyncio.get_running_loop().time()
        raw = request_bytes("/v1beta/models/test-model:generateContent", lane.key,
                            b'{"contents":[{"parts":[{"text":"hi"}]}]}')
        assert (await ask(lane.address, raw)).status == 200
        assert 1.0 <= asyncio.get_running_loop().time() - before < 2.0


async def test_a_credential_that_was_taken_again_rests_as_long_as_at_first(
    opened: Opened
) -> None:
    async with upstreams(plain_answer) as made:
        lane = await opened(providers=providers(made), routes=(route(1),))
        plane = plane_of(lane)
        credentials = plane.policy.plans["openai", "test-model"].places[0].health.credentials
        for _ in range(3):
            made[0].answers.append(FAULTS["429"])
            reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
            assert reply.status == 200  # after a wait
            assert 0 < credentials.wait(plane.now()) < REST_SECONDS


async def test_an_answer_to_a_later_call_ends_the_strikes_of_a_credential(opened: Opened) -> None:
    refused = error(429, "rate_limit_exceeded", x_should_retry="false", retry_after="0")
    async with upstreams(plain_answer) as made:
        lane = await opened(providers=providers(made), routes=(route(1),))
        plane = plane_of(lane)
        credentials = plane.policy.plans["openai", "test-model"].places[0].health.credentials
        raw = request_bytes(TARGET, lane.key, BODY)
        made[0].answers.append(refused)
        assert [(await ask(lane.address, raw)).status for _ in range(2)] == [429, 200]
        made[0].answers.append(error(429, "rate_limit_exceeded", x_should_retry="false"))
        assert (await ask(lane.address, raw)).status == 429
        assert 0 < credentials.wait(plane.now()) <= REST_SECONDS


def test_a_first_event_takes_linear_time() -> None:
    began = time.process_time()
    assert _FIRST_EVENT.match(b"event: error\ndata: {" + b'"error"}' * (1 << 16) + b"\n") is None
    assert time.process_time() - began < 1.0  # with a try for each word it took three minutes
