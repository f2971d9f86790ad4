"""The canary's client, against a relay: whole, half, leaving, over WebSocket, and nobody there."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from relayd.core.canary import RANDOM_BYTES, mark_of
from relayd.core.canary_play import Play, Script
from relayd.ops.canary_client import CanaryClient, Outcome
from tests.fakes.daemon import Lane
from tests.fakes.rawhttp import Request
from tests.fakes.rawupstream import Answer, message
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
