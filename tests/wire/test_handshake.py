"""Handshakes: what is refused, what influences the upstream one, what a provider may answer."""

from __future__ import annotations

from base64 import b64encode

import pytest
from wsproto.utilities import generate_accept_token

from relayd.core.errors import RelayError
from relayd.core.provider import Address, Provider
from relayd.wire.handshake import (
    HEAD_BYTES_MAX, accept_of, accepting, check_accepted, read_answer, read_handshake,
    upstream_handshake,
)
from relayd.wire.http import HeadLimits, RequestHead, read_head

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
LIMITS = HeadLimits(32768, 100, 8192)
OPENAI = Provider("openai", "openai", Address("https", "api.openai.com", 443, "/v1"), ("sk-op",))


def head(
    target: str = "/v1/realtime?model=gpt-realtime", *fields: str, method: str = "GET",
    version: str = "1.1", drop: str = "",
) -> RequestHead:
    lines = ["Host: relay.test", "Upgrade: websocket", "Connection: keep-alive, Upgrade",
             "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + KEY.decode()]
    kept = [line for line in lines if not drop or not line.startswith(drop)]
    raw = "\r\n".join([f"{method} {target} HTTP/{version}", *kept, *fields, "", ""])
    return read_head(raw.encode(), LIMITS)


def test_the_example_of_the_rfc() -> None:
    asked = read_handshake(head())
    assert asked.accept == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 section 1.3
    assert asked.accept == generate_accept_token(KEY)
    assert (asked.model, asked.protocol, asked.beta) == ("gpt-realtime", b"", b"")
    assert accepting(asked) == [
        (b"upgrade", b"websocket"), (b"connection", b"Upgrade"),
        (b"sec-websocket-accept", asked.accept)]


@pytest.mark.parametrize(("made", "code"), [
    (head(drop="Upgrade"), "upgrade_required"),
    (head(drop="Connection"), "upgrade_required"),
    (head(drop="Sec-WebSocket-Version"), "upgrade_required"),
    (head("/v1/realtime?model=m", "Sec-WebSocket-Version: 8", drop="Sec-WebSocket-Version"),
     "upgrade_required"),
    (head("/v1/realtime?model=m", "Upgrade: h2c", drop="Upgrade"), "upgrade_required"),
    (head(method="POST"), "upgrade_required"),
    (head(version="1.0"), "upgrade_refused"),
    (head(drop="Sec-WebSocket-Key"), "upgrade_refused"),
    (head("/v1/realtime?model=m", "Sec-WebSocket-Key: c2hvcnQ=", drop="Sec-WebSocket-Key"),
     "upgrade_refused"),
    (head("/v1/realtime?model=m", "Sec-WebSocket-Key: " + KEY.decode()), "upgrade_refused"),
    (head("/v1/realtime?model=m", "Content-Length: 5"), "upgrade_refused"),
    (head("/v1/realtime?model=m", "Transfer-Encoding: chunked"), "upgrade_refused"),
    (head("/v1/realtime"), "missing_model"),
    (head("/v1/realtime?model="), "missing_model"),
    (head("/v1/realtime?model=a&model=b"), "invalid_field"),
    (head("/v1/realtime?model=a&deployment=b"), "invalid_field"),
    (head("/v1/realtime?model=a%0d%0ax"), "invalid_field"),
    (head("/v1/realtime?model=..%2f..%2fx"), "invalid_field"),
    (head("/v1/realtime?model=%ff"), "invalid_field"),
    (head("/v1/realtime?" + "a=1&" * 40 + "model=m"), "invalid_field"),
    (head("/v1/realtime?model=m&call_id=rtc_1"), "refused_field"),
])
def test_what_is_refused(made: RequestHead, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        read_handshake(made)
    assert caught.value.code == code


@pytest.mark.parametrize(("field", "protocol", "beta", "dropped"), [
    ("OpenAI-Beta: realtime=v1", b"", b"realtime=v1", ()),
    ("OpenAI-Beta: assistants=v2, realtime=v1", b"", b"realtime=v1", ("openai-beta",)),
    ("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-x", b"realtime", b"", ()),
    ("Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-x, openai-beta.realtime-v1",
     b"realtime", b"realtime=v1", ()),
    ("Sec-WebSocket-Protocol: openai-insecure-api-key.sk-x", b"", b"", ()),
    ("Sec-WebSocket-Extensions: permessage-deflate", b"", b"", ()),
])
def test_what_influences_the_upstream_handshake(
    field: str, protocol: bytes, beta: bytes, dropped: tuple[str, ...]
) -> None:
    asked = read_handshake(head("/v1/realtime?key=sk-x&model=m", field))
    assert (asked.protocol, asked.beta, asked.dropped) == (protocol, beta, dropped)
    names = [name for name, _ in accepting(asked)]
    assert b"sec-websocket-extensions" not in names
    assert (b"sec-websocket-protocol" in names) == bool(protocol)


def test_the_upstream_handshake_byte_for_byte() -> None:
    raw = upstream_handshake(OPENAI, "sk-op", "gpt/real time", KEY, b"realtime=v1", "PSEUDONYM")
    assert raw == (
        b"GET /v1/realtime?model=gpt%2Freal%20time HTTP/1.1\r\nHost: api.openai.com\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: " + KEY + b"\r\nAuthorization: Bearer sk-op\r\nUser-Agent: relayd\r\n"
        b"OpenAI-Beta: realtime=v1\r\nOpenAI-Safety-Identifier: PSEUDONYM\r\n\r\n")


@pytest.mark.parametrize(("path", "api_version", "target"), [
    ("/openai/v1", None, "/openai/v1/realtime?model=my-realtime"),
    ("", "2025-04-01-preview",
     "/openai/realtime?api-version=2025-04-01-preview&deployment=my-realtime"),
])
def test_azures_two_forms(path: str, api_version: str | None, target: str) -> None:
    azure = Provider("azure", "azure", Address("https", "me.openai.azure.com", 443, path), ("k",),
                     api_version=api_version, headers=(("X-Mine", "1"), ("Origin", "x")))
    raw = upstream_handshake(azure, "k", "my-realtime", KEY, b"", None).decode()
    assert raw.startswith(f"GET {target} HTTP/1.1\r\n")
    assert "\r\napi-key: k\r\n" in raw and "\r\nX-Mine: 1\r\n" in raw and "Origin" not in raw


def accepted(*more: str, drop: str = "", key: bytes = KEY) -> bytes:
    lines = ["Upgrade: WebSocket", "Connection: upgrade",
             "Sec-WebSocket-Accept: " + accept_of(key).decode()]
    kept = [line for line in lines if not drop or not line.startswith(drop)]
    return "\r\n".join(["HTTP/1.1 101 Switching Protocols", *kept, *more, ""]).encode()


@pytest.mark.parametrize("more", [(), ("X-Anything: 1", "Set-Cookie: a=b"), ("Date:",)])
def test_a_sound_answer(more: tuple[str, ...]) -> None:
    check_accepted(accepted(*more), KEY)


@pytest.mark.parametrize("raw", [
    accepted(drop="Upgrade"), accepted(drop="Connection"), accepted(drop="Sec-WebSocket-Accept"),
    accepted(key=b64encode(b"another key of 16")), accepted("Upgrade: h2c"),
    accepted("Sec-WebSocket-Accept: " + accept_of(KEY).decode()),
    accepted("Sec-WebSocket-Extensions: permessage-deflate"),
    accepted("Sec-WebSocket-Protocol: realtime"), accepted("no colon"), accepted(" folded: x"),
    accepted("Name : x"),
])
def test_an_answer_that_does_not_accept(raw: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        check_accepted(raw, KEY)
    assert caught.value.code == "upstream_protocol"


def test_answers_come_in_pieces_and_after_interim_ones() -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + accepted() + b"\r\n\x81\x01x"
    end = len(raw) - 3
    for size in range(end):
        assert read_answer(raw[:size]) is None
    assert read_answer(raw) == (101, accepted(), end)
    found = read_answer(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    assert found is not None and found[0] == 401


@pytest.mark.parametrize("raw", [
    b"garbage\r\n\r\n", b"HTTP/1.0 101 Old\r\n\r\n", b"HTTP/2 101\r\n\r\n",
    b"HTTP/1.1 999 No\r\n\r\n", b"HTTP/1.1 101x\r\n\r\n", b"x" * (HEAD_BYTES_MAX + 1),
    b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_BYTES_MAX // 25 + 2),
])
def test_what_is_no_answer(raw: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        read_answer(raw)
    assert caught.value.code == "upstream_protocol"
