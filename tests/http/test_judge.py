"""The judges find what is wrong: each fault is made up here, and must be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.daemon import ANSWER, Lane, plain_answer
from tests.fakes.rawhttp import Fields, Reply, Request
from tests.http import judge_reply, judge_request
from tests.http.case import Case, filled
from tests.http.play import BODY, answers, play_reply, play_request
from tests.http.seen import ClientSide, UpstreamSide
from tests.http.test_own_cases import REPLIES, REQUESTS, encoded

KEY = "sk-relayd-key"


def reply(status: int = 200, body: bytes = ANSWER, fields: Fields | None = None) -> Reply:
    return Reply(status, fields or [], b"", body)


def request(target: bytes = b"/v1/chat/completions", body: bytes = BODY, **more: Any) -> Request:
    return Request(b"POST", target, more.get("fields", []), more.get("head", b""), body,
                   connection=more.get("connection", 0))


FORWARD = Case("f", "f", b"", {"outcome": "forward", "close": "must_not", "upstream": {
    "count": 1, "body_b64": encoded(BODY), "headers_absent": ["te"],
    "must_not_contain": ["evil"], "json_no_duplicate_keys": True}})
REJECT = Case("r", "r", b"", {"outcome": "reject", "status": [400], "close": "must",
                              "silent_close_ok": False})
INCOMPLETE = Case("i", "i", b"", {"outcome": "incomplete", "status": [408]})
EITHER = Case("e", "e", b"", {"outcome": "either", "status": [400], "close": "must",
                              "upstream": {"count": 1}})
OK = (ClientSide([reply()]), UpstreamSide([request()]))
NO = (ClientSide([reply(400, b"")], closed=True), UpstreamSide())

RIGHT = {"forward": (FORWARD, *OK), "reject": (REJECT, *NO), "either way": (EITHER, *OK),
         "or the other": (EITHER, *NO), "nothing": (INCOMPLETE, ClientSide(), UpstreamSide()),
         "late": (INCOMPLETE, ClientSide([reply(408)]), UpstreamSide())}
WRONG = {
    "not answered": (FORWARD, ClientSide(), OK[1]),
    "not forwarded": (FORWARD, OK[0], UpstreamSide()),
    "twice": (FORWARD, OK[0], UpstreamSide([request()] * 2)),
    "another body": (FORWARD, OK[0], UpstreamSide([request(body=b"{}")])),
    "duplicate keys": (FORWARD, OK[0], UpstreamSide([request(body=b'{"a":1,"a":2}')])),
    "a field": (FORWARD, OK[0], UpstreamSide([request(fields=[(b"te", b"")])])),
    "a word": (FORWARD, OK[0], UpstreamSide([request(head=b"X: evil")])),
    "closed": (FORWARD, replace(OK[0], closed=True), OK[1]),
    "a key": (FORWARD, OK[0], UpstreamSide([request()], (), KEY.encode())),
    "malformed": (FORWARD, OK[0], UpstreamSide([request()], ["Host"])),
    "smuggled": (FORWARD, OK[0], UpstreamSide([request(b"/smuggled")])),
    "injected": (FORWARD, OK[0], UpstreamSide([request(fields=[(b"x-injected", b"")])])),
    "garbage": (FORWARD, replace(OK[0], garbage="x"), OK[1]),
    "accepted": (REJECT, *OK),
    "rejected and sent": (REJECT, NO[0], OK[1]),
    "left open": (REJECT, replace(NO[0], closed=False), NO[1]),
    "silent": (REJECT, ClientSide(closed=True), NO[1]),
    "server error": (EITHER, ClientSide([reply(500)], closed=True), UpstreamSide()),
    "sent in part": (INCOMPLETE, ClientSide(), OK[1]),
    "answered in part": (INCOMPLETE, OK[0], UpstreamSide()),
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str) -> None:
    case, client, upstream = RIGHT[name]
    assert judge_request.judge(case, KEY, client, upstream) == []


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str) -> None:
    case, client, upstream = WRONG[name]
    assert judge_request.judge(case, KEY, client, upstream)


REPLIED = Case("s", "s", b"", {
    "outcomes": ["forward"], "status": [200], "body_b64": encoded(ANSWER),
    "headers_absent": ["server"], "headers_equal": {"content-type": "a"},
    "must_not_contain": ["@UPSTREAM_KEY@"], "upstream_reuse": "must_not"})
GATEWAY = replace(REPLIED, expect={**REPLIED.expect, "outcomes": ["gateway-error", "abort"]})
STREAM = replace(REPLIED, expect={"outcomes": ["error-event"], "status": [200],
                                  "body_b64": encoded(b"data: a\n\ndata: b\n\n")})
TYPED: Fields = [(b"content-type", b"a")]
EVENTS: Fields = [(b"content-type", b"text/event-stream")]
GOOD = ClientSide([reply(fields=TYPED)])
REPLY_RIGHT = {
    "forward": (REPLIED, GOOD), "502": (GATEWAY, ClientSide([reply(502)])),
    "cut": (GATEWAY, ClientSide(closed=True)),
    "error event": (STREAM, ClientSide([reply(
        200, b'data: a\n\ndata: {"error":1}\n\n', EVENTS)])),
}
REPLY_WRONG = {
    "nothing": (REPLIED, ClientSide()),
    "another body": (REPLIED, ClientSide([reply(body=b"evil", fields=TYPED)])),
    "a field": (REPLIED, ClientSide([reply(fields=[*TYPED, (b"server", b"x")])])),
    "another field": (REPLIED, ClientSide([reply()])),
    "the credential": (REPLIED, ClientSide([reply(body=filled(b"@UPSTREAM_KEY@", KEY))])),
    "leftovers": (REPLIED, replace(GOOD, second=reply(body=b"evil"))),
    "switched": (REPLIED, replace(GOOD, informational=[101])),
    "500": (GATEWAY, ClientSide([reply(500)])),
    "still open": (GATEWAY, ClientSide([replace(reply(), ended="pending")])),
    "clean end": (STREAM, ClientSide([reply(200, b"data: a\n\n", EVENTS)])),
    "garbage": (REPLIED, replace(GOOD, garbage="x")),
}


@pytest.mark.parametrize("name", REPLY_RIGHT)
def test_a_right_reply_passes(name: str) -> None:
    case, client = REPLY_RIGHT[name]
    assert judge_reply.judge(case, KEY, client, UpstreamSide()) == []


@pytest.mark.parametrize("name", REPLY_WRONG)
def test_a_wrong_reply_is_told(name: str) -> None:
    case, client = REPLY_WRONG[name]
    assert judge_reply.judge(case, KEY, client, UpstreamSide())


def test_reuse_is_told() -> None:
    same = UpstreamSide([request(connection=1), request(connection=1)])
    assert judge_reply.judge(REPLIED, KEY, GOOD, same)
    other = UpstreamSide([request(connection=1), request(connection=2)])
    assert judge_reply.judge(REPLIED, KEY, GOOD, other) == []


def test_lengths_count_the_key() -> None:
    assert filled(b"@D120:1@ @X120:2@ @AUTH@", "k" * 10) == b"124 80 kkkkkkkkkk"


async def test_a_wrong_expectation_fails_through_the_whole_harness(relay: Lane) -> None:
    relay.upstream.answer = plain_answer
    assert await answers(relay)
    by_id = {case.id: case for case in REQUESTS + REPLIES}
    good, bad = by_id["f-length"], by_id["r-two lengths"]
    assert await play_request(relay, good) == []
    assert await play_request(relay, replace(good, expect=bad.expect))
    assert await play_request(relay, bad) == []
    assert await play_request(relay, replace(bad, expect=good.expect))
    good, bad = by_id["s-length"], by_id["s-cut"]
    assert await play_reply(relay, replace(good, expect=bad.expect))
    assert await play_reply(relay, replace(bad, expect=good.expect))
