"""Settling: one record per exchange with a key, its usage from the best source there is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.health import SHARE_FAILURES_MIN, Level, State
from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.core.snapshot import KeyGrant
from relayd.core.usage import ENDINGS, Ending, Seen, Usage, usage_of
from relayd.ops.config import MeteringConfig
from relayd.ops.logging import Logger
from relayd.relay.counting import Counting
from relayd.relay.exchange import Exchange
from relayd.relay.plane import Plane
from relayd.relay.settle import Settler, endpoint_name, is_exact
from relayd.relay.streamer import Streamer
from relayd.relay.turn import Turn
from relayd.relay.upstream import Attempt
from relayd.wire.dialect import target_of
from tests.fakes.daemon import ANSWER
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_exchange import exchange
from tests.relay.test_plane import plane_of

NO_USAGE = b'{"choices":[{"message":{"content":"one two three"},"finish_reason":"stop"}]}'


@pytest.mark.parametrize(("path", "name"), [
    ("/v1/chat/completions", "/v1/chat/completions"),
    ("/chat/completions", "/v1/chat/completions"),
    ("/v1beta/models/secret-name:generateContent", "/v1beta/models/{model}:generateContent"),
    ("/v1/models", "/v1/models"),
    ("/v1/models/secret-name", "/v1/models"),
    ("/v1beta/models", "/v1beta/models"),
    ("/v1beta/models/secret-name", "/v1beta/models"),
    ("/v1/files/secret-name", "other"),
    ("/secret-name", "other"),
])
def test_endpoints_have_names_of_a_closed_set(path: str, name: str) -> None:
    made: Exchange = exchange()
    made.head.path = path
    made.target = target_of(path, "openai")
    assert endpoint_name(made) == name


@given(st.sampled_from(sorted(ENDINGS)), st.none() | st.builds(Usage, *[st.integers(0, 9)] * 12),
       st.booleans(), st.floats(0, 1e6), st.floats(0, 600), st.none() | st.floats(0, 600))
def test_what_an_ending_is_recorded_with(
    ending: Ending, reported: Usage | None, covers: bool, started: float, seconds: float,
    first: float | None,
) -> None:
    """The short way for calls that are complete and reported is that of the table."""
    made: Exchange = exchange()
    made.grant = KeyGrant("key", "acct", "app", None, None, False)
    made.ending, made.usage, made.usage_covers, made.started = ending, reported, covers, started
    made.first_byte = None if first is None else started + first
    plane: Plane = None  # type: ignore[assignment]
    record = Settler(plane)._build(made, started + seconds)
    usage, source = usage_of(ending, Seen(reported, covers))
    assert (record.usage_source, record.outcome) == (source, ENDINGS[ending].outcome)
    assert {name: getattr(record, name) for name in usage.__struct_fields__} == (
        msgspec.structs.asdict(usage))
    for told, seconds_true in ((record.duration_ms, (started + seconds) - started),
                               (record.first_byte_ms, (made.first_byte or started) - started)):
        if told is not None:  # to the microsecond
            assert told == round(told, 3) == pytest.approx(seconds_true * 1000, abs=0.000_501)
    assert (record.first_byte_ms is None) is (first is None)
    assert (record.account, record.key, record.app) == ("acct", "key", "app")
    assert msgspec.convert(msgspec.to_builtins(record), CallRecord) == record


async def test_a_record_s_fields(opened: Opened) -> None:
    lane = await opened(routes=(Route("test-model", (Deployment("openai", "theirs"),)),))
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    [record] = await lane.settled(1)
    assert record.id.encode() == reply.value(b"x-request-id") == reply.value(b"request-id")
    assert (record.api, record.endpoint, record.model, record.provider_model, record.provider) == (
        "openai", TARGET, "test-model", "theirs", "openai")
    assert (record.status, record.outcome, record.error, record.attempts, record.stream) == (
        200, "completed", None, 1, False)
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (3, 2, "reported")
    assert record.first_byte_ms is not None and record.duration_ms is not None
    assert 0 < record.first_byte_ms <= record.duration_ms < 5000
    assert lane.key not in repr(record)


@pytest.mark.parametrize(("stream", "chunks", "gap"), [
    (True, 5, 0.5), (True, 2, 2.0), (True, 1, None), (False, 5, None)])
def test_how_long_a_provider_took_between_two_reads_of_a_stream(
    stream: bool, chunks: int, gap: float | None
) -> None:
    told: list[tuple[str, float, float | None]] = []
    metrics = SimpleNamespace(answered=lambda *figures: told.append(figures))
    made: Exchange = exchange()
    made.stream, made.provider = stream, "openai"
    attempt = Attempt(lambda: None)
    attempt.began, attempt.chunks = 1.0, chunks
    Settler(cast(Plane, SimpleNamespace(metrics=metrics)))._measure(made, attempt, 4.0, 6.0)
    assert told == [("openai", 3.0, gap)]


IMAGES = b'{"created":1,"data":[{"url":"https://a.example/1"},{"url":"https://a.example/2"}%b]%b}'


@pytest.mark.parametrize("model", ["dall-e-3", "gpt-image-1"])
async def test_images_without_a_report_are_no_report(opened: Opened, model: str) -> None:
    """A record says where its tokens are from; what images take is in nobody's count."""
    told = b',"usage":{"input_tokens":9,"output_tokens":5}'
    lane = await opened(lambda _: Answer(message(IMAGES % (b"", b""))),
                        metering=MeteringConfig("audit", flush_seconds=0.05))
    body = json.dumps({"model": model, "prompt": "One or two small cats", "n": 2}).encode()
    raw = request_bytes("/v1/images/generations", lane.key, body)
    for _ in range(2):  # a provider that does not report is counted each time
        assert (await ask(lane.address, raw)).status == 200
    lane.upstream.answers.append(Answer(message(IMAGES % (b"", told))))
    assert (await ask(lane.address, raw)).status == 200
    *silent, reported = await lane.settled(3)
    for record in silent:
        assert (record.usage_source, record.images) == ("estimated", 2)
        assert record.input_tokens == record.counted_input_tokens == 5
        assert record.output_tokens == 0
    assert (reported.usage_source, reported.input_tokens, reported.output_tokens,
            reported.images) == ("reported", 9, 5, 2)


@pytest.mark.parametrize(("model", "source"), [("gpt-4o", "counted"), ("mystery", "estimated")])
async def test_without_a_report_the_relay_s_own_count(
    opened: Opened, model: str, source: str
) -> None:
    lane = await opened(lambda _: Answer(message(NO_USAGE)))
    body = BODY.replace(b"test-model", model.encode())
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, body))).status == 200
    [record] = await lane.settled(1)
    assert record.usage_source == source and record.input_tokens == record.counted_input_tokens
    assert record.output_tokens == record.counted_output_tokens == 3


async def test_an_error_costs_nothing(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(message(b'{"error":{"message":"x"}}', status=500)))
    await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    [record] = await lane.settled(1)
    assert (record.usage_source, record.input_tokens, record.output_tokens) == ("none", 0, 0)
    assert record.counted_input_tokens == 8  # known all the same


async def test_without_a_key_there_is_a_figure_and_no_record(opened: Opened) -> None:
    lane = await opened()
    await ask(lane.address, request_bytes(TARGET, "sk-relayd-wrong", BODY))
    async with RawClient(lane.address) as client:
        await client.send(b"nonsense\r\n\r\n")
        assert (await client.final_reply()).status == 400
    await asyncio.sleep(0.1)
    assert await lane.records() == []
    text = await figures(lane.app.ops_address)
    assert b'invalid_key"' in text and b'bad_http"' in text


async def figures(address: tuple[str, int]) -> bytes:
    """The relay's metrics, as its ops listener gives them."""
    return (await ask(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")).body


async def test_forty_calls_at_once_are_forty_records(opened: Opened) -> None:
    lane = await opened()
    raw = request_bytes(TARGET, lane.key, BODY)
    replies = await asyncio.gather(*(ask(lane.address, raw) for _ in range(40)))
    assert {r.body for r in replies} == {ANSWER}
    records = await lane.settled(40)
    assert {r.id.encode() for r in records} == {r.value(b"x-request-id") for r in replies}
    await asyncio.sleep(0.1)
    assert len(await lane.records()) == 40


async def test_calls_that_end_in_one_turn_are_recorded_before_it_is_sent(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await opened()
    plane = plane_of(lane)
    calls, build = [about_to_settle(plane) for _ in range(4)], Settler._build
    transport = Written(lambda: len(plane.meter))
    plane.turn = Turn(calls, lambda work: None)
    before = len(plane.meter)

    def failing(self: Settler, made: Exchange, ended: float) -> CallRecord:
        if made is calls[1]:
            raise ZeroDivisionError
        return build(self, made, ended)

    faults: list[tuple[str, type[BaseException]]] = []
    monkeypatch.setattr(
        Logger, "fault", lambda self, what, fault, **_: faults.append((what, type(fault))))
    monkeypatch.setattr(Settler, "_build", failing)
    plane.turn.write(cast(asyncio.Transport, transport), b"one")
    for made in calls:
        plane.settler.settle(made)
    assert plane.unsettled == 4 and len(plane.meter) == before
    plane.turn.flush()
    # a defect costs no other call anything
    assert transport.seen == [before + 3] and plane.idle
    assert faults == [("settle", ZeroDivisionError)]
    plane.turn.flush()
    plane.settler.settle(about_to_settle(plane))
    assert len(plane.meter) == before + 4 and plane.idle
    lane.app.metrics.fold()
    assert sum(cell.calls for cell in lane.app.metrics._cells.values()) == 4


class Written:
    """A transport that asks something when it is written to."""

    def __init__(self, ask: Callable[[], int]) -> None:
        self.seen: list[int] = []
        self._ask = ask

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.seen.append(self._ask())


def about_to_settle(plane: Plane) -> Exchange:
    made: Exchange = exchange()
    made.policy, made.grant = plane.policy, KeyGrant("key", "acct", "app", None, None, False)
    return made


START = (b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":'
         b'30,"cache_read_input_tokens":100,"output_tokens":1}}}\n\n')
TEXT = (b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        b'{"type":"text_delta","text":"one two three four five six"}}\n\n')
OVERLOADED = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
CHAT_TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"one two three"}}]}\n\n'
CHAT_ERROR = b'data: {"error":{"message":"x"}}\n\n'
GIVEN = b'"usage":{"prompt_tokens":9,"completion_tokens":5}'
MESSAGES = "/v1/messages"
ASKED = {TARGET: BODY.replace(b"test-model", b"gpt-4o")[:-1] + b',"stream":true}',
         MESSAGES: BODY[:-1] + b',"max_tokens":9,"stream":true}'}


@pytest.mark.parametrize(("target", "events", "outcome", "source", "tokens"), [
    # what came first gives the input exactly; the output is what was passed
    (MESSAGES, START + TEXT, "provider_truncated", "estimated", (130, 6)),
    (MESSAGES, START, "provider_truncated", "reported", (130, 1)),
    (MESSAGES, START + TEXT + OVERLOADED, "provider_error", "estimated", (130, 6)),
    (MESSAGES, OVERLOADED, "provider_error", "none", (0, 0)),
    (TARGET, CHAT_TEXT, "provider_truncated", "counted", (8, 3)),
    (TARGET, b": nothing\n\n", "provider_truncated", "none", (0, 0)),
    (TARGET, CHAT_TEXT + CHAT_ERROR, "provider_error", "counted", (8, 3)),
    (TARGET, CHAT_ERROR, "provider_error", "none", (0, 0)),
    (TARGET, CHAT_TEXT + CHAT_ERROR[:-3] + b"," + GIVEN + b"}\n\n", "provider_error", "reported",
     (9, 5)),
    # a count on the way covers what came with it
    (TARGET, CHAT_TEXT[:-3] + b"," + GIVEN + b"}\n\n", "provider_truncated", "reported", (9, 5)),
])
async def test_what_a_broken_stream_is_recorded_with(
    opened: Opened, target: str, events: bytes, outcome: str, source: str,
    tokens: tuple[int, int],
) -> None:
    whole = message(events, "text/event-stream", chunked=True)
    lane = await opened(lambda _: Answer(whole))
    await ask(lane.address, request_bytes(target, lane.key, ASKED[target]))
    [record] = await lane.settled(1)
    assert (record.outcome, record.usage_source) == (outcome, source)
    assert (record.input_tokens, record.output_tokens) == tokens
    assert record.cache_read_input_tokens == (100 if tokens[0] == 130 else 0)


async def test_usage_that_comes_with_an_error_is_recorded(opened: Opened) -> None:
    body = b'{"error":{"message":"x"},' + GIVEN + b"}"
    lane = await opened(lambda _: Answer(message(body, status=400)))
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert reply.body == body
    [record] = await lane.settled(1)
    assert (record.outcome, record.usage_source) == ("provider_error", "reported")
    assert (record.input_tokens, record.output_tokens) == (9, 5)


async def test_nobody_pays_for_a_defect_of_ours(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Streamer, "_judge", broken)
    lane = await opened()
    await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    [record] = await lane.settled(1)
    assert (record.outcome, record.error, record.usage_source) == (
        "interrupted", "internal", "none")
    assert record.counted_input_tokens == 8  # known all the same


async def test_what_the_provider_took_and_what_the_relay(opened: Opened) -> None:
    events = b"".join(b"data: {}\n\n" for _ in range(9)) + b"data: [DONE]\n\n"
    stream = message(events, "text/event-stream", chunked=True)
    lane = await opened(lambda _: Answer(stream, "segments-60"))
    metrics = lane.app.metrics
    gaps, answers = metrics._gaps["openai"], metrics._answers["openai"]
    for number in range(3):
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, STREAM))).status == 200
        await lane.settled(number + 1)
        metrics.fold()
        # the first call opens the connection, which is no work of the relay's
        assert sum(metrics._overhead.counts) == number
        assert sum(answers.counts) == sum(gaps.counts) == number + 1
    assert 0 < metrics._overhead.total < 1 and 0 < answers.total < 3 and 0 < gaps.total < 1
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, b"{"))).status == 400
    await lane.settled(4)
    metrics.fold()
    assert sum(answers.counts) == 3 and sum(metrics._overhead.counts) == 2


async def test_a_body_that_comes_late_is_not_the_relay_s_overhead(opened: Opened) -> None:
    lane = await opened()
    raw = request_bytes(TARGET, lane.key, BODY)
    async with RawClient(lane.address) as client:
        for _ in range(2):
            await client.send(raw[:-20])
            await asyncio.sleep(0.3)
            await client.send(raw[-20:])
            reply = await client.reply()
            assert reply is not None and reply.status == 200
    lane.app.metrics.fold()
    overhead = lane.app.metrics._overhead
    assert sum(overhead.counts) == 1 and overhead.total < 0.2


async def test_streams_that_break_off_count_against_their_deployment(opened: Opened) -> None:
    """Each had an answer's head, so none is a failure in a row: their share tells."""
    broken = message(CHAT_TEXT, "text/event-stream", chunked=True)
    sound = message(CHAT_TEXT + b"data: [DONE]\n\n", "text/event-stream", chunked=True)
    replies = [sound, *[broken] * SHARE_FAILURES_MIN]
    lane = await opened(lambda _: Answer(replies[number]),
                        routes=(Route("gpt-4o", (Deployment("openai"),)),))
    plane = plane_of(lane)
    circuit = plane.policy.plans["openai", "gpt-4o"].places[0].health.circuit
    for number in range(len(replies)):
        assert circuit.level(plane.now()) is Level.READY
        await ask(lane.address, request_bytes(TARGET, lane.key, ASKED[TARGET]))
        await lane.settled(number + 1)
    assert circuit.state is State.HEALTHY and circuit.level(plane.now()) is Level.STRAINED


@pytest.mark.parametrize(("ending", "error", "counts"), [
    ("provider_truncated", "upstream_truncated", True),
    ("provider_truncated", "upstream_stalled", True),
    ("provider_truncated", "internal", False),
    ("provider_failed", "upstream_truncated", False),  # before a reply's head: counted there
    ("left", "client_left", False),
])
async def test_which_ends_count_against_a_deployment(
    opened: Opened, ending: Ending, error: str, counts: bool
) -> None:
    plane = plane_of(await opened())
    failures: list[bool] = []
    circuit = SimpleNamespace(failed=lambda now, hard: failures.append(hard))
    made = about_to_settle(plane)
    made.ending, made.error = ending, error
    made.place = SimpleNamespace(  # type: ignore[assignment]
        health=SimpleNamespace(circuit=circuit))
    plane.settler.settle(made)
    assert failures == [False] * counts


async def test_who_reports_usage_is_known_from_complete_answers_alone(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, ...]] = []
    monkeypatch.setattr(Counting, "reported", lambda self, *what: told.append(what))
    replies = [message(ANSWER), message(NO_USAGE),
               message(b'{"error":{"message":"x"}}', status=400),
               message(CHAT_TEXT, "text/event-stream", chunked=True)]
    lane = await opened(lambda _: Answer(replies[count]),
                        routes=(Route("test-model", (Deployment("openai", "theirs"),)),))
    for count, body in enumerate((BODY, BODY, BODY, STREAM)):
        await ask(lane.address, request_bytes(TARGET, lane.key, body))
        await lane.settled(count + 1)
    assert [(what[0], what[1], what[3]) for what in told] == [
        ("openai", "theirs", True), ("openai", "theirs", False)]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("prompt", [None, True, False])
@pytest.mark.parametrize("counter", [None, True, False])
def test_counts_are_exact_where_all_three_are(
    exact: bool, prompt: bool | None, counter: bool | None
) -> None:
    made: Exchange = exchange()
    made.encoding_exact = exact
    made.prompt, made.counter = (  # type: ignore[assignment]
        None if approximate is None else SimpleNamespace(approximate=approximate)
        for approximate in (prompt, counter))
    assert is_exact(made) is (exact and prompt is False and counter is False)
