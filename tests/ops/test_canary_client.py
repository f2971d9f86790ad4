"""The canary's client, against a relay: whole, half, leaving, over WebSocket, and nobody there."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from relayd.core.canary import RANDOM_BYTES, mark_of
from relayd.core.canary_play import Play, Script
from relayd.ops.canary_client import OPEN_MAX, CanaryClient, Outcome
from tests.fakes.daemon import Lane
from tests.fakes.rawhttp import Request
from tests.fakes.rawupstream import Answer, RawUpstream, message
from tests.fakes.sockets import Provider, realtime_provider
from tests.http.test_tls import Certified

MARK = mark_of(bytes(range(RANDOM_BYTES)))
NEEDLE = MARK.latin.encode()
SSE = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")


def echo(request: Request) -> Answer:
    """Says what it was asked; a stream goes on for ever."""
    if b'"stream":true' in request.body:
        data = b"data: " + NEEDLE + b"\n\n"
        return Answer(SSE + b"%x\r\n%b\r\n" % (len(data), data), after="hold")
    return Answer(message(b'{"choices":[],"said":"' + NEEDLE + b'"}'))


def plays(key: str) -> dict[str, Play]:
    script = Script("relay.test", key, MARK)
    return {play.name: play for play in script.plays(["test-model"], demo=False)}


async def test_each_manner(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store", echo) as lane:
        client = CanaryClient(f"127.0.0.1:{lane.address[1]}", None, NEEDLE)
        made = plays(lane.key)
        assert await client.play(made["chat (test-model)"]) == Outcome(200, True)
        assert client.idle == 1
        assert await client.play(made["chat left in the middle (test-model)"]) == Outcome(
            200, True)
        assert await client.play(made["upload left half-way (test-model)"]) == Outcome(0, False)
        assert await client.play(made["unknown key"]) == Outcome(401, False)
        assert (await client.play(made["too large"])).status == 413
        assert (await client.play(made["realtime (test-model)"])).status in (101, 502, 504)
        await client.close()
        assert client.idle == 0


async def test_over_tls(tmp_path: Path) -> None:
    tls = Certified(tmp_path)
    async with Lane(tmp_path / "store", echo, server={"tls": tls.files}) as lane:
        context = ssl.create_default_context(cafile=tls.ca_file)
        client = CanaryClient(f"127.0.0.1:{lane.address[1]}", context, NEEDLE)
        assert await client.play(plays(lane.key)["chat (test-model)"]) == Outcome(200, True)
        await client.close()


@pytest.mark.parametrize("name", ["chat (test-model)", "body left half-way (test-model)"])
async def test_nobody_is_there(name: str) -> None:
    client = CanaryClient("127.0.0.1:1", None, NEEDLE)
    assert await client.play(plays("k")[name]) == Outcome(0, False)


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[RawUpstream, CanaryClient]]:
    """A listener that answers everything alike, and a client of it."""
    upstream = RawUpstream(lambda request: answer)
    await upstream.start()
    client = CanaryClient(f"127.0.0.1:{upstream.port}", None, NEEDLE)
    try:
        yield upstream, client
    finally:
        await client.close()
        await upstream.stop()


CLOSE = (("Connection", "close"),)
SPLIT = SSE + b"".join(b"1\r\n%c\r\n" % byte for byte in NEEDLE)


@pytest.mark.parametrize(("answer", "outcome", "idle"), [
    (Answer(message(NEEDLE)), Outcome(200, True), 1),
    (Answer(message(b"nothing")), Outcome(200, False), 1),
    (Answer(message(b"", status=404)), Outcome(404, False), 1),
    (Answer(SPLIT + b"0\r\n\r\n"), Outcome(200, True), 1),
    (Answer(message(NEEDLE, fields=CLOSE), after="close"), Outcome(200, True), 0),
    (Answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + NEEDLE, "segments-5", "close"),
     Outcome(200, True), 0),
    (Answer(SPLIT, after="close"), Outcome(200, False), 0),
    (Answer(message(b"x" * 9)[:-1], after="close"), Outcome(200, False), 0),
    (Answer(b"HTTP/1.1 200", after="close"), Outcome(0, False), 0),
    (Answer(b"220 mail ESMTP\r\n\r\n"), Outcome(0, False), 0),
    (Answer(SSE + b"nine\r\n"), Outcome(0, False), 0),
    (Answer(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), Outcome(0, False), 0),
])
async def test_replies_are_read_to_their_end(answer: Answer, outcome: Outcome, idle: int) -> None:
    async with server(answer) as (_, client):
        assert await client.play(plays("k")["chat (test-model)"]) == outcome
        assert client.idle == idle


async def test_only_so_many_connections_stay_open() -> None:
    async with server(Answer(message(b"{}"))) as (upstream, client):
        play = plays("k")["unknown key"]
        for _ in range(OPEN_MAX + 2):
            assert await client.play(play) == Outcome(200, False)
        assert client.idle == OPEN_MAX and upstream.opened == OPEN_MAX + 2


@pytest.mark.parametrize("said", [True, False])
async def test_a_session_says_its_text_and_is_closed(said: bool) -> None:
    async def answers(provider: Provider, socket: ServerConnection) -> None:
        provider.heard.append(await socket.recv())
        await socket.send(f"so {provider.heard[-1]!r}" if said else "no")
        await socket.send("and so on")

    async with realtime_provider(answers) as provider:
        client = CanaryClient(f"127.0.0.1:{provider.address.port}", None, NEEDLE)
        play = replace(plays("k")["realtime (test-model)"], after=MARK.latin)
        assert await client.play(play) == Outcome(101, said)
    assert provider.heard == [MARK.latin] and provider.closes == [(1000, "")]
    assert client.idle == 0
