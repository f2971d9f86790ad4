"""Errors of status 200 that name the operator: told in other words, whatever they come as."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from relayd.relay.disguised import LOOKED_AT, WAITING_BYTES_MAX, _is_cut, is_suspect
from tests.fakes.daemon import ANSWER, BRISK, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import After, Answer, message
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

NAME = b"org-AbCd1234EfGh5678"
ERROR: dict[str, Any] = {
    "error": {"message": "no quota left in organization " + NAME.decode(), "code": "x"}}
PLAIN = json.dumps(ERROR).encode()
LONG = json.dumps({**ERROR, "echo": "x" * 10 * LOOKED_AT}).encode()
TEXT: dict[str, Any] = {"candidates": [{"index": 0, "content": {"parts": [{"text": "hello"}]}}]}
ARRAY = "/v1beta/models/test-model:streamGenerateContent"
CONTENTS = b'{"contents":[{"parts":[{"text":"hi"}]}]}'
GZIP = (("Content-Encoding", "gzip"),)


def chat(lane: Lane) -> bytes:
    return request_bytes(TARGET, lane.key, BODY)


def array(lane: Lane) -> bytes:
    return request_bytes(ARRAY, lane.key, CONTENTS)


@pytest.mark.parametrize("pace", ["once", "segments-100"])
@pytest.mark.parametrize("raw", [
    message(LONG), message(LONG, chunked=True), message(PLAIN, "text/plain"),
    message(PLAIN, "application/octet-stream"), message(b"[%b]" % PLAIN),
    message(gzip.compress(PLAIN), fields=GZIP),
    message(gzip.compress(b"data: " + PLAIN + b"\n\n"), "text/event-stream", fields=GZIP),
    message(b"\n<!DOCTYPE html><html>" + NAME + b" " * 2 * LOOKED_AT, "text/html"),
    message(json.dumps({"object": "error", "message": ERROR["error"]["message"]}).encode()),
])
async def test_none_gets_through(opened: Opened, raw: bytes, pace: str) -> None:
    lane = await opened(lambda _: Answer(raw, pace=pace))
    for ask_for in (chat, array):
        reply = await ask(lane.address, ask_for(lane))
        assert reply.ended == "complete" and NAME not in reply.body
        told = json.loads(reply.body)
        assert "error" in (told if reply.status >= 400 else told[0])
    assert [r.outcome for r in await lane.settled(2)] == ["provider_error"] * 2


@pytest.mark.parametrize("after", ["close", "reset", "hold"])
@pytest.mark.parametrize("raw", [
    message(PLAIN)[:-9], message(PLAIN, chunked=True)[:-16], message(LONG)[:-9],
    message(gzip.compress(PLAIN), fields=GZIP)[:-9],
])
async def test_half_of_one_is_no_answer(opened: Opened, raw: bytes, after: After) -> None:
    lane = await opened(lambda _: Answer(raw, after=after), provider_changes=BRISK)
    reply = await ask(lane.address, chat(lane))
    assert reply.status >= 500 and NAME not in reply.body and "error" in json.loads(reply.body)
    record, = await lane.settled(1)
    assert (record.outcome, record.status) == ("provider_truncated", reply.status)


async def test_events_that_do_not_say_what_they_are(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(message(b"data: %b\n\n" % PLAIN, "text/plain")))
    assert NAME not in (await ask(lane.address, chat(lane))).body


@pytest.mark.parametrize("raw", [
    PLAIN.replace(NAME, b"this place"), PLAIN.replace(b'"error"', b'"data"'),
    json.dumps({"choices": [], "note": "error", "text": NAME.decode()}).encode(),
    LONG[:-1] + b" " * WAITING_BYTES_MAX + b"}", gzip.compress(
        PLAIN.replace(b'"error"', b'"a"'), mtime=0),
    b'{"text":"%b","error":{}}' % (NAME * LOOKED_AT), b"", b"<p>" + NAME, PLAIN[:-1],
])
@pytest.mark.parametrize("pace", ["once", "segments-20000"])
async def test_what_passes(opened: Opened, raw: bytes, pace: str) -> None:
    fields = GZIP if raw[:1] == b"\x1f" else ()
    lane = await opened(lambda _: Answer(message(raw, fields=fields), pace=pace))
    assert (await ask(lane.address, chat(lane))).body == raw


def test_most_replies_are_not_looked_at() -> None:
    assert not is_suspect(b'{"choices":[]}') and not is_suspect(b"{" + b" " * LOOKED_AT + PLAIN)
    assert is_suspect(PLAIN) and is_suspect(b"<html>") and is_suspect(b"")


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("pace", ["bytes", "segments-7", "segments-150", "segments-700"])
async def test_an_element_of_an_array_is_replaced(
    opened: Opened, pace: str, chunked: bool
) -> None:
    texts = [json.dumps(TEXT, indent=2).encode()] * 3
    told = b"[%b\n,\r\n%b\n]" % (b"\n,\r\n".join(texts), json.dumps(ERROR, indent=2).encode())
    lane = await opened(lambda _: Answer(message(told, chunked=chunked), pace=pace))
    reply = await ask(lane.address, array(lane))
    assert reply.ended == "complete" and NAME not in reply.body
    *kept, last = json.loads(reply.body)
    assert kept == [TEXT] * 3 and last["error"]["status"]
    assert reply.body.startswith(told[:told.index(b'{\n  "error"')])
    record, = await lane.settled(1)
    assert (record.outcome, record.error) == ("provider_error", "provider_stream_error")


@pytest.mark.parametrize("pace", ["bytes", "segments-7", "segments-700"])
async def test_an_array_without_one_passes_as_it_came(opened: Opened, pace: str) -> None:
    last = {"candidates": [{"content": {"parts": [{"text": '"error"' * 200}, {
        "functionCall": {"name": "f", "args": {"error": NAME.decode()}}}]},
        "finishReason": "STOP"}]}
    body = json.dumps([TEXT, {"error": {"message": "busy"}}, last, TEXT]).encode()
    lane = await opened(lambda _: Answer(message(body), pace=pace))
    assert (await ask(lane.address, array(lane))).body == body
    lane.upstream.answers.append(Answer(message(body[:-40]), pace=pace))
    assert (await ask(lane.address, array(lane))).body == body[:-40]


async def test_an_array_s_elements_do_not_wait_for_others(opened: Opened) -> None:
    first = b"[" + json.dumps(TEXT).encode()
    lane = await opened(lambda _: Answer(message(first, chunked=True)[:-5], after="hold"))
    async with RawClient(lane.address) as client:
        await client.send(array(lane))
        async with asyncio.timeout(3):
            assert first in await client.reader.readuntil(first)


@pytest.mark.parametrize("pace", ["once", "segments-100000"])
@pytest.mark.parametrize(("body", "cut", "status"), [
    (ANSWER, 0, 200), (ANSWER, 1, 502), (ANSWER, len(ANSWER), 502), (b"[oops", 0, 200),
    (ANSWER.replace(b"ok", b"ok" * LOOKED_AT), 0, 200),
    (ANSWER.replace(b"ok", b"ok" * LOOKED_AT), 1, 502),
    (ANSWER.replace(b"ok", b"ok" * WAITING_BYTES_MAX), 1, 200),
])
async def test_json_that_only_its_connection_ends(
    opened: Opened, body: bytes, cut: int, status: int, pace: str
) -> None:
    body = body[:len(body) - cut]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    lane = await opened(lambda _: Answer(head + body, pace=pace, after="close"))
    reply = await ask(lane.address, chat(lane))
    assert (reply.status, reply.body == body) == (status, status == 200)
    record, = await lane.settled(1)
    if status == 502:
        assert (record.outcome, record.error, record.usage_source) == (
            "provider_error", "upstream_truncated", "none")


def test_json_that_ends_inside_itself() -> None:
    whole = '{"a":[-1.5e-7,true,null,"é\\u00e9\\"",{}],"b":"日"}'.encode()
    half = whole.replace(b"[", rb'"\ud83d","c":[')
    for each in (whole, half):
        assert all(_is_cut(each[:at]) for at in range(len(each)))
    for body in (whole, half, half + b"x", whole + b"\n", whole + b"x", whole + b" 1", b"oops",
                 b'{"a":NaN}', b"\xef\xbb\xbf" * 2_000):
        assert not _is_cut(body)


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
async def test_events_that_call_themselves_json_are_counted(
    opened: Opened, kind: str, end: bytes
) -> None:
    events = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n' + end
    lane = await opened(lambda _: Answer(message(events, kind)))
    for _ in range(2):
        assert (await ask(lane.address, request_bytes(TARGET, lane.key, STREAM))).body == events
    for record in await lane.settled(2):
        assert record.outcome == ("completed" if end else "provider_truncated")
        assert record.output_tokens == 1
