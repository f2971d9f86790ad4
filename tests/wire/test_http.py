"""Request heads: read strictly, or refused with the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire.http import (
    HeadLimits, PartialHead, RepeatedHead, behind_empty_lines, read_head,
)

LIMITS = HeadLimits(head_bytes_max=4096, header_count_max=20, target_bytes_max=512)
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: relay.test\r\n"


def refused(raw: bytes) -> str:
    with pytest.raises(RelayError) as caught:
        read_head(raw, LIMITS)
    assert caught.value.close
    return caught.value.code


def test_an_ordinary_head() -> None:
    head = read_head(
        POST + b"Authorization: Bearer  k \r\nX-Other: y\r\ncontent-length: 7\r\n\r\n", LIMITS)
    assert (head.method, head.path, head.query, head.minor) == (
        b"POST", "/v1/chat/completions", "", 1)
    assert head.content_length == 7 and not head.chunked and head.keep_alive
    assert head.fields == {b"host": b"relay.test", b"authorization": b"Bearer  k",
                           b"content-length": b"7"}
    assert "Bearer" not in repr(head)


WANTED = (
    "authorization", "x-api-key", "api-key", "x-goog-api-key", "content-type", "content-encoding",
    "connection", "upgrade", "origin", "access-control-request-headers", "anthropic-version",
    "anthropic-beta", "openai-beta", "sec-websocket-key", "sec-websocket-protocol",
    "sec-websocket-version", "x-forwarded-for", "x-forwarded-proto", "user-agent",
    "x-stainless-timeout", "x-stainless-read-timeout", "x-title", "http-referer",
)


@pytest.mark.parametrize("name", WANTED)
def test_wanted_fields_in_any_case_and_none_of_nearly_their_name(name: str) -> None:
    for written in (name, name.title(), name.upper()):
        lines = b"%b: A b \r\nx%b: c\r\n%bx: d\r\n%b: e\r\n" % (
            written.encode(), name.encode(), name.encode(), name[:-1].encode())
        head = read_head(POST + lines + b"\r\n", LIMITS)
        assert head.fields == {b"host": b"relay.test", name.encode(): b"A b"}


@pytest.mark.parametrize(("raw", "path", "query"), [
    (b"GET /v1/models?limit=1&key=a%20b HTTP/1.1\r\nHost: h\r\n\r\n",
     "/v1/models", "limit=1&key=a%20b"),
    (b"GET http://h:1/v1/models HTTP/1.1\r\nHost: h:1\r\n\r\n", "/v1/models", ""),
    (b"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "/", ""),
    (b"GET HTTP://h/v1/models?a=b HTTP/1.1\r\nHost: h\r\n\r\n", "/v1/models", "a=b"),
    (b"GET / HTTP/1.1\r\nHost: h:\r\n\r\n", "/", ""),
    (b"GET / HTTP/1.1\r\nHost: [::ffff:1.2.3.4]:65535\r\n\r\n", "/", ""),
    (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", ""),
    (b"GET / HTTP/1.0\r\n\r\n", "/", ""),
    (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "/", ""),
])
def test_targets(raw: bytes, path: str, query: str) -> None:
    head = read_head(raw, LIMITS)
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(("raw", "keep_alive"), [
    (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", True),
    (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", False),
    (b"GET / HTTP/1.0\r\nHost: h\r\n\r\n", False),
    (b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", True),
    (b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive, Close\r\n\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", False),
    (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: TE\r\n\r\n", True),
    (b"GET / HTTP/1.0\r\nHost: h\r\nConnection: TE\r\n\r\n", False),
])
def test_keep_alive(raw: bytes, keep_alive: bool) -> None:
    assert read_head(raw, LIMITS).keep_alive is keep_alive


@pytest.mark.parametrize(("tail", "code"), [
    (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "bad_http"),
    (b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "bad_http"),
    (b"Content-Length: 1, 1\r\n\r\n", "bad_http"),
    (b"Content-Length: +1\r\n\r\n", "bad_http"),
    (b"Content-Length: 99999999999999999999999\r\n\r\n", "bad_http"),
    (b"Transfer-Encoding: gzip, chunked\r\n\r\n", "ambiguous_framing"),
    (b"Transfer-Encoding: identity\r\n\r\n", "bad_http"),
    (b"Host: other.test\r\n\r\n", "bad_host"),
    (b"X: a\nY: b\r\n\r\n", "bad_http"),
    (b"X: a\rY: b\r\n\r\n", "bad_http"),
    (b"X : a\r\n\r\n", "bad_http"),
    (b"X: a\r\n folded\r\n\r\n", "bad_http"),
    (b"X: a\0b\r\n\r\n", "bad_http"),
    (b"no colon\r\n\r\n", "bad_http"),
    (b"Authorization: a\r\nAuthorization: b\r\n\r\n", "ambiguous_framing"),
    (b"Expect: 200-ok\r\n\r\n", "expectation_failed"),
    (b"X: y\r\n" * 30 + b"\r\n", "head_too_large"),
    (b"X: " + b"y" * 5000 + b"\r\n\r\n", "head_too_large"),
])
def test_refused_fields(tail: bytes, code: str) -> None:
    assert refused(POST + tail) == code


@pytest.mark.parametrize(("line", "code"), [
    (b"GET / HTTP/2.0", "http_version"),
    (b"GET / HTTP/0.9", "http_version"),
    (b"GET /", "bad_http"),
    (b"GET  / HTTP/1.1", "bad_http"),
    (b"get / HTTP/1.1", "bad_http"),
    (b"GET /#fragment HTTP/1.1", "bad_http"),
    (b"GET /\\..\\x HTTP/1.1", "bad_http"),
    (b"GET /\xc3\xa9 HTTP/1.1", "bad_http"),
    (b"GET file:///etc/passwd HTTP/1.1", "bad_http"),
    (b"GET http:///x HTTP/1.1", "bad_http"),
    (b"GET http://[::1/x HTTP/1.1", "bad_http"),
    (b"GET http://h:x/x HTTP/1.1", "bad_http"),
    (b"GET http://h,i/x HTTP/1.1", "bad_http"),
    (b"GET * HTTP/1.1", "bad_http"),
    (b"GET /" + b"x" * 600 + b" HTTP/1.1", "target_too_long"),
])
def test_refused_request_lines(line: bytes, code: str) -> None:
    assert refused(line + b"\r\nHost: h\r\n\r\n") == code


@pytest.mark.parametrize("host", [b"", b"a b", b"a:b", b"a:1:2", b"[::1", b"a/b", b"u@h", b"a,b",
                                  b"a:65536", b"a:99999", b"[:::1]", b"[1::2::3]", b"[.]", b"[]",
                                  b"[1:2:3:4:5:6:7]", b"[::1%lo]"])
def test_refused_hosts(host: bytes) -> None:
    assert refused(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n") == "bad_host"


def test_http_1_1_needs_a_host() -> None:
    assert refused(b"GET / HTTP/1.1\r\nX: y\r\n\r\n") == "bad_host"


def test_transfer_encoding_in_http_1_0_is_refused() -> None:
    raw = b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refused(raw) == "ambiguous_framing"


@pytest.mark.parametrize("padding", [b"\t", b" \t ", b"\t\t", b"   "])
def test_blanks_behind_the_coding_are_no_part_of_it(padding: bytes) -> None:
    raw = POST + b"transfer-encoding:\tChunked" + padding + b"\r\nX-A: b\r\n\r\n"
    assert read_head(raw, LIMITS).chunked
    partial = PartialHead()
    for end in range(1, len(raw) - 3):
        partial.feed(raw[:end], LIMITS)
    assert refused(raw.replace(b"X-A", b"X A")) == "bad_http"
    assert refused(raw.replace(b"X-A: b", b"Transfer-Encoding: x")) == "bad_http"


@pytest.mark.parametrize(("raw", "code"), [
    (b"SSH-2.0-OpenSSH_9\r\n", "bad_http"),
    (b"PING\r\n", "bad_http"),
    (b"GET /v1/models\r\n", "bad_http"),
    (b"GET /v1/models\n", "bad_http"),
    (b"GET /v1/models HTTP/1.1\rX", "bad_http"),
    (POST + b"Transfer-Encoding: chunked\t\x0b", "bad_http"),
    (b"\0" * 100, "bad_http"),
    (b"\x16\x03\x01\x02\x00", "bad_http"),
    (b"GET / HTTP/3.0\r\n", "http_version"),
    (POST + b"X : y\r\n", "bad_http"),
    (b"GET /" + b"a" * 700, "target_too_long"),
    (POST + b"X: " + b"y" * 5000, "head_too_large"),
])
def test_garbage_is_refused_before_its_head_ends(raw: bytes, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        PartialHead().feed(raw, LIMITS)
    assert caught.value.code == code


@pytest.mark.parametrize(("lines", "left"), [
    (b"", b""), (b"\r\n", b""), (b"\r\n\r\n", b""), (b"\n", b""), (b"\r", b"\r"),
    (b"\r\n\r", b"\r"), (b"\n\r", b"\r"), (b"\r\r", None), (b"\r\r\n", None),
    (b"\r\n\r\r\n", None),
])
def test_empty_lines_before_a_request(lines: bytes, left: bytes | None) -> None:
    if left is None:
        with pytest.raises(RelayError, match="bad_http"):
            behind_empty_lines(lines)
    else:
        assert behind_empty_lines(lines) == left
        if not left:
            for request in (POST, POST + b"\r\na\rb\r\r\n"):  # its body is what it is
                assert behind_empty_lines(lines + request) == request
        else:
            with pytest.raises(RelayError, match="bad_http"):
                behind_empty_lines(lines + POST)


@pytest.mark.parametrize("size", [30, 400, 1000, 5000])
def test_what_has_no_method_is_no_http_at_any_length(size: int) -> None:
    for raw in (b"A" * size, b"A" * size + b" / HTTP/1.1\r\nHost: h", b"\x16\x03" * size):
        with pytest.raises(RelayError, match="bad_http"):
            PartialHead().feed(raw, LIMITS)
        assert refused(raw + b"\r\n\r\n") == "bad_http"


@pytest.mark.parametrize("length", [b"1" * 20, b"0" * 20, b"7"])
def test_lengths(length: bytes) -> None:
    head = read_head(POST + b"Content-Length: %b\r\n\r\n" % length, LIMITS)
    assert head.content_length == int(length)
    for bad in (b"1" * 21, b"0" * 21, b"+7", b"-7", b"7 7", b"0x7", b""):
        assert refused(POST + b"Content-Length: %b\r\n\r\n" % bad) in (
            "bad_http", "ambiguous_framing")


def test_the_longest_target_is_accepted_in_any_pieces() -> None:
    line = b"POST /" + b"a" * (LIMITS.target_bytes_max - 1) + b" HTTP/1.1\r\n"
    for cut in range(1, len(line) + 1):
        PartialHead().feed(line[:cut], LIMITS)
    head = read_head(line + b"Host: h\r\n\r\n", LIMITS)
    assert len(head.path) == LIMITS.target_bytes_max
    assert refused(line.replace(b"/a", b"/aa") + b"Host: h\r\n\r\n") == "target_too_long"


@given(st.data())
def test_a_sound_head_is_accepted_in_any_pieces(data: st.DataObject) -> None:
    raw = POST + b"Content-Length: 5\r\nX-Some: value\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw)), max_size=8)))
    partial = PartialHead()
    for cut in [*cuts, len(raw)]:
        partial.feed(raw[:cut], LIMITS)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    try:
        read_head(noise + b"\r\n\r\n", LIMITS)
    except RelayError as error:
        assert error.close


def _request(length: bytes) -> bytes:
    return (b"POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: " + length
            + b"\r\nX-Api-Key: k\r\n\r\n")


@given(st.lists(st.one_of(
    st.integers(0, 10 ** 12).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"x", b"1 ", b"1\r\nX-A: 2", b"0" * 11 + b"1", b"99\r\nX-Api-Key: k"]),
    st.binary(max_size=4)), max_size=6), st.binary(max_size=9))
def test_a_head_that_repeats_is_read_as_any_other(lengths: list[bytes], rest: bytes) -> None:
    first = read_head(_request(b"12"), LIMITS)
    repeated = RepeatedHead(_request(b"12"), first)
    for length in lengths:
        raw = _request(length)
        end = repeated.read(raw + rest)
        if length.isdigit() and len(length) < 12:
            assert end == len(raw)
        if end:
            assert raw[:end] == raw and first.content_length == int(length)
            assert read_head(raw, LIMITS).content_length == first.content_length
    assert not repeated.read(_request(b"12")[:-1])
    assert not repeated.read(b"x" + _request(b"12"))
