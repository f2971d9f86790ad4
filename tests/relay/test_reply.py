"""Heads of replies, built from an allow-list, and the relay's own answers."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.core.errors import RelayError
from relayd.core.snapshot import Snapshot
from relayd.relay.exchange import Exchange, Memo
from relayd.relay.reply import EXPOSED, JSON, Replier
from relayd.relay.view import View
from relayd.wire.dialect import target_of
from relayd.wire.http import HeadLimits, read_head
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import Answer, message
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
COMMON = {b"date": DATE, b"x-request-id": b"01J", b"request-id": b"01J",
          b"cache-control": b"no-store", b"x-content-type-options": b"nosniff"}


class Wire:
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = False

    def write(self, data: bytes) -> None:
        self.written += data

    def cut(self) -> None:
        self.ended = True


def exchange(method: bytes = b"POST", path: bytes = b"/v1/chat/completions",
             version: bytes = b"HTTP/1.1", fields: bytes = b"") -> Exchange:
    raw = b"%b %b %b\r\nHost: h\r\n%b\r\n" % (method, path, version, fields)
    head = read_head(raw, HeadLimits(1000, 10, 100))
    head.memo = Memo(target_of(head.path, "openai"))
    wire: Any = Wire()
    policy: Any = None
    made = Exchange(wire, head, policy, "01J", 1, 2.0)
    made.body_complete = True
    return made


def replier(*origins: str, edition: int = 0, tls: bool = False) -> Replier:
    return Replier(origins, lambda: DATE, View(Snapshot(1, {}, edition=edition)), tls)


def parts(raw: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    fields = dict(each.split(b": ", 1) for each in lines)
    assert len(fields) == len(lines)
    return line, fields, body


@pytest.mark.parametrize(("made", "more"), [
    (exchange(), {}),
    (exchange(fields=b"Connection: close\r\n"), {b"connection": b"close"}),
    (exchange(version=b"HTTP/1.0"), {b"connection": b"close"}),
    (exchange(version=b"HTTP/1.0", fields=b"Connection: keep-alive\r\n"),
     {b"connection": b"keep-alive"}),
])
def test_head(made: Exchange, more: dict[bytes, bytes]) -> None:
    raw = replier().head(made, 200, [JSON], b"content-length: 2\r\n")
    line, fields, rest = parts(raw)
    assert line == b"HTTP/1.1 200 OK" and rest == b""
    assert fields == {**COMMON, JSON[0]: JSON[1], b"content-length": b"2", **more}


def test_G2_every_reply_names_the_policy_in_force() -> None:
    told = replier("https://a.test", edition=3)
    for made in (exchange(), exchange(fields=b"Authorization: Bearer sk-relayd-x\r\n")):
        assert parts(told.head(made, 200, [JSON], b""))[1][b"relay-policy-version"] == b"3"
    refused = told.refusal(RelayError("draining", close=True), "01J")
    assert parts(refused)[1][b"relay-policy-version"] == b"3"
    told.error(made, RelayError("invalid_key"))
    wire: Any = made.connection
    assert parts(wire.written)[1][b"relay-policy-version"] == b"3"
    assert b"relay-policy-version" in EXPOSED.split(b", ")


@pytest.mark.parametrize("tls", [False, True])
def test_D1_every_reply_over_tls_asks_browsers_for_no_other(tls: bool) -> None:
    told, made = replier(tls=tls), exchange()
    made.dropped = ("user",)
    told.error(made, RelayError("invalid_key"))
    wire: Any = made.connection
    for raw in (told.head(exchange(), 200, [JSON], b""), wire.written,
                told.refusal(RelayError("bad_http", close=True), "01J")):
        assert parts(raw)[1].get(b"strict-transport-security") == (
            b"max-age=31536000" if tls else None)


def test_a_policy_that_takes_effect_is_in_the_next_reply() -> None:
    view = View()
    told, made = Replier((), lambda: DATE, view, False), exchange()
    seen = []
    for edition in (0, 1, 2, 1, 0):
        view.publish(Snapshot(1, {}, edition=edition))
        seen.append(parts(told.head(made, 200, [JSON], b""))[1].get(b"relay-policy-version"))
    assert seen == [None, b"1", b"2", b"1", None]


def test_a_status_without_a_phrase() -> None:
    assert parts(replier().head(exchange(), 529, [], b""))[0] == b"HTTP/1.1 529 "


def test_dropped_names_are_ascii() -> None:
    made = exchange()
    made.dropped = ("user", "ü")
    assert parts(replier().head(made, 200, [], b""))[1][b"relay-dropped"] == b"user, ?"


@pytest.mark.parametrize(("origins", "origin", "told"), [
    ((), b"https://a.test", None),
    (("https://a.test",), b"https://a.test", b"https://a.test"),
    (("https://a.test",), b"https://b.test", None),
    (("https://a.test",), b"", None),
    (("*",), b"https://b.test", b"https://b.test"),
])
def test_cors(origins: tuple[str, ...], origin: bytes, told: bytes | None) -> None:
    fields = b"Origin: %b\r\n" % origin if origin else b""
    found = parts(replier(*origins).head(exchange(fields=fields), 200, [], b""))[1]
    assert found.get(b"access-control-allow-origin") == told
    assert found.get(b"access-control-expose-headers") == (EXPOSED if told else None)
    assert found.get(b"vary") == (b"origin" if origins else None)


@pytest.mark.parametrize(("status", "length"), [
    (200, b"2"), (204, None), (304, None), (404, b"2"),
])
def test_answer(status: int, length: bytes | None) -> None:
    made = exchange()
    replier().answer(made, status, (), b"" if length is None else b"hi")
    wire: Any = made.connection
    _, fields, body = parts(wire.written)
    assert fields.get(b"content-length") == length and body == (b"" if length is None else b"hi")
    assert made.replied and made.status == status


def test_head_requests_get_the_head_alone() -> None:
    made = exchange(b"HEAD", b"/v1/models")
    replier().answer(made, 200, (JSON,), b"four")
    wire: Any = made.connection
    _, fields, body = parts(wire.written)
    assert (fields[b"content-length"], body) == (b"4", b"")


@pytest.mark.parametrize(("method", "path", "code", "field"), [
    (b"PUT", b"/v1/models", "method_not_allowed", (b"allow", b"GET, HEAD")),
    (b"GET", b"/v1/messages", "method_not_allowed", (b"allow", b"POST")),
    (b"POST", b"/v1/messages", "missing_key", (b"www-authenticate", b'Bearer realm="relayd"')),
    (b"GET", b"/v1/models", "invalid_key", (b"www-authenticate", b'Bearer realm="relayd"')),
    (b"GET", b"/v1/responses", "websocket_not_served", (b"upgrade", b"websocket")),
    (b"GET", b"/v1/realtime", "upgrade_required", (b"sec-websocket-version", b"13")),
    (b"GET", b"/v1/realtime", "upgrade_required", (b"connection", b"upgrade, close")),
    (b"GET", b"/v1/responses", "websocket_not_served", (b"connection", b"upgrade, close")),
    (b"POST", b"/v1/messages", "tls_required", (b"connection", b"upgrade, close")),
    (b"POST", b"/v1/messages", "overloaded", (b"retry-after", b"1")),
    (b"POST", b"/v1/messages", "invalid_json", (b"x-should-retry", b"false")),
])
def test_error(method: bytes, path: bytes, code: str, field: tuple[bytes, bytes]) -> None:
    made = exchange(method, path)
    replier().error(made, RelayError(code))
    wire: Any = made.connection
    line, fields, body = parts(wire.written)
    assert line.split()[1] == b"%d" % RelayError(code).status and fields[field[0]] == field[1]
    assert body.startswith(b"{") and fields[b"content-type"] == b"application/json"


@pytest.mark.parametrize(("close", "complete", "kept"), [
    (False, True, True), (True, True, False), (False, False, False),
])
def test_an_error_closes_where_the_body_is_not_read(
    close: bool, complete: bool, kept: bool
) -> None:
    made = exchange()
    made.body_complete = complete
    replier().error(made, RelayError("invalid_json", close=close))
    wire: Any = made.connection
    assert (b"connection: close" not in wire.written) is kept is made.keep_alive


def test_an_error_in_a_reply_that_has_begun_is_a_cut() -> None:
    made = exchange()
    made.replied = True
    replier().error(made, RelayError("upstream_truncated"))
    wire: Any = made.connection
    assert wire.written == b"" and wire.ended


def test_a_refusal_without_an_exchange() -> None:
    line, fields, body = parts(replier().refusal(RelayError("bad_http"), "01J"))
    assert line == b"HTTP/1.1 400 Bad Request" and fields[b"connection"] == b"close"
    assert fields[b"content-length"] == b"%d" % len(body) and fields[b"x-request-id"] == b"01J"


def test_a_refusal_of_head_has_no_body() -> None:
    whole = replier().refusal(RelayError("bad_host"), "01J")
    bare = replier().refusal(RelayError("bad_host"), "01J", to_head=True)
    assert bare.endswith(b"\r\n\r\n") and whole.startswith(bare) and whole != bare


async def test_nothing_else_of_a_provider_s_head_passes(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(message(b"{}", fields=(
        ("openai-organization", "org-1"), ("Server", "x"), ("Via", "y"), ("x-request-id", "up-1"),
        ("Set-Cookie", "a=b"), ("openai-processing-ms", "12"), ("x-ratelimit-limit-tokens", "1"),
        ("relay-dropped", "z"), ("Access-Control-Allow-Origin", "*")))))
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert {name for name, _ in reply.fields} == {
        *COMMON, b"content-type", b"content-length"}
    assert b"up-1" not in reply.head
