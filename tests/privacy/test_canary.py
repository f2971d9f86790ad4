"""Canaries through every endpoint and every failure of a real daemon: then found nowhere.

Searched are the store (database, WAL, shared memory, secret), everything the process wrote at
debug level, its metrics, its temporary files and its working directory; and, for what tells
identity, all bytes that the provider received. The process ends by SIGTERM, and another one by
SIGKILL, with a stream and an upload under way.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fakes.daemon import records
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import RawClient
from tests.fakes.rawhttp import Reply, Request
from tests.fakes.rawupstream import Answer, RawUpstream, message
from tests.privacy.canary import (
    CONTENT, IDENTITY, chat, contents, found_below, found_in, head, messages, request, upload,
)

CHAT, FORM = "/v1/chat/completions", "multipart/form-data; boundary=b"
GENERATE = "/v1beta/models/test-model:generateContent"
REPLY = (b'{"choices":[{"index":0,"message":{"role":"assistant","content":"zq7content-answer"}}],'
         b'"usage":{"prompt_tokens":1,"completion_tokens":1}}')
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"zq7content-delta"}}]}\n\n'
ERROR = b'{"error":{"message":"zq7content-error org-zq7identity-org","code":"zq7content-code"}}'
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM = Answer(SSE + chunk(EVENT) * 3 + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")
HELD = Answer(SSE + chunk(EVENT), after="hold")

PLAYS: dict[str, tuple[str, bytes, str, Answer, set[int]]] = {
    # what the client asks, its content type, what the provider does, what the client gets
    "chat": (CHAT, chat(), "", Answer(message(REPLY)), {200}),
    "chat with a query": (f"{CHAT}?user={IDENTITY}query", chat(), "", Answer(message(REPLY)),
                          {200}),
    "stream": (CHAT, chat(stream=True), "", STREAM, {200}),
    "messages": ("/v1/messages", messages(), "", Answer(message(b'{"content":[]}')), {200}),
    "gemini": (GENERATE, contents(), "", Answer(message(b'{"candidates":[]}')), {200}),
    "upload": ("/v1/audio/transcriptions", upload(), FORM, Answer(message(REPLY)), {200}),
    "unknown model": (CHAT, chat(model=f"{IDENTITY}model"), "", Answer(message(REPLY)), {404}),
    "unknown path": (f"/v1/{IDENTITY}path", chat(), "", Answer(message(REPLY)), {404}),
    "unknown model in the path": (f"/v1beta/models/{IDENTITY}m:generateContent", contents(), "",
                                  Answer(message(REPLY)), {404}),
    "broken JSON": (CHAT, chat()[:-3], "", Answer(message(REPLY)), {400}),
    "JSON that is text": (CHAT, f'"{CONTENT}text"'.encode(), "", Answer(message(REPLY)), {400}),
    "wrong type": (CHAT, chat(messages=f"{CONTENT}text"), "", Answer(message(REPLY)), {200, 400}),
    "bad unicode": (CHAT, chat()[:-9] + b'\xff\xfe"}', "", Answer(message(REPLY)), {400}),
    "refused field": ("/v1/responses",
                      b'{"model":"test-model","input":"zq7content-prompt",'
                      b'"previous_response_id":"zq7identity-response"}', "",
                      Answer(message(REPLY)), {400}),
    "broken upload": ("/v1/audio/transcriptions", upload()[:-9], FORM, Answer(message(REPLY)),
                      {400}),
    "too large": (CHAT, chat(zq7=f"{CONTENT}large" * 200_000), "", Answer(message(REPLY)), {413}),
    "bad coding": (CHAT, chat(), "application/json\r\nContent-Encoding: gzip",
                   Answer(message(REPLY)), {400, 415}),
    "provider's 400": (CHAT, chat(), "", Answer(message(ERROR, status=400)), {400}),
    "provider's 401": (CHAT, chat(), "", Answer(message(ERROR, status=401)), {401}),
    "provider's 429": (CHAT, chat(), "", Answer(message(ERROR, status=429)), {429}),
    "provider's 500": (CHAT, chat(), "", Answer(message(ERROR, status=500)), {500}),
    "reset": (CHAT, chat(), "", Answer(b"", after="reset"), {502}),
    "garbage": (CHAT, chat(), "", Answer(b"zq7content-garbage\r\n\r\n", after="close"), {502}),
    "cut": (CHAT, chat(), "", Answer(message(REPLY)[:-5], after="close"), {200, 502}),
    "silence": (CHAT, chat(), "", Answer(b"", after="hold"), {504}),
    "broken answer": (CHAT, chat(), "", Answer(message(REPLY[:-9])), {200}),
    "stream cut": (CHAT, chat(stream=True), "", Answer(SSE + chunk(EVENT), after="close"), {200}),
    "stream reset": (CHAT, chat(stream=True), "", Answer(SSE + chunk(EVENT), after="reset"),
                     {200}),
    "stream stalled": (CHAT, chat(stream=True), "", HELD, {200}),
    "error in the stream": (CHAT, chat(stream=True), "",
                            Answer(SSE + chunk(b"data: " + ERROR + b"\n\n") + b"0\r\n\r\n"),
                            {200}),
    "broken event": (CHAT, chat(stream=True), "",
                     Answer(SSE + chunk(EVENT[:-20] + b"\n\n") + b"0\r\n\r\n"), {200}),
}

REFUSED: dict[str, tuple[bytes, int]] = {
    # whole requests that never get as far as a key
    "unknown key": (request(CHAT, f"sk-relayd-{IDENTITY}key", chat()), 401),
    "no key": (request(CHAT, "", chat()), 401),
    "key in the query": (request(f"{CHAT}?key={IDENTITY}key", "", chat()), 401),
    "bad field": (b"POST / HTTP/1.1\r\nHost: zq7identity-host\r\nzq7identity field: x\r\n\r\n",
                  400),
    "bad line": (b"zq7identity-line zq7content-line\r\n\r\n", 400),
    "bad host": (b"POST / HTTP/1.1\r\nHost: zq7identity host\r\n\r\n", 400),
    "large head": (head(CHAT, IDENTITY, [("X-A", IDENTITY + "x" * 60_000)]).encode() + b"\r\n",
                   431),
}


@asynccontextmanager
async def daemon(directory: Path) -> AsyncIterator[tuple[DaemonProcess, RawUpstream]]:
    """A daemon in its own process, and the provider that it has."""
    def hold(_: Request) -> Answer:
        return HELD

    upstream = RawUpstream(hold)
    await upstream.start()
    try:
        async with DaemonProcess(directory, upstream.port) as process:
            yield process, upstream
    finally:
        await upstream.stop()


async def metrics(process: DaemonProcess) -> bytes:
    raw = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    async with RawClient(process.ops_address) as client:
        reply = await client.ask(raw)
    assert reply.status == 200
    return reply.body


async def asked(process: DaemonProcess, raw: bytes) -> Reply:
    async with RawClient(process.address) as client:
        return await client.ask(raw)


async def leave(process: DaemonProcess, raw: bytes, *, after_reply: bool) -> None:
    """Asks and goes away, before the answer has come or in its middle."""
    async with RawClient(process.address) as client:
        await client.send(raw)
        if after_reply:
            await client.reader.readuntil(b"zq7content-delta")
        client.reset()


def nothing_left(process: DaemonProcess) -> None:
    assert found_below(process.directory) == {}
    assert list((process.directory / "tmp").iterdir()) == []
    assert list((process.directory / "cwd").iterdir()) == []


def sees_content_alone(upstream: RawUpstream) -> None:
    found = {canary for data in upstream.received for canary in found_in(bytes(data))}
    assert {canary for canary in found if canary.startswith(IDENTITY)} == set()
    assert any(canary.startswith(CONTENT + "prompt") for canary in found)
    assert any(canary.startswith(CONTENT + "upload") for canary in found)


async def test_P2_canaries_are_found_nowhere(tmp_path: Path) -> None:
    async with daemon(tmp_path / "daemon") as (process, upstream):
        for name, (target, body, kind, answer, statuses) in PLAYS.items():
            upstream.reset()
            upstream.answers.extend([answer] * 2)
            kind = kind or "application/json"
            reply = await asked(process, request(target, process.key, body, kind))
            assert reply.status in statuses, name
        upstream.reset()
        for name, (raw, status) in REFUSED.items():
            assert (await asked(process, raw)).status == status, name
        streaming = request(CHAT, process.key, chat(stream=True))
        await leave(process, streaming, after_reply=False)
        await leave(process, streaming, after_reply=True)
        form = request("/v1/audio/transcriptions", process.key, upload(2_000_000), FORM)
        await leave(process, form[:-9_000], after_reply=False)
        await asyncio.sleep(0.3)
        assert found_in(await metrics(process)) == []
        nothing_left(process)
        async with RawClient(process.address) as client:
            await client.send(streaming)
            await client.reader.readuntil(b"zq7content-delta")
            assert await process.end(signal.SIGTERM) == 0
        nothing_left(process)
        sees_content_alone(upstream)
        kept = await records(tmp_path / "daemon" / "store")
        assert len(kept) >= len(PLAYS)
        assert {"completed", "refused", "provider_error", "provider_truncated",
                "client_left"} <= {record.outcome for record in kept}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_P2_nothing_is_left_by_a_sudden_end(tmp_path: Path, number: signal.Signals) -> None:
    async with daemon(tmp_path / "daemon") as (process, upstream):
        upstream.answers.append(Answer(message(REPLY)))
        await asked(process, request(CHAT, process.key, chat()))
        async with RawClient(process.address) as one, RawClient(process.address) as two:
            await one.send(request(CHAT, process.key, chat(stream=True)))
            await one.reader.readuntil(b"zq7content-delta")
            form = request("/v1/audio/transcriptions", process.key, upload(2_000_000), FORM)
            await two.send(form[:-9_000])
            await asyncio.sleep(0.3)
            assert await process.end(number) == -number
        nothing_left(process)
        sees_content_alone(upstream)


def test_a_canary_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"\0" * 5000 + b"x" + CONTENT.encode() + b"prompt\0")
    (tmp_path / f"{IDENTITY}name").touch()
    (tmp_path / "clean").write_text("nothing")
    assert set(found_below(tmp_path)) == {str(tmp_path / "a" / "b"),
                                          str(tmp_path / f"{IDENTITY}name")}
    assert found_in(b"say zq7content-prompt and zq7identity-user") == [
        "zq7content-prompt and zq7identi", "zq7identity-user"]
