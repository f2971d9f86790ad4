"""The strict reader is strict: what others forgive raises, and what is right is read whole."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes.rawhttp import (
    Garbage, Request, Truncated, read_reply, read_request_body, read_request_head,
)

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


def reader(raw: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(raw)
    stream.feed_eof()
    return stream


async def requested(raw: bytes) -> Request | None:
    stream = reader(raw)
    request = await read_request_head(stream)
    if request is not None:
        await read_request_body(stream, request)
    return request


@pytest.mark.parametrize("raw", [
    HEAD + b"Content-Length: 3\r\n\r\nabc",
    HEAD + CHUNKED + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
])
async def test_request(raw: bytes) -> None:
    request = await requested(raw)
    assert request is not None
    assert (request.method, request.target, request.body) == (b"POST", b"/", b"abc")
    assert request.values(b"host") == [b"a"]


@pytest.mark.parametrize("raw", [
    b"POST / HTTP/1.1\r\n\r\n", HEAD + b"Host: b\r\n\r\n", b"POST  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/2.0\r\nHost: a\r\n\r\n", HEAD + b"X : b\r\n\r\n", HEAD + b" folded: a\r\n\r\n",
    HEAD + b"X: a\rb\r\n\r\n", HEAD + b"X: a\nY: b\r\n\r\n", HEAD + b"X: a\0\r\n\r\n",
    HEAD + b"Content-Length: 1\r\n" + CHUNKED + b"0\r\n\r\n",
    HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    HEAD + b"Content-Length: +1\r\n\r\na",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    HEAD + CHUNKED + b"1;a=b\r\na\r\n0\r\n\r\n", HEAD + CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    HEAD + CHUNKED + b"1\r\nab\r\n0\r\n\r\n", HEAD + CHUNKED + b"1\na\r\n0\r\n\r\n",
    HEAD + CHUNKED + b"0\r\nX: a\r\n\r\n",
])
async def test_request_that_is_not_strict(raw: bytes) -> None:
    with pytest.raises(Garbage):
        await requested(raw)


@pytest.mark.parametrize("raw", [
    HEAD, HEAD + b"Content-Length: 3\r\n\r\nab", HEAD + CHUNKED + b"2\r\na",
    HEAD + CHUNKED + b"1\r\na\r\n",
])
async def test_request_that_is_cut(raw: bytes) -> None:
    with pytest.raises(Truncated):
        await requested(raw)


async def test_no_request() -> None:
    assert await requested(b"") is None


@pytest.mark.parametrize("raw, body, ended", [
    (OK + b"Content-Length: 2\r\n\r\nab", b"ab", "complete"),
    (OK + CHUNKED + b"2\r\nab\r\n0\r\nX: c\r\n\r\n", b"ab", "complete"),
    (OK + b"\r\nab", b"ab", "complete"),
    (OK + b"Content-Length: 3\r\n\r\nab", b"ab", "closed"),
    (OK + CHUNKED + b"2\r\nab\r\n", b"ab", "closed"),
    (OK + CHUNKED + b"5\r\nab", b"ab", "closed"),
    (b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", b"", "complete"),
])
async def test_reply(raw: bytes, body: bytes, ended: str) -> None:
    reply = await read_reply(reader(raw))
    assert reply is not None
    assert (reply.body, reply.ended) == (body, ended)


@pytest.mark.parametrize("raw", [
    b"HTTP/1.1 200\r\n\r\n", b"HTTP/2 200 OK\r\n\r\n", b"hello\r\n\r\n",
    OK + b"X: a\nY: b\r\n\r\n",
    OK + b"Content-Length: 1\r\n" + CHUNKED + b"0\r\n\r\n", OK + b"X: a",
    OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", OK + CHUNKED + b"zz\r\n\r\n",
])
async def test_reply_that_is_not_strict(raw: bytes) -> None:
    with pytest.raises(Garbage):
        await read_reply(reader(raw))


async def test_reply_that_waits() -> None:
    stream = asyncio.StreamReader()
    with pytest.raises(TimeoutError):
        await read_reply(stream, first_seconds=0.01)
    stream.feed_data(OK + b"Content-Length: 3\r\n\r\nab")
    reply = await read_reply(stream, hold_seconds=0.01)
    assert reply is not None
    assert (reply.body, reply.ended) == (b"ab", "pending")
