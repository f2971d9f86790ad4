"""One attempt: what is sent, connections that were kept, uploads as they flow."""

from __future__ import annotations

import asyncio

import pytest

from relayd.core.provider import Timeouts
from relayd.ops.config import PrivacyConfig
from relayd.ops.metrics import ATTEMPT_RESULTS
from relayd.relay.pool import Pool
from relayd.relay.sender import result_of
from relayd.relay.upstream import UpstreamConnection
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.fakes.stepped import stepped, vanish
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

OK = message(ANSWER)
UPLOADS = "/v1/audio/transcriptions"
TYPE = ("Content-Type", "multipart/form-data; boundary=mine")
BEFORE = (b'--mine\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
          b'--mine\r\nContent-Disposition: form-data; name="file"; filename="secret.mp3"\r\n'
          b"Content-Type: audio/mpeg\r\n\r\n")
AFTER = b"\r\n--mine--\r\n"
LARGE = b"\xff\xfb" * 1024 * 1024
FAR_BYTES = 24 * 1024 * 1024


def upload(lane: Lane, sound: bytes, *, length: int | None = None) -> bytes:
    """A whole request, or its beginning where `length` says that there is more."""
    body = BEFORE + sound + (AFTER if length is None else b"")
    size = len(body) if length is None else length
    return request_bytes(UPLOADS, lane.key, fields=(TYPE, ("Content-Length", str(size)))) + body


@pytest.mark.parametrize(("status", "result"), [
    (101, "head"), (200, "head"), (304, "head"), (399, "head"), (400, "status_4xx"),
    (499, "status_4xx"), (500, "status_5xx"), (599, "status_5xx")])
def test_what_an_attempt_came_to(status: int, result: str) -> None:
    assert result_of(status) == result and result in ATTEMPT_RESULTS


SAID = b"The relay passes what it is given."
SPOKEN = (b'data: {"type":"transcript.text.delta","delta":"%b"}\n\n'
          b'data: {"type":"transcript.text.done","text":"%b"}\n\n' % (SAID, SAID))


@pytest.mark.parametrize(("body", "kind"), [
    (b'{"text":"%b"}' % SAID, "application/json"), (SAID, "text/plain"),
    (SPOKEN, "text/event-stream"),
])
@pytest.mark.parametrize("sound", [b"beep", LARGE])
async def test_an_upload_without_a_report_is_counted(
    opened: Opened, body: bytes, kind: str, sound: bytes
) -> None:
    lane = await opened(lambda _: Answer(message(body, kind)))
    prompt = b'Content-Disposition: form-data; name="prompt"\r\n\r\nSay something\r\n--mine\r\n'
    raw = upload(lane, sound).replace(b"--mine\r\n", b"--mine\r\n" + prompt, 1)
    size = b"Content-Length: %d" % (len(BEFORE + sound + AFTER))
    raw = raw.replace(size, b"Content-Length: %d" % (len(BEFORE + sound + AFTER) + len(prompt)))
    assert (await ask(lane.address, raw)).body == body
    record, = await lane.settled(1)
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (2, 8, "estimated")
    assert (record.counted_input_tokens, record.counted_output_tokens) == (2, 8)


async def test_an_upload_s_report_is_not_held_against_what_could_be_counted(
    opened: Opened
) -> None:
    body = b'{"text":"hi","usage":{"type":"tokens","input_tokens":70,"output_tokens":3}}'
    lane = await opened(lambda _: Answer(message(body)))
    assert (await ask(lane.address, upload(lane, b"beep"))).body == body
    record, = await lane.settled(1)
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (70, 3, "reported")
    assert record.counted_input_tokens is None is record.counted_output_tokens


async def test_the_limit_of_a_provider_s_connections(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(b"", after="hold"),
                        provider_changes={"connections_max": 1})
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        await asyncio.sleep(0.05)
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        assert reply.status == 503 and reply.value(b"retry-after") == b"1"
        vanish(client)
    assert {r.error for r in await lane.settled(2)} == {"upstream_busy", "client_left"}


async def test_what_needs_a_fresh_connection_takes_the_place_of_an_idle_one(
    opened: Opened
) -> None:
    lane = await opened(lambda _: Answer(OK), provider_changes={"connections_max": 1})
    for raw in (request_bytes(TARGET, lane.key, BODY), upload(lane, b"beep"),
                upload(lane, b"beep")):
        assert (await ask(lane.address, raw)).status == 200
    assert lane.upstream.opened == 3


@pytest.mark.parametrize("after", ["close", "reset"])
async def test_a_kept_connection_that_closes_is_replaced_once(opened: Opened, after: str) -> None:
    lane = await opened()
    raw = request_bytes(TARGET, lane.key, BODY)
    lane.upstream.answers.extend([Answer(OK), Answer(b"", after=after),  # type: ignore[arg-type]
                                  Answer(OK)])
    async with RawClient(lane.address) as client:
        assert (await client.ask(raw)).status == 200
        assert (await client.ask(raw)).status == 200
    assert [r.attempts for r in await lane.settled(2)] == [1, 2]
    assert [r.connection for r in lane.upstream.requests] == [1, 1, 2]


async def test_a_fresh_connection_that_closes_is_not_tried_again(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(b"", after="close"))
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 502
    [record] = await lane.settled(1)
    assert (record.attempts, record.error) == (1, "upstream_reset")
    lane.upstream.answers.extend([Answer(OK), Answer(b"HTTP/1.1 2", after="close")])
    for status in (200, 502):  # the provider had begun to answer: who knows what it has done
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        assert reply.status == status
    assert (await lane.settled(3))[2].attempts == 1


async def test_a_small_upload_has_a_length(opened: Opened) -> None:
    lane = await opened()
    assert (await ask(lane.address, upload(lane, b"sound"))).status == 200
    [request] = lane.upstream.requests
    assert request.values(b"content-length") == [b"%d" % len(request.body)]
    assert b"secret" not in request.raw and b"mine" not in request.raw and b"sound" in request.body


@pytest.mark.parametrize("policy", ["absent", "account"])
async def test_the_end_user_of_an_upload(opened: Opened, policy: str) -> None:
    lane = await opened(privacy=PrivacyConfig(end_user=policy))  # type: ignore[arg-type]
    user = b'--mine\r\nContent-Disposition: form-data; name="user"\r\n\r\nsomebody\r\n'
    image = BEFORE.replace(b'"file"', b'"image"').replace(b"audio/mpeg", b"image/png")
    body = user + image + b"\x89PNG" + AFTER
    raw = request_bytes("/v1/images/edits", lane.key, fields=(
        TYPE, ("Content-Length", str(len(body))))) + body
    for _ in range(2):
        assert (await ask(lane.address, raw)).status == 200
    first, second = lane.upstream.requests
    assert first.raw == second.raw and b"somebody" not in first.raw
    assert (b'name="user"' in first.body) is (policy == "account")


async def test_a_large_upload_flows_before_its_client_has_finished(opened: Opened) -> None:
    lane = await opened()
    whole = upload(lane, LARGE * 2)
    async with RawClient(lane.address) as client:
        await client.send(whole[:-len(LARGE)])
        async with asyncio.timeout(3):
            while not lane.upstream.received or len(lane.upstream.received[0]) < len(LARGE) / 2:
                await asyncio.sleep(0.01)
        assert lane.upstream.requests == []
        await client.send(whole[-len(LARGE):])
        assert (await client.final_reply()).status == 200
    [request] = lane.upstream.requests
    assert request.values(b"transfer-encoding") == [b"chunked"] and LARGE * 2 in request.body


async def test_an_upload_that_comes_while_its_connection_opens(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = await opened()
    connect, raw = Pool._connect, upload(lane, LARGE)

    async def slowly(pool: Pool) -> UpstreamConnection:
        await asyncio.sleep(0.2)
        return await connect(pool)

    monkeypatch.setattr(Pool, "_connect", slowly)
    assert (await ask(lane.address, raw)).status == 200
    assert LARGE in lane.upstream.requests[0].body


async def test_a_slow_upload_is_no_slow_provider(opened: Opened) -> None:
    lane = await opened(provider_changes={"timeouts": Timeouts(1, 0.3, 1)})
    whole = upload(lane, LARGE)
    async with RawClient(lane.address) as client:
        await client.send(whole[:-1])
        await asyncio.sleep(0.8)
        await client.send(whole[-1:])
        assert (await client.final_reply()).status == 200


async def test_a_stalled_upload_is_its_client_s_fault(opened: Opened) -> None:
    lane = await opened(server={"body_seconds": 0.5})
    async with RawClient(lane.address) as client:
        await client.send(upload(lane, LARGE)[:-1])
        assert (await client.final_reply()).status == 408
    [record] = await lane.settled(1)
    assert record.error == "request_timeout" and lane.upstream.requests == []


@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_before_the_upload_s_end(opened: Opened, status: int) -> None:
    connections: list[bytes] = []

    async def answer_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(await reader.readuntil(b"\r\n\r\n"))
        if b"chunked" in connections[-1]:
            await reader.readexactly(len(LARGE) - 100_000)
            await asyncio.sleep(0.05)
        writer.write(message(ANSWER, status=status))
        connections[-1] += await reader.read()

    async with stepped(answer_early) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            await client.send(upload(lane, LARGE, length=len(LARGE) * 3))
            reply = await client.final_reply()
            assert reply.status == status and reply.body == ANSWER
            assert reply.closes, "the next request on it would be lost"
        # the connection that owes the rest of a request must carry no other
        reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
        assert reply.status == status and len(connections) == 2
        assert [r.attempts for r in await lane.settled(2)] == [1, 1]


async def test_what_comes_behind_an_early_answer_is_not_kept(opened: Opened) -> None:
    lane = await opened()
    lane.upstream.early.append(
        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", after="hold"))
    async with RawClient(lane.address) as client:
        await client.send(upload(lane, LARGE, length=FAR_BYTES))
        await asyncio.sleep(0.1)
        [exchange] = lane.app._plane.inflight  # type: ignore[union-attr]
        await client.send(b"x" * len(LARGE))
        await asyncio.sleep(0.1)
        assert sum(map(len, exchange.pieces)) < len(LARGE) / 2


async def test_a_provider_that_does_not_read_stops_its_client(opened: Opened) -> None:
    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async with stepped(never_read) as address:
        lane = await opened(provider_changes={"address": address})
        async with RawClient(lane.address) as client:
            start = upload(lane, LARGE, length=FAR_BYTES + len(BEFORE) + len(AFTER))
            client.writer.write(start + bytes(FAR_BYTES - len(LARGE)))
            await asyncio.sleep(0.4)
            left = client.writer.transport.get_write_buffer_size()
            assert left > FAR_BYTES / 3
            await asyncio.sleep(0.2)
            assert client.writer.transport.get_write_buffer_size() == left
            assert (await client.final_reply()).status == 504
        assert [r.error for r in await lane.settled(1)] == ["upstream_timeout"]
