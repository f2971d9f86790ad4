"""Replies by their status and length: what passes, what does not, and what comes whole."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from relayd.ops.config import MeteringConfig
from relayd.relay.disguised import LOOKED_AT
from relayd.relay.streamer import ERROR_BODY_BYTES_MAX
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened


def chat(lane: Lane, body: bytes = BODY, **more: Any) -> bytes:
    return request_bytes(TARGET, lane.key, body, **more)


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_replies_without_a_body(opened: Opened, status: int) -> None:
    raw = b"HTTP/1.1 %d Nothing\r\nSet-Cookie: a=b\r\n%b\r\n" % (
        status, b"Content-Length: 0\r\n" if status == 205 else b"")
    lane = await opened(lambda _: Answer(raw))
    async with RawClient(lane.address) as client:
        for _ in range(2):  # and the client's connection goes on
            reply = await client.ask(chat(lane))
            assert (reply.status, reply.body, reply.closes) == (status, b"", False)
            assert reply.values(b"content-length") == ([b"0"] if status == 205 else [])
    assert [r.outcome for r in await lane.settled(2)] == ["completed"] * 2


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_redirects_are_not_followed(opened: Opened, status: int) -> None:
    lane = await opened(lambda _: Answer(message(
        b"", status=status, fields=(("Location", "http://evil.test/"),))))
    reply = await ask(lane.address, chat(lane))
    assert reply.status == 502 and b"evil" not in reply.head + reply.body
    assert len(lane.upstream.requests) == 1


async def test_json_reply_bytes_max(opened: Opened) -> None:
    lane = await opened(server={"json_reply_bytes_max": len(ANSWER)})
    lane.upstream.answers.extend([Answer(message(ANSWER)), Answer(message(ANSWER + b" "))])
    for extra in (b"", b" "):  # the reply passes all the same; its usage is counted instead
        assert (await ask(lane.address, chat(lane))).body == ANSWER + extra
    assert [r.usage_source for r in await lane.settled(2)] == ["reported", "estimated"]


@pytest.mark.parametrize(("body", "passes"), [
    (b'{"error":{"code":502,"message":"no quota in organization org-AbCd1234EfGh5678"}}', False),
    (b'{"choices":null,"error":{"message":"x"},"user_id":"user_2abcDEF",'
     b'"usage":{"prompt_tokens":7,"completion_tokens":0}}', False),
    (b'{"error":{"code":502,"message":"no quota"},"usage":{"prompt_tokens":7}}', True),
    (b'{"choices":[{"message":{"content":"organization org-AbCd1234EfGh5678"}}],"error":null,'
     b'"usage":{"prompt_tokens":7}}', True),
])
@pytest.mark.parametrize(("sync_ms", "chunked", "pace"), [
    (50, False, "once"), (50, True, "segments-70"), (50, False, "segments-70"),
    (0, False, "once"), (0, True, "segments-70")])
async def test_an_error_of_status_200_that_names_the_operator(
    opened: Opened, body: bytes, passes: bool, sync_ms: int, chunked: bool, pace: str
) -> None:
    answer = Answer(message(body, chunked=chunked), pace=pace)
    lane = await opened(
        lambda _: answer, metering=MeteringConfig(flush_seconds=0.05, sync_ms=sync_ms))
    reply = await ask(lane.address, chat(lane))
    record, = await lane.settled(1)
    assert (reply.body == body) is passes and record.status == reply.status
    assert record.input_tokens == (7 if b"usage" in body else 0)
    if not passes:
        assert reply.status >= 500 and b"org-" not in reply.body and b"user_" not in reply.body
        assert (record.outcome, record.usage_source) == (
            "provider_error", "reported" if b"usage" in body else "none")


@pytest.mark.parametrize("first", [b"\n\n", b"{" + b" " * LOOKED_AT])
async def test_a_long_reply_and_signs_of_life_pass_as_they_come(
    opened: Opened, first: bytes
) -> None:
    raw = message(first, chunked=True)[:-5]
    lane = await opened(lambda _: Answer(raw, after="hold"))
    async with RawClient(lane.address) as client:
        await client.send(chat(lane))
        async with asyncio.timeout(3):
            assert first in await client.reader.readuntil(first)


@pytest.mark.parametrize("said", [
    b'{"error":{"message":"no"},"usage":{"prompt_tokens":7}}',
    b'{"error":{"message":"organization org-AbCd1234EfGh5678"}}'])
async def test_an_error_that_cannot_be_read_is_told_in_the_relay_s_words(
    opened: Opened, said: bytes
) -> None:
    coded = message(gzip.compress(said), status=400, fields=(("Content-Encoding", "gzip"),))
    lane = await opened(lambda _: Answer(coded))
    reply = await ask(lane.address, chat(lane))
    assert reply.status == 400 and reply.values(b"content-encoding") == []
    assert json.loads(reply.body)["error"]["message"] not in said.decode()
    [record] = await lane.settled(1)
    assert (record.outcome, record.usage_source) == ("provider_error", "none")


CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize("pace", ["once", "segments-40", "segments-200"])
async def test_the_length_of_a_stream_is_not_that_of_its_provider(
    opened: Opened, pace: str
) -> None:
    """What is withheld of it would be waited for."""
    answer = Answer(message(CHUNK + USAGE + DONE, "text/event-stream"), pace)
    lane = await opened(lambda _: answer)
    async with RawClient(lane.address) as client:
        for _ in range(2):
            reply = await client.ask(chat(lane, BODY[:-1] + b',"stream":true}'))
            assert reply.body == CHUNK + DONE and not reply.closes
            assert reply.value(b"transfer-encoding") == b"chunked"
            assert reply.values(b"content-length") == []
    assert [(r.input_tokens, r.outcome) for r in await lane.settled(2)] == [(7, "completed")] * 2


async def test_the_length_of_an_array_is_not_that_of_its_provider(opened: Opened) -> None:
    """An error in it that names the operator is told in other words."""
    told = b'{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}'
    naming = b'{"error":{"code":503,"message":"organization org-AbCd1234EfGh5678"}}'
    whole = message(b"[" + told + b",\n" + naming + b"]")
    lane = await opened(lambda _: Answer(whole, "segments-40"))
    path = "/v1beta/models/gemini-x:streamGenerateContent"
    raw = request_bytes(path, lane.key, b'{"contents":[{"parts":[{"text":"Hi"}]}]}')
    reply = await ask(lane.address, raw)
    assert told in reply.body and b"org-" not in reply.body
    assert reply.value(b"transfer-encoding") == b"chunked"
    [record] = await lane.settled(1)
    assert record.outcome == "provider_error"


async def test_a_broken_length_is_cut_without_a_word(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(message(ANSWER)[:-10], after="close"))
    reply = await ask(lane.address, chat(lane))
    assert (reply.status, reply.ended, reply.body) == (200, "closed", ANSWER[:-10])


async def test_an_error_is_passed_and_one_that_is_too_long_is_not(opened: Opened) -> None:
    lane = await opened()
    short = b'{"error":{"message":"too hot","type":"invalid_request_error"}}'
    lane.upstream.answers.extend([
        Answer(message(short, status=400)),
        Answer(message(b"x" * (ERROR_BODY_BYTES_MAX + 1), status=400)),
        Answer(message(short, status=400)[:-1], after="close"),
    ])
    reply = await ask(lane.address, chat(lane))
    assert (reply.status, reply.body) == (400, short)
    assert reply.value(b"x-should-retry") == b"false"
    reply = await ask(lane.address, chat(lane))
    assert reply.status == 400 and b"xxx" not in reply.body
    assert (await ask(lane.address, chat(lane))).status == 502
    assert [r.outcome for r in await lane.settled(3)] == ["provider_error"] * 3
