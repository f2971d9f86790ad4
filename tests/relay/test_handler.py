"""The story of an exchange: told once, whatever goes wrong, and with one record at most."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest

from relayd.control import account, key
from relayd.core.key import mint
from relayd.ops.clock import unix_ms
from relayd.ops.metrics import Metrics
from relayd.relay.pool import Pool
from relayd.relay.stream import Stream
from relayd.relay.streamer import Streamer
from relayd.relay.upstream import UpstreamConnection
from tests.fakes import standing
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import EVENTS, chunk, stepped, vanish
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'
STRANGER = mint(bytes(32))
TARGETS = {"openai": TARGET, "anthropic": "/v1/messages",
           "gemini": "/v1beta/models/test-model:generateContent"}
UNROUTED = BODY.replace(b"test-model", b"no-such-model")


def chat(lane: Lane, body: bytes = BODY) -> bytes:
    return request_bytes(TARGET, lane.key, body)


def told(api: str, body: bytes) -> Any:
    """What an error's body says, in the shape of its dialect."""
    error = json.loads(body)
    if api == "anthropic":
        assert error["type"] == "error" and set(error) == {"type", "error", "request_id"}
    return error["error"]


REFUSALS = [
    ("stranger", 401, ("invalid_request_error", "authentication_error", "UNAUTHENTICATED")),
    ("broken", 400, ("invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT")),
    ("large", 413, ("invalid_request_error", "request_too_large", "INVALID_ARGUMENT")),
    ("unrouted", 404, ("invalid_request_error", "not_found_error", "NOT_FOUND")),
]


@pytest.mark.parametrize("api", TARGETS)
@pytest.mark.parametrize(("case", "status", "words"), REFUSALS, ids=[row[0] for row in REFUSALS])
async def test_bad_input(
    opened: Opened, case: str, status: int, words: tuple[str, ...], api: str
) -> None:
    lane = await opened(patterns=("test-*",), server={"max_body_bytes": 500})
    target = TARGETS[api].replace("test-model", "no-such" if case == "unrouted" else "test-model")
    body = {"broken": b'{"a":', "large": b" " * 501, "unrouted": UNROUTED}.get(case, BODY)
    presented = STRANGER if case == "stranger" else lane.key
    reply = await ask(lane.address, request_bytes(target, presented, body))
    assert reply.status == status
    error = told(api, reply.body)
    if api == "openai":
        word = "authentication_error" if case == "stranger" else words[0]
        assert error["type"] == word and {"message", "code", "param"} < set(error)
    elif api == "anthropic":
        assert error["type"] == words[1]
    else:
        assert error["status"] == words[2] and error["code"] == status
    assert len(error["message"]) > 20 and reply.value(b"x-should-retry") == b"false"
    await asyncio.sleep(0.1)
    records = await lane.records()
    assert [r.outcome for r in records] == ([] if case == "stranger" else ["refused"])
    assert all((r.status, r.attempts, r.api) == (status, 0, api) for r in records)
    assert lane.upstream.requests == []


async def test_a_key_that_expires_or_is_revoked(opened: Opened) -> None:
    lane = await opened()
    owner = await account.create(lane.app.db, "b@example.com", None, unix_ms())
    brief = await key.create(
        lane.app.db, owner.id, key.KeyWish("brief", expires_at_ms=unix_ms() + 700), unix_ms())
    await lane.app.refresh()
    async with RawClient(lane.address) as client:  # one head, many times: its memo must not hold
        raw = request_bytes(TARGET, brief.text, BODY)
        assert (await client.ask(raw)).status == 200
        await asyncio.sleep(0.75)
        reply = await client.ask(raw)
        assert reply.status == 401 and b"expired" in reply.body
    async with RawClient(lane.address) as client:
        assert (await client.ask(chat(lane))).status == 200
        [mine] = [k for k in await key.listing(lane.app.db) if k.name == "tests"]
        await key.revoke(lane.app.db, mine.id, unix_ms())
        await asyncio.sleep(0.9)  # within a second
        assert (await client.ask(chat(lane))).status == 401
    assert len(await lane.settled(2)) == 2


async def test_an_account_that_is_suspended(opened: Opened) -> None:
    lane = await opened()
    await standing.move(lane.app.db, "someone@example.com", "suspend", 1)
    await lane.app.refresh()
    assert (await ask(lane.address, chat(lane))).status == 403
    await standing.move(lane.app.db, "someone@example.com", "resume", 2)
    await lane.app.refresh()
    assert (await ask(lane.address, chat(lane))).status == 200


async def test_what_was_dropped_is_named(opened: Opened) -> None:
    lane = await opened()
    body = BODY[:-1] + b',"user":"me","x_unknown":1}'
    reply = await ask(lane.address, chat(lane, body))
    names = reply.value(b"relay-dropped").split(b", ")
    assert b"user" in names and b"x_unknown" in names
    reply = await ask(lane.address, chat(lane))
    assert reply.values(b"relay-dropped") == []


def form(lane: Lane, **fields: str) -> bytes:
    """An upload; `file` comes last."""
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (
            name.encode(), value.encode()) for name, value in fields.items())
    body += (b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
             b"sound\r\n--x--\r\n")
    return request_bytes("/v1/audio/transcriptions", lane.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Content-Length", str(len(body))))) + body


@pytest.mark.parametrize("pace", ["once", "segments-60"])
async def test_what_was_dropped_of_an_upload_is_named(opened: Opened, pace: str) -> None:
    lane = await opened(lambda _: Answer(message(b'{"text":"Hi"}')))
    async with RawClient(lane.address) as client:
        await client.send(form(lane, model="m", user="me", x_unknown="1"), pace)
        reply = await client.final_reply()
    assert reply.status == 200
    assert set(reply.value(b"relay-dropped").split(b", ")) == {b"user", b"x_unknown"}
    assert b"me" not in lane.upstream.requests[0].body.split(b"\r\n")


@pytest.mark.parametrize(("usage", "counted"), [
    (b',"usage":{"type":"tokens","input_tokens":30,"output_tokens":2}', (None, None)),
    (b"", (3, 1))])
async def test_what_files_took_is_not_held_against_the_count_of_words(
    opened: Opened, usage: bytes, counted: tuple[int | None, int | None]
) -> None:
    lane = await opened(lambda _: Answer(message(b'{"text":"Hi"%b}' % usage)))
    raw = form(lane, model="gpt-4o-transcribe", prompt="one two three")
    assert (await ask(lane.address, raw)).status == 200
    [record] = await lane.settled(1)
    assert (record.counted_input_tokens, record.counted_output_tokens) == counted
    assert record.input_tokens == (30 if usage else 3)


async def test_a_whole_stream_that_was_cut_short_was_an_answer(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    results: list[tuple[str, str]] = []
    monkeypatch.setattr(Metrics, "attempt", lambda metrics, *what: results.append(what))
    cut_short = message(EVENT, "text/event-stream", chunked=True)
    lane = await opened(lambda _: Answer(cut_short))
    for number in range(2):  # the second one on a connection that was kept
        reply = await ask(lane.address, chat(lane, STREAM))
        assert reply.status == 200 and reply.body.startswith(EVENT + b"data: ")
        assert b'"upstream_truncated"' in reply.body[len(EVENT):]
        assert [r.error for r in await lane.settled(number + 1)][-1] == "upstream_truncated"
    assert results == [("openai", "head")] * 2


async def test_an_upload_that_names_no_model(opened: Opened) -> None:
    lane = await opened()
    reply = await ask(lane.address, form(lane, language="en"))
    assert reply.status == 400 and told("openai", reply.body)["param"] == "model"
    [record] = await lane.settled(1)
    assert (record.outcome, record.error, record.attempts) == ("refused", "missing_model", 0)
    assert lane.upstream.requests == []


@pytest.mark.parametrize(("model", "error"), [
    (b'"test-model"', "invalid_json"), (b'"no-such-model"', "invalid_json"),
    (b"", "unknown_model")])
async def test_who_names_the_model_twice_is_told_of_it_where_there_is_none(
    opened: Opened, model: bytes, error: str
) -> None:
    lane = await opened(patterns=("test-*",))
    first = b'{"model":%b,' % model if model else b"{"
    await ask(lane.address, chat(lane, first + UNROUTED[1:]))
    # of two the last one counts, and where that is served nobody is told anything
    assert (await ask(lane.address, chat(lane, b'{"model":"none",' + BODY[1:]))).status == 200
    refused, served = await lane.settled(2)
    assert (refused.error, served.error) == (error, None)


@pytest.mark.parametrize("phase", ["head", "body", "first byte", "stream"])
async def test_a_client_that_leaves(opened: Opened, phase: str) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"hi")
            if phase == "stream":
                writer.write(EVENTS + chunk(EVENT))
            await reader.read()
        finally:
            ended.set()

    async with stepped(serve) as address:
        lane = await opened(provider_changes={"address": address})
        raw = chat(lane, STREAM)
        async with RawClient(lane.address) as client:
            await client.send(raw[:{"head": 60, "body": len(raw) - 1}.get(phase, len(raw))])
            if phase == "stream":
                await client.reader.readuntil(EVENT[-10:])
            await asyncio.sleep(0.1)
            vanish(client)
        if phase == "head":
            await asyncio.sleep(0.2)
            assert await lane.records() == []
            return
        [record] = await lane.settled(1)
        assert (record.outcome, record.error) == ("client_left", "client_left")
        assert record.status == (200 if phase == "stream" else 0)
        assert record.attempts == (0 if phase == "body" else 1)
        if phase != "body":
            await asyncio.wait_for(ended.wait(), 2)


async def test_a_client_that_leaves_while_its_provider_is_connected_to(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await opened()
    connect = Pool._connect

    async def slowly(pool: Pool) -> UpstreamConnection:
        await asyncio.sleep(0.3)
        return await connect(pool)

    monkeypatch.setattr(Pool, "_connect", slowly)
    async with RawClient(lane.address) as client:
        await client.send(chat(lane))
        await asyncio.sleep(0.1)
        vanish(client)
    [record] = await lane.settled(1)
    assert (record.outcome, record.attempts, record.status) == ("client_left", 0, 0)
    await asyncio.sleep(0.4)
    assert lane.upstream.requests == [] and lane.upstream.opened == 1
    assert (await ask(lane.address, chat(lane))).status == 200  # on the connection that came
    assert lane.upstream.opened == 1


FAULTS: list[tuple[str, Answer]] = [
    ("nothing", Answer(b"", after="close")),
    ("reset", Answer(b"", after="reset")),
    ("garbage", Answer(b"SSH-2.0\r\n", after="close")),
    ("half a head", Answer(b"HTTP/1.1 200 OK\r\nContent-", after="close")),
    ("half a body", Answer(message(BODY)[:-5], after="close")),
    ("half an error", Answer(message(BODY, status=500)[:-5], after="close")),
    ("broken chunk", Answer(EVENTS + b"zz\r\n", after="close")),
    ("half a stream", Answer(EVENTS + chunk(EVENT[:20]), after="reset")),
    ("error", Answer(message(b"<html>", "text/html", status=502))),
    ("switch", Answer(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")),
    ("no json", Answer(message(b"\xff\xfe"))),
    ("limited", Answer(message(b'{"error":{"message":"x"}}', status=429))),
]


@pytest.mark.parametrize("body", [BODY, STREAM], ids=["json", "stream"])
async def test_every_fault_is_settled_once(opened: Opened, body: bytes) -> None:
    lane = await opened()
    for number, (name, answer) in enumerate(FAULTS, 1):
        lane.upstream.answers.append(answer)
        await ask(lane.address, chat(lane, body))
        assert len(await lane.settled(number)) == number, name
    await asyncio.sleep(0.2)
    assert len(await lane.records()) == len(FAULTS)
    plane = lane.app._plane
    assert plane is not None and not plane.inflight
    assert plane.policy.pools["openai"].busy == 0


async def test_a_defect_of_ours_is_told_logged_by_type_and_settled(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await opened()

    def broken(*_: object) -> bool:
        raise ValueError("the prompt itself")

    monkeypatch.setattr(Streamer, "copy_whole", broken)
    reply = await ask(lane.address, chat(lane))
    assert reply.status == 500 and reply.closes
    assert told("openai", reply.body)["code"] == "internal"
    [record] = await lane.settled(1)
    assert record.error == "internal"
    assert "ValueError" in lane.log.getvalue() and "the prompt" not in lane.log.getvalue()
    # by which the operator finds the place, as docs/errors.md says
    assert f'"request_id":"{record.id}"' in lane.log.getvalue()


async def test_a_call_for_which_there_is_no_memory_may_come_again(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await opened()

    def broken(*_: object) -> bool:
        raise MemoryError

    monkeypatch.setattr(Streamer, "copy_whole", broken)
    reply = await ask(lane.address, chat(lane))
    assert (reply.status, reply.value(b"retry-after"), reply.closes) == (503, b"1", True)
    assert told("openai", reply.body)["code"] == "overloaded"
    [record] = await lane.settled(1)
    assert (record.error, record.outcome, record.usage_source) == (
        "overloaded", "interrupted", "none")
    assert "MemoryError" in lane.log.getvalue()


async def test_a_stream_that_broke_off_is_let_go_without_the_collector(opened: Opened) -> None:
    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(EVENTS + chunk(EVENT) + chunk(EVENT[:-9]))
        await asyncio.sleep(0.05)

    async with stepped(play) as address:
        lane = await opened(provider_changes={"address": address})
        gc.collect()
        gc.disable()
        try:
            async with RawClient(lane.address) as client:
                await client.send(request_bytes(TARGET, lane.key, STREAM))
                await client.reader.read()
            [record] = await lane.settled(1)
            assert record.error == "upstream_truncated"
            assert not [held for held in gc.get_objects() if isinstance(held, Stream)]
        finally:
            gc.enable()
