"""Heads of providers' answers: sound framing or none."""

import pytest

from relayd.core.errors import RelayError
from relayd.wire.replyhead import (
    FLAWS, HEAD_BYTES_MAX, flaw, plainly, read_reply_head, version_of,
)

LINE = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(("fields", "length", "delimited"), [
    (b"Content-Length: 12", 12, True),
    (b"Transfer-Encoding: Chunked", None, True),
    (b"X: y", None, False),
])
def test_framing(fields: bytes, length: int | None, delimited: bool) -> None:
    head = read_reply_head(LINE + fields, 200, "1.1")
    assert (head.length, head.delimited) == (length, delimited)


@pytest.mark.parametrize("status", [200, 299, 599])
def test_any_final_status_and_length(status: int) -> None:
    head = read_reply_head(LINE + b"Content-Length: " + b"9" * 18, status, "1.0")
    assert (head.status, head.length) == (status, 10 ** 18 - 1)


@pytest.mark.parametrize("status", [204, 304])
def test_bodyless(status: int) -> None:
    head = read_reply_head(LINE + b"Content-Length: 12", status, "1.1")
    assert (head.length, head.delimited) == (0, True)


@pytest.mark.parametrize(("fields", "status", "contradicts"), [
    (b"Content-Length: 12", 204, True),
    (b"X: y\r\nTransfer-Encoding: chunked", 304, True),
    (b"X-Content-Length: 12", 204, False),
    (b"Content-Length: 12", 200, False),
])
def test_a_body_that_must_not_be(fields: bytes, status: int, contradicts: bool) -> None:
    assert read_reply_head(LINE + fields, status, "1.1").contradicts is contradicts


def test_wanted_fields_alone() -> None:
    head = read_reply_head(
        LINE + b"Content-Type: text/event-stream; charset=utf-8 \r\nSet-Cookie: a=b\r\n"
        b"Retry-After: 3\r\nContent-Encoding: gzip", 200, "1.1")
    assert head.fields == ((b"content-type", b"text/event-stream; charset=utf-8"),
                           (b"retry-after", b"3"), (b"content-encoding", b"gzip"))
    assert head.content_type == b"text/event-stream; charset=utf-8" and head.coded


@pytest.mark.parametrize("name", [
    "content-type", "content-encoding", "connection", "retry-after", "retry-after-ms",
    "x-should-retry", "openai-poll-after-ms"])
def test_each_wanted_field(name: str) -> None:
    for written in (name, name.title(), name.upper()):
        head = read_reply_head(
            LINE + b"X-%b: a\r\n%b:\t Value\t \r\n%b-x: b\r\nDate: c" % (
                (written.encode(),) * 3), 200, "1.1")
        assert head.fields == ((name.encode(), b"value"),)


def test_of_two_values_the_later_one_counts() -> None:
    head = read_reply_head(
        LINE + b"Content-Type: a/b\r\nContent-Encoding: gzip\r\nContent-Type: c/d\r\n"
        b"Content-Encoding: identity", 200, "1.1")
    assert head.content_type == b"c/d" and not head.coded and len(head.fields) == 4
    # no other field says anything of the coding
    assert not read_reply_head(LINE + b"Connection: close\r\nRetry-After: 1", 200, "1.1").coded


@pytest.mark.parametrize(("value", "coded"), [
    (b"gzip", True), (b"X-Unknown", True), (b"", False), (b" Identity", False), (b"none", False),
    (b"UTF-8", False)])
def test_what_is_no_coding(value: bytes, coded: bool) -> None:
    assert read_reply_head(LINE + b"Content-Encoding:" + value, 200, "1.1").coded is coded


def test_its_repr_shows_nothing_of_it() -> None:
    assert repr(read_reply_head(LINE + b"Content-Type: a/b", 200, "1.1")) == "ReplyHead(200)"


@pytest.mark.parametrize(("raw", "status", "version"), [
    (LINE + b"Transfer-Encoding: gzip, chunked", 200, "1.1"),
    (LINE + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 200, "1.1"),
    (LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 200, "1.1"),
    (LINE + b"Transfer-Encoding: chunked\t", 200, "1.1"),
    (LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 3", 200, "1.1"),
    (LINE + b"Transfer-Encoding: chunked", 200, "1.0"),
    (LINE + b"Content-Length: x", 200, "1.1"),
    (LINE + b"Content-Length: ", 200, "1.1"),
    (LINE + b"Content-Length: -1", 200, "1.1"),
    (LINE + b"Content-Length: " + b"1" * 19, 200, "1.1"),
    (LINE, 600, "1.1"),
    (LINE, 101, "1.1"),
    (LINE, 200, "2.0"),
    (LINE, 200, "0.9"),
    (LINE, 200, ""),
])
def test_refused(raw: bytes, status: int, version: str) -> None:
    with pytest.raises(RelayError) as caught:
        read_reply_head(raw, status, version)
    assert caught.value.code == "upstream_protocol"
    # RFC 9110 section 15: a class that nobody knows is taken for a server's error
    assert caught.value.status == (503 if status > 599 else 502)


@pytest.mark.parametrize(("raw", "version"), [
    (LINE, "1.1"), (b"HTTP/1.0 200 OK", "1.0"), (b"\r\n" + LINE, "1.1"), (b"", ""),
    (b"HTTP/1.2 200 OK", ""), (b"RTSP/1.0 200 OK", ""), (b"ICE/1.1 200 OK", ""),
])
def test_version(raw: bytes, version: str) -> None:
    assert version_of(raw) == version


@pytest.mark.parametrize(("raw", "plain"), [
    (LINE + b"Transfer-Encoding:\tChunked \t\r\nX: y\t\r\n\r\n\r\nTransfer-Encoding: chunked\t",
     LINE + b"Transfer-Encoding: Chunked\r\nX: y\t\r\n\r\n\r\nTransfer-Encoding: chunked\t"),
    (b"HTTP/1.1 104 \r\nA: b\r\n\r\nHTTP/1.0 100\r\n\r\n" + LINE, LINE),
    (b"HTTP/1.1 199 X\r\n\r\n", b""),
])
def test_what_llhttp_takes(raw: bytes, plain: bytes) -> None:
    assert plainly(raw) == plain and plainly(plain) == plain


@pytest.mark.parametrize("raw", [
    LINE + b"\r\n", b"HTTP/1.1 101 X\r\n\r\n" + LINE, b"HTTP/1.1 103 X\r\nLink: <a>\r\n", b"",
    LINE + b"Transfer-Encoding: x, chunked\t\r\n\r\n", b"HTTP/2 103 X\r\n\r\n" + LINE,
])
def test_what_is_as_it_is(raw: bytes) -> None:
    assert plainly(raw) == raw


@pytest.mark.parametrize(("raw", "word"), [
    (b"SSH-2.0-OpenSSH_9.2\r\n", "reply_not_http"), (b"", "reply_not_http"),
    (LINE + b"X: y\r\n" * HEAD_BYTES_MAX, "reply_head_long"),
    (LINE + b"X: y\r\n z\r\nContent-Length: 2\r\n\r\n{}", "reply_field_folded"),
    (LINE + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n {}", "reply_content_length"),
    (LINE + b"content-length: 2, 2\r\n\r\n{}", "reply_content_length"),
    (LINE + b"Content-Length: 2\r\nTransfer-Encoding: x\r\n\r\n", "reply_transfer_encoding"),
    (LINE + b"X y\r\n\r\nContent-Length: 2\r\n", "reply_head_invalid"),
])
def test_the_operator_is_told_what_is_wrong_with_an_answer(raw: bytes, word: str) -> None:
    assert flaw(raw) == word and word in FLAWS
