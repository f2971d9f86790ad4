"""Bodies as they are received: decoded within bounds, or refused."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib

import pytest

from relayd.core.errors import RelayError
from relayd.relay.receive import decode
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

LIMIT = 1000
ZIPPED = gzip.compress(BODY, mtime=0)
DEFLATED = zlib.compress(BODY)


@pytest.mark.parametrize(("coding", "raw"), [
    (b"gzip", ZIPPED), (b"x-gzip", ZIPPED), (b"GZIP", ZIPPED), (b"deflate", DEFLATED),
    (b"identity", BODY), (b"gzip", gzip.compress(b"", mtime=0)),
])
def test_decode(coding: bytes, raw: bytes) -> None:
    assert decode(raw, coding, LIMIT) in (BODY, b"")


@pytest.mark.parametrize(("coding", "raw", "code"), [
    (b"br", BODY, "unsupported_encoding"),
    (b"gzip, gzip", ZIPPED, "unsupported_encoding"),
    (b"", BODY, "unsupported_encoding"),
    (b"gzip", BODY, "invalid_json"),
    (b"gzip", DEFLATED, "invalid_json"),
    (b"gzip", ZIPPED[:-1], "invalid_json"),
    (b"gzip", ZIPPED + b"x", "invalid_json"),
    (b"gzip", b"", "invalid_json"),
    (b"deflate", DEFLATED[:-5], "invalid_json"),
    (b"gzip", gzip.compress(b"x" * (LIMIT + 1), mtime=0), "body_too_large"),
    (b"deflate", zlib.compress(b"x" * 50_000_000, 9), "body_too_large"),
])
def test_decode_refuses(coding: bytes, raw: bytes, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        decode(raw, coding, LIMIT)
    assert caught.value.code == code
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_bomb_takes_no_memory() -> None:
    bomb = zlib.compress(bytes(50_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(RelayError):
            decode(bomb, b"deflate", LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_limit_itself_is_allowed() -> None:
    assert len(decode(gzip.compress(b"x" * LIMIT), b"gzip", LIMIT)) == LIMIT


@pytest.mark.parametrize("parts", [1, 20])
async def test_a_coded_body_goes_upstream_plain(opened: Opened, parts: int) -> None:
    lane = await opened()
    fields = (("Content-Encoding", "gzip"),)
    assert (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status == 200
    async with RawClient(lane.address) as client:
        raw = request_bytes(TARGET, lane.key, ZIPPED, fields=fields)
        await client.send(raw, "once" if parts == 1 else f"segments-{len(raw) // parts}")
        assert (await client.final_reply()).status == 200
    plain, coded = lane.upstream.requests
    assert plain.raw == coded.raw


async def test_a_bomb_is_refused_before_it_unfolds(opened: Opened) -> None:
    lane = await opened(server={"max_body_bytes": 1_000_000})
    bomb = gzip.compress(b" " * 100_000_000, 6)
    assert len(bomb) < 1_000_000
    raw = request_bytes(TARGET, lane.key, bomb, fields=(("Content-Encoding", "gzip"),))
    assert (await ask(lane.address, raw)).status == 413
    [record] = await lane.settled(1)
    assert (record.outcome, record.error) == ("refused", "body_too_large")
    assert lane.upstream.requests == []


async def test_a_coded_upload_is_refused(opened: Opened) -> None:
    lane = await opened()
    raw = request_bytes("/v1/audio/transcriptions", lane.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=b"), ("Content-Encoding", "gzip"),
        ("Content-Length", "2"))) + b"hi"
    assert (await ask(lane.address, raw)).status == 415


async def test_an_upload_may_say_that_it_is_not_coded(opened: Opened) -> None:
    lane = await opened()
    form = (b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nany\r\n--b\r\n'
            b'Content-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nx\r\n--b--')
    raw = request_bytes("/v1/audio/transcriptions", lane.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=b"), ("Content-Encoding", "Identity"),
        ("Content-Length", str(len(form))))) + form
    assert (await ask(lane.address, raw)).status == 200


@pytest.mark.parametrize("target", [TARGET, "/v1/audio/transcriptions"])
async def test_a_declared_length_is_judged_before_it_is_invited(
    opened: Opened, target: str
) -> None:
    lane = await opened(server={"max_body_bytes": 100})
    raw = request_bytes(target, lane.key, fields=(
        ("Content-Type", "multipart/form-data; boundary=b"), ("Expect", "100-continue"),
        ("Content-Length", "101")))
    async with RawClient(lane.address) as client:
        await client.send(raw)
        reply = await client.reply()
        assert reply is not None and reply.status == 413 and reply.closes
        async with asyncio.timeout(3):
            assert await client.reader.read() == b""
