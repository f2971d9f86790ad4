"""Requests and replies of our own, so that the relay's reading of HTTP/1.1 is proven anywhere."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.http.case import Case, names
from tests.http.conftest import Findall
from tests.http.play import BODY, TARGET, Findings, play_reply, play_request

LINE = b"POST " + TARGET.encode() + b" HTTP/1.1\r\n"
HOST = b"Host: relay.test\r\n"
KEY = b"Authorization: Bearer @AUTH@\r\n"
TYPE = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HEAD = LINE + HOST + KEY + TYPE
WHOLE = HEAD + LENGTH + b"\r\n" + BODY
LAST = b"0\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(BODY), BODY)
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: relay.test\r\n\r\n"


def encoded(body: bytes) -> str:
    return base64.b64encode(body).decode()


def rejected(name: str, rfc: str, raw: bytes, *status: int, **more: Any) -> Case:
    expect = {"outcome": "reject", "status": list(status) or [400], "close": "must",
              "silent_close_ok": False}
    return Case(f"r-{name}", name, raw, expect, rfc=rfc, **more)


def forwarded(
    name: str, rfc: str, raw: bytes, count: int = 1, *, close: str = "must_not",
    absent: tuple[str, ...] = (), **more: Any,
) -> Case:
    upstream = {"count": count, "body_b64": encoded(BODY), "headers_absent": absent}
    expect = {"outcome": "forward", "close": close, "upstream": upstream}
    return Case(f"f-{name}", name, raw, expect, rfc=rfc, **more)


REQUESTS = [
    forwarded("length", "9112 6.2", WHOLE),
    forwarded("chunked", "9112 7.1", HEAD + CHUNKED + b"\r\n" + CHUNK + LAST),
    forwarded("an octet a write", "9112 2.2", HEAD + CHUNKED + b"\r\n" + CHUNK + LAST,
              send="bytes"),
    forwarded("extension and trailer", "9112 7.1.1",
              HEAD + CHUNKED + b"\r\n" + CHUNK.replace(b"\r\n", b";a=b\r\n", 1)
              + b"0\r\nX-Injected: 1\r\n\r\n"),
    forwarded("pipelined", "9112 9.3.2", WHOLE * 5, 5),
    forwarded("pipelined in segments", "9112 9.3.2", WHOLE * 3, 3, send="segments-100"),
    forwarded("the same head in parts", "9112 9.3", WHOLE * 8, 8, send="segments-37"),
    forwarded("empty line before", "9112 2.2", b"\r\n" + WHOLE),
    forwarded("empty lines in octets", "9112 2.2", b"\r\n\r\n" + WHOLE, send="bytes"),
    rejected("bare CR before", "9112 2.2", b"\r" + WHOLE),
    rejected("bare CR before, in octets", "9112 2.2", b"\r\n\r" + WHOLE, send="bytes"),
    forwarded("absolute form", "9112 3.2.2", WHOLE.replace(b"POST /", b"POST http://relay.test/")),
    forwarded("close", "9112 9.6", HEAD + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY,
              close="must"),
    forwarded("hop by hop", "9110 7.6.1",
              HEAD + b"Connection: keep-alive, x-mine\r\nX-Mine: 1\r\nTE: trailers\r\n"
              b"Proxy-Authorization: Basic YQ==\r\n" + LENGTH + b"\r\n" + BODY,
              absent=("x-mine", "te", "proxy-authorization", "keep-alive")),
    forwarded("expects 100", "9110 10.1.1",
              HEAD + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n" + BODY,
              send="headers-then-wait"),
    forwarded("half-closed", "9112 9.6", WHOLE, after="shutdown_wr", close="either"),
    rejected("length and coding", "9112 6.1", HEAD + LENGTH + CHUNKED + b"\r\n" + LAST + SMUGGLED),
    rejected("two lengths", "9112 6.3", HEAD + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY),
    rejected("coding of 1.0", "9112 6.1",
             WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0").replace(LENGTH, CHUNKED)),
    rejected("other coding", "9112 6.1", HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + LAST,
             400, 501),
    rejected("coding after a tab", "9112 5.1",
             HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + LAST + SMUGGLED),
    rejected("signed length", "9112 6.3", HEAD + b"Content-Length: +66\r\n\r\n" + BODY),
    rejected("signed chunk", "9112 7.1", HEAD + CHUNKED + b"\r\n-1\r\n\r\n" + LAST),
    rejected("chunk without its end", "9112 7.1", HEAD + CHUNKED + b"\r\n1\r\nabc\r\n" + LAST),
    rejected("space before the colon", "9112 5.1",
             HEAD + b"Content-Length : 0\r\n\r\n" + SMUGGLED),
    rejected("folded line", "9112 5.2", HEAD + b"X-A: b\r\n c\r\n" + LENGTH + b"\r\n" + BODY),
    rejected("bare CR", "9112 2.2", HEAD + b"X-A: b\rX-Injected: 1\r\n\r\n"),
    rejected("NUL", "9110 5.5", HEAD + b"X-A: b\0c\r\n" + LENGTH + b"\r\n" + BODY),
    rejected("no host", "9112 3.2", LINE + KEY + LENGTH + b"\r\n" + BODY),
    rejected("two hosts", "9112 3.2", LINE + HOST * 2 + KEY + LENGTH + b"\r\n" + BODY),
    rejected("another version", "9110 2.5", b"POST / HTTP/3.0\r\n" + HOST + b"\r\n", 400, 505),
    rejected("another protocol", "9112 3", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505),
    rejected("another expectation", "9110 10.1.1",
             HEAD + b"Expect: a-miracle\r\n" + LENGTH + b"\r\n" + BODY, 417),
    forwarded("tab behind the coding", "9110 5.5",
              HEAD + b"Transfer-Encoding: chunked\t \r\n\r\n" + CHUNK + LAST),
    forwarded("tab behind the coding in octets", "9110 5.5",
              HEAD + b"Transfer-Encoding:\tChunked\t\r\n\r\n" + CHUNK + LAST, send="bytes"),
    forwarded("blanks around an extension", "9112 7.1.1", HEAD + CHUNKED + b"\r\n"
              + CHUNK.replace(b"\r\n", b' \t; a = "b;\\"c" ;d\r\n', 1) + LAST),
    forwarded("more behind the last request", "9112 9.6",
              HEAD + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY + SMUGGLED * 3,
              close="must", send="segments-90"),
    *(rejected(f"extension {extension!r}", "9112 7.1.1", HEAD + CHUNKED + b"\r\n"
               + CHUNK.replace(b"\r\n", extension + b"\r\n", 1) + LAST)
      for extension in (b";", b";;a", b";=b", b";a=", b";a b", b';a="b', b" a", b";\xc3\xa4",
                        b" ")),
    *(rejected(f"last chunk {size!r}", "9112 7.1", HEAD + CHUNKED + b"\r\n" + CHUNK + size
               + b"\r\n\r\n" + SMUGGLED)
      for size in (b"-0", b"0x0", b"0_0", b"", b" 0", b'0;a="b\r\nX-A: "', b"0\r\n X-A: b")),
    rejected("chunk over the limit", "9112 7.1",
             HEAD + CHUNKED + b"\r\nfffffff\r\n" + BODY, 413),
    *(rejected(f"coding {coding!r}", "9112 6.1", HEAD + b"Transfer-Encoding: " + coding
               + b"\r\n\r\n" + CHUNK + LAST + SMUGGLED, 400, 501)
      for coding in (b"identity", b"chunked;q=1", b"\xa0chunked", b"chunked\x0b", b"chun\tked",
                     b"\tchunked\t,", b"chunked\r\nTransfer-Encoding:")),
    *(rejected(f"length {length!r}", "9110 8.6", HEAD + b"Content-Length: " + length
               + b"\r\n\r\n" + BODY)
      for length in (b"", b"0x42", b"6_6", b"66;", b"66 66", b"66.0", b"\x0b66", b"\xb2",
                     b"66,0")),
    *(rejected(f"line {line!r}", "9112 3", line + HOST + KEY + b"\r\n" + SMUGGLED, 400, 505)
      for line in (b"GET /\n", b"GET /\r", b"GET / \r\n", b"GET\t/ HTTP/1.1\r\n",
                   b"GET / HTTP/1.1 \r\n", b"GET / http/1.1\r\n", b"GET / HTTP/1.10\r\n")),
    rejected("HEAD without a host", "9112 3.2", b"HEAD / HTTP/1.1\r\n\r\n"),
    Case("i-cut-body", "cut body", HEAD + LENGTH + b"\r\n" + BODY[:-1],
         {"outcome": "incomplete", "status": [400, 408]}, after="shutdown_wr", rfc="9112 8"),
    Case("i-cut-head", "cut head", HEAD, {"outcome": "incomplete", "status": [400, 408]},
         rfc="9112 8"),
]

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
REPLY = b'{"object":"chat.completion","choices":[]}'
REPLY_LENGTH = b"Content-Length: %d\r\n" % len(REPLY)
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
EVENT_CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)


def replied(name: str, rfc: str, raw: bytes, *outcomes: str, **more: Any) -> Case:
    expect: dict[str, Any] = {"outcomes": outcomes or ("forward",), "status": [200],
                              "body_b64": encoded(REPLY)}
    expect.update(more.pop("expect", {}))
    return Case(f"s-{name}", name, raw, expect, after=more.pop("after", "keep"), rfc=rfc, **more)


REPLIES = [
    replied("length", "9112 6.2", OK + REPLY_LENGTH + b"\r\n" + REPLY),
    replied("an octet a write", "9112 2.2", OK + REPLY_LENGTH + b"\r\n" + REPLY, send="bytes"),
    replied("chunked with trailer", "9112 7.1.2",
            OK + CHUNKED + b"\r\n%x\r\n%b\r\n0\r\nX-A: b\r\n\r\n" % (len(REPLY), REPLY)),
    replied("tab behind the coding", "9110 5.5", OK + b"Transfer-Encoding: chunked\t\r\n\r\n"
            + b"%x\r\n%b\r\n0\r\n\r\n" % (len(REPLY), REPLY), "forward", "gateway-error",
            after="close"),
    replied("up to the close", "9112 6.3", OK + b"\r\n" + REPLY, after="close"),
    replied("interim before", "9110 15.2", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK
            + REPLY_LENGTH + b"\r\n" + REPLY),
    replied("cookie and infrastructure", "9110 7.6",
            OK + b"Set-Cookie: a=b\r\nServer: x\r\nCF-Ray: y\r\nAlt-Svc: h3\r\n"
            + REPLY_LENGTH + b"\r\n" + REPLY,
            expect={"headers_absent": ["set-cookie", "server", "cf-ray", "alt-svc"]}),
    replied("octets behind the body", "9112 6.3", OK + REPLY_LENGTH + b"\r\n" + REPLY + b"evil",
            "forward", "gateway-error",
            expect={"upstream_reuse": "must_not", "must_not_contain": ["evil"]}),
    replied("a second answer behind", "9112 9.3",
            (OK + REPLY_LENGTH + b"\r\n" + REPLY) * 2, "forward", "gateway-error",
            expect={"upstream_reuse": "must_not"}),
    replied("two lengths", "9112 6.3", OK + REPLY_LENGTH + b"Content-Length: 1\r\n\r\n" + REPLY,
            "gateway-error", after="close", expect={"upstream_reuse": "must_not"}),
    replied("a coding in two lines", "9112 6.1", OK + b"Transfer-Encoding: gzip\r\n" + CHUNKED
            + b"\r\n" + CHUNK + LAST, "gateway-error", after="close"),
    *(replied(f"{protocol.decode()} answers", "9112 2.3",
              (OK + REPLY_LENGTH + b"\r\n" + REPLY).replace(b"HTTP/1.1", protocol),
              "gateway-error", after="close") for protocol in (b"RTSP/1.0", b"ICE/1.1")),
    replied("cut", "9112 8", OK + REPLY_LENGTH + b"\r\n" + REPLY[:-1], "abort", "gateway-error",
            after="close"),
    replied("reset", "9112 8", OK + REPLY_LENGTH + b"\r\n" + REPLY[:-1], "abort", "gateway-error",
            after="reset"),
    replied("no answer", "9112 8", b"", "gateway-error", after="close"),
    replied("silence", "9110 15.6.5", b"", "gateway-error", after="hold"),
    replied("garbage", "9112 2.2", b"SSH-2.0-x\r\n", "gateway-error", after="close"),
    replied("unasked switch", "9110 15.2.2",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "gateway-error", "abort", expect={"upstream_reuse": "must_not"}),
    replied("unasked answer", "9112 9.2", OK + b"Content-Length: 4\r\n\r\nevil",
            "forward", "gateway-error", when="on-connect", play=1,
            expect={"must_not_contain": ["evil"], "body_b64": ""}),
    replied("stream cut", "9112 8", EVENTS + CHUNKED + b"\r\n" + EVENT_CHUNK, "abort",
            "error-event", after="close", stream=True,
            expect={"body_prefix_b64": encoded(EVENT)}),
    replied("stream stalled", "9112 8", EVENTS + CHUNKED + b"\r\n" + EVENT_CHUNK, "abort",
            "error-event", after="hold", stream=True,
            expect={"body_prefix_b64": encoded(EVENT)}),
]


@pytest.fixture(scope="module")
def findings(play_chosen: Findall) -> Findings:
    async def play(lane: Any, case: Case) -> list[str]:
        return await (play_reply if case.id.startswith("s-") else play_request)(lane, case)

    return play_chosen(play)


@pytest.mark.parametrize("case", REQUESTS + REPLIES, ids=names(REQUESTS + REPLIES))
def test_case(case: Case, findings: Findings) -> None:
    assert findings[case.id] == [], f"RFC {case.rfc}"
