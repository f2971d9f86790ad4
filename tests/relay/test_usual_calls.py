"""A usual call is told without a story; whoever looks from outside sees no difference."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relayd.relay.dispatch import Dispatcher
from relayd.relay.exchange import Exchange
from relayd.relay.handler import Handler
from relayd.relay.listener import ClientConnection
from relayd.relay.streamer import Streamer
from relayd.relay.upstream import Attempt, UpstreamConnection
from tests.fakes.daemon import ANSWER, PATIENT, Lane
from tests.fakes.rawclient import RawClient, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import EVENTS, chunk, vanish
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.test_handler import EVENT, FAULTS

ANSWERS: list[tuple[str, Answer]] = [
    ("whole", Answer(message(ANSWER))),
    ("in chunks", Answer(message(ANSWER, chunked=True))),
    ("in pieces", Answer(message(ANSWER), "segments-40")),
    ("empty", Answer(message(b""))),
    ("no content", Answer(b"HTTP/1.1 204 No\r\n\r\n")),
    ("to the end", Answer(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + ANSWER,
                          after="close")),
    ("last one", Answer(message(ANSWER, fields=(("Connection", "close"),)))),
    ("events", Answer(EVENTS + chunk(EVENT) + chunk(b"data: [DONE]\n\n") + chunk(b""))),
    ("events at once", Answer(message(EVENT + b"data: [DONE]\n\n", "text/event-stream"))),
    ("refused", Answer(message(b'{"error":{"message":"no","code":"x"}}', status=400))),
    ("moved", Answer(message(b"", status=302))),
    ("no answer", Answer(b"", after="hold")),
    ("no end", Answer(message(ANSWER)[:-5], after="hold")),
    *FAULTS,
]
WHOLE = {"whole", "in chunks", "empty", "last one", "no json", "events", "events at once"}
SAID = b'data: {"choices":[{"index":0,"delta":{"content":"one"},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
SILENT = STREAM.replace(b',"stream_options":{"include_usage":true}', b"")
CHATS = {
    "whole": EVENT + SAID + USAGE + DONE,
    "CR LF": (EVENT + USAGE + DONE).replace(b"\n", b"\r\n"),
    "empty": b"",
    "usage alone": USAGE,
    "cut short": EVENT,
    "cut inside": EVENT + USAGE + EVENT[:20],
    "cut inside usage": SAID + USAGE[:-2],
    "no events": b"<html>",
    "failed": EVENT + b'data: {"error":{"message":"x"}}\n\n',
}
START = b'event: message_start\ndata: {"type":"message_start","message":{"usage":%b}}\n\n' % (
    b'{"input_tokens":3,"output_tokens":1}')
DELTA = (b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
         b'"delta":{"type":"text_delta","text":"one"}}\n\n')
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
FAILED = b'event: error\ndata: {"type":"error","error":{"type":"%b","message":"x"}}\n\n'
MESSAGES = {
    "whole": START + DELTA * 3 + STOP,
    "cut short": START + DELTA,
    "other names first": b"event: ping\ndata: {}\n\n" + START + DELTA + STOP,
    "overloaded": FAILED % b"overloaded_error",
    "refused": FAILED % b"invalid_request_error",
    "failed later": START + DELTA + FAILED % b"overloaded_error",
    "half an error": FAILED[:20],
    "empty": b"",
}
CHANGING = ("id", "started_at_ms", "account", "key", "first_byte_ms", "duration_ms")


class Told:
    """Counts the calls that end without a story."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, general: bool) -> None:
        self.ended = self.stories = 0
        tell, copied = Handler._tell_from, Dispatcher.served

        def counted(handler: Handler, *given: Any) -> None:
            self.stories += 1
            tell(handler, *given)

        def served(dispatcher: Dispatcher, *given: Any) -> None:
            self.ended += 1
            copied(dispatcher, *given)

        monkeypatch.setattr(Handler, "_tell_from", counted)
        monkeypatch.setattr(Dispatcher, "served", served)
        if general:
            copy_whole = Streamer.copy_whole

            def measured(streamer: Streamer, exchange: Exchange, attempt: Attempt) -> bool:
                head = attempt.head
                if head is None or head.length is None or b"event-stream" in head.content_type:
                    return False
                return copy_whole(streamer, exchange, attempt)

            monkeypatch.setattr(Streamer, "copy_whole", measured)
            monkeypatch.setattr(Dispatcher, "begin", lambda *given: None)
            monkeypatch.setattr(ClientConnection, "_read_whole", lambda *given: False)


async def seen(
    lane: Lane, answers: list[Answer], body: bytes, leaves: bool, target: str
) -> list[Any]:
    """What a client, a provider and an operator see of a call behind a usual one."""
    api = "openai" if target == TARGET else "anthropic"
    async with RawClient(lane.address) as client:
        usual = await client.ask(request_bytes(target, lane.key, BODY))
        assert usual.status == 200
        lane.upstream.answers.extend(answers)
        await client.send(request_bytes(target, lane.key, body))
        if leaves:
            await asyncio.sleep(0.1)
            vanish(client)
            found: list[Any] = []
        else:
            reply = await client.reply(first_seconds=5)
            assert reply is not None
            names = [name for name, _ in reply.fields if name != b"relay-policy-version"]
            found = [reply.status, reply.body.replace(reply.value(b"x-request-id"), b""), names,
                     reply.closes, reply.ended]
    record = (await lane.settled(2))[-1]
    found.append(msgspec.structs.replace(record, **dict.fromkeys(CHANGING, None)))
    found.append((record.first_byte_ms is None, record.duration_ms is None))
    port = b":%d" % lane.upstream.port
    found.append([request.raw.replace(port, b"") for request in lane.upstream.requests])
    plane = lane.app._plane
    assert plane is not None and not plane.inflight and plane.idle
    found.append((plane.overload.pending_bytes, plane.policy.pools[api].busy))
    text = plane.metrics.render().decode()
    found.append([line for line in text.splitlines() if line.startswith((
        "relayd_upstream_attempts_total", "relayd_retries_total", "relayd_call_errors_total"))])
    health = plane.policy.direct[api]["test-model"].places[0].health
    found.append((health.circuit.good, health.circuit.streak, health.reach.good,
                  health.reach.streak))
    return found


async def both(
    directory: Path, monkeypatch: pytest.MonkeyPatch, answers: list[Answer], body: bytes,
    leaves: bool = False, target: str = TARGET,
) -> Told:
    """Asks the same of both ways; returns what the lean one was told by."""
    timeouts = PATIENT
    if not leaves and any(answer.after == "hold" for answer in answers):
        timeouts = replace(PATIENT, first_byte=1.0, idle=1.0)
    named: dict[str, Any] = {
        "patterns": ("test-*",), "provider_changes": {"timeouts": timeouts}}
    with monkeypatch.context() as patch:
        Told(patch, general=True)
        async with Lane(directory / "general", **named) as lane:
            general = await seen(lane, answers, body, leaves, target)
    with monkeypatch.context() as patch:
        told = Told(patch, general=False)
        async with Lane(directory / "lean", **named) as lane:
            assert await seen(lane, answers, body, leaves, target) == general
    return told


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["json", "stream"])
@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=[name for name, _ in ANSWERS])
async def test_both_ways_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, answer: Answer, body: bytes
) -> None:
    told = await both(tmp_path, monkeypatch, [answer], body)
    # the first call opens a connection, and so has a story
    assert told.ended == (name in WHOLE)
    assert told.stories == 2 - told.ended


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("body", [STREAM, SILENT], ids=["usage", "silent"])
@pytest.mark.parametrize("name", CHATS)
async def test_a_stream_that_comes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: bytes, chunked: bool
) -> None:
    answer = Answer(message(CHATS[name], "text/event-stream", chunked=chunked))
    told = await both(tmp_path, monkeypatch, [answer], body)
    assert (told.ended, told.stories) == (1, 1)


@pytest.mark.parametrize("name", MESSAGES)
async def test_a_messages_stream_that_comes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    answers = [Answer(message(MESSAGES[name], "text/event-stream", chunked=True))] * 4
    body = BODY[:-1] + b',"max_tokens":9,"stream":true}'
    told = await both(tmp_path, monkeypatch, answers, body, target="/v1/messages")
    assert told.ended == MESSAGES[name].startswith(START)
    assert told.stories == 2 - told.ended


@pytest.mark.parametrize("body", [b'{"a":', BODY.replace(b"test", b"no")])
async def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    told = await both(tmp_path, monkeypatch, [], body)
    assert (told.ended, told.stories) == (0, 1)


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["json", "stream"])
async def test_a_client_that_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    told = await both(tmp_path, monkeypatch, [Answer(b"", after="hold")], body, leaves=True)
    assert (told.ended, told.stories) == (0, 2)


async def test_a_connection_that_fails_while_it_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = UpstreamConnection.begin

    def broken(connection: UpstreamConnection, attempt: Attempt, data: bytes) -> None:
        begin(connection, attempt, b"" if connection.uses == 1 else data)
        if connection.uses == 2:
            connection.connection_lost(OSError())

    monkeypatch.setattr(UpstreamConnection, "begin", broken)
    told = await both(tmp_path, monkeypatch, [], BODY)
    assert (told.ended, told.stories) == (0, 2)


async def test_a_kept_connection_that_had_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await both(tmp_path, monkeypatch, [Answer(b"", after="close")], BODY)
    assert (told.ended, told.stories) == (0, 2)
