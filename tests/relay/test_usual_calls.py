"""A usual call is told without a story; whoever looks from outside sees no difference."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from relayd.relay.dispatch import Dispatcher
from relayd.relay.handler import Handler
from relayd.relay.listener import ClientConnection
from tests.fakes.daemon import ANSWER, Lane
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
WHOLE = {"whole", "empty", "last one", "no json"}
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
            monkeypatch.setattr(Dispatcher, "begin", lambda *given: False)
            monkeypatch.setattr(ClientConnection, "_read_whole", lambda *given: False)


async def seen(lane: Lane, answers: list[Answer], body: bytes, leaves: bool) -> list[Any]:
    """What a client, a provider and an operator see of a call behind a usual one."""
    async with RawClient(lane.address) as client:
        usual = await client.ask(request_bytes(TARGET, lane.key, BODY))
        assert usual.status == 200
        lane.upstream.answers.extend(answers)
        await client.send(request_bytes(TARGET, lane.key, body))
        if leaves:
            await asyncio.sleep(0.1)
            vanish(client)
            found: list[Any] = []
        else:
            reply = await client.reply(first_seconds=5)
            assert reply is not None
            names = [name for name, _ in reply.fields if name != b"relay-policy-version"]
            found = [reply.status, reply.body.replace(reply.value(b"x-request-id"), b""), names,
                     reply.closes]
    record = (await lane.settled(2))[-1]
    found.append(msgspec.structs.replace(record, **dict.fromkeys(CHANGING, None)))
    found.append((record.first_byte_ms is None, record.duration_ms is None))
    port = b":%d" % lane.upstream.port
    found.append([request.raw.replace(port, b"") for request in lane.upstream.requests])
    plane = lane.app._plane
    assert plane is not None and not plane.inflight and plane.idle
    found.append((plane.overload.pending_bytes, plane.policy.pools["openai"].busy))
    text = plane.metrics.render().decode()
    found.append([line for line in text.splitlines() if line.startswith((
        "relayd_upstream_attempts_total", "relayd_retries_total", "relayd_call_errors_total"))])
    health = plane.policy.direct["openai"]["test-model"].places[0].health
    found.append((health.circuit.good, health.circuit.streak, health.reach.good,
                  health.reach.streak))
    return found


async def both(
    directory: Path, monkeypatch: pytest.MonkeyPatch, answers: list[Answer], body: bytes,
    leaves: bool = False,
) -> Told:
    """Asks the same of both ways; returns what the lean one was told by."""
    with monkeypatch.context() as patch:
        Told(patch, general=True)
        async with Lane(directory / "general", patterns=("test-*",)) as lane:
            general = await seen(lane, answers, body, leaves)
    with monkeypatch.context() as patch:
        told = Told(patch, general=False)
        async with Lane(directory / "lean", patterns=("test-*",)) as lane:
            assert await seen(lane, answers, body, leaves) == general
    return told


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["json", "stream"])
@pytest.mark.parametrize(("name", "answer"), ANSWERS, ids=[name for name, _ in ANSWERS])
async def test_both_ways_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, answer: Answer, body: bytes
) -> None:
    told = await both(tmp_path, monkeypatch, [answer], body)
    # the first call opens a connection, and so has a story
    assert told.ended == (body is BODY and name in WHOLE)
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


async def test_a_kept_connection_that_had_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await both(tmp_path, monkeypatch, [Answer(b"", after="close")], BODY)
    assert (told.ended, told.stories) == (0, 2)
