"""Judges what a client got where an upstream sent these bytes: an empty list is a pass. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from tests.fakes.daemon import ANSWER
from tests.fakes.rawhttp import Reply
from tests.http.case import Case, filled, octets
from tests.http.seen import ClientSide, UpstreamSide

GATEWAY = (502, 503, 504)


def judge(case: Case, key: str, client: ClientSide, upstream: UpstreamSide) -> list[str]:
    """What is wrong, in words. `pending` passes for nothing: the relay's timeouts are shorter."""
    found = [*_result(case, client), *_after(case, client, upstream)]
    if client.garbage:
        found.append(f"the client could not read the answer: {client.garbage}")
    if 101 in client.informational:
        found.append("101 reached the client")
    if client.first is not None:
        found += _message(case, key, client.first)
    return found


def _result(case: Case, client: ClientSide) -> Iterator[str]:
    got = results(case, client)
    accepted = set(case.expect["outcomes"]) - {"pending"}
    if not accepted.intersection(got):
        status = client.first.status if client.first else "no status"
        yield f"wanted one of {sorted(accepted)}, got {got}, {status}"


def results(case: Case, client: ClientSide) -> list[str]:
    """The words of the corpus for what the client got."""
    reply = client.first
    if reply is None:
        return ["abort" if client.closed else "pending"]
    if reply.ended != "complete":
        return ["abort" if reply.ended == "closed" else "pending"]
    if reply.status not in case.expect["status"]:
        gateway = reply.status in case.expect.get("gateway_status", GATEWAY)
        return [f"status-{reply.status}", *(["gateway-error"] if gateway else [])]
    return [_body_result(case, reply)]


def _body_result(case: Case, reply: Reply) -> str:
    wanted = octets(case.expect, "body")
    prefix = base64.b64decode(case.expect.get("body_prefix_b64", ""))
    if prefix and reply.body.startswith(prefix) and b"error" in reply.body[len(prefix):]:
        return "error-event"
    if wanted is None or reply.body == wanted:
        return "forward"
    if _is_error_event(reply, wanted):
        return "error-event"
    if _same_json(reply.body, wanted):
        return "forward"
    return f"other-body({len(reply.body)} of {len(wanted)} bytes)"


def _is_error_event(reply: Reply, wanted: bytes) -> bool:
    """An event stream that is what was wanted up to one event that tells an error."""
    if not reply.value(b"content-type").startswith(b"text/event-stream"):
        return False
    before, _, last = reply.body.removesuffix(b"\n\n").rpartition(b"\n\n")
    return b"error" in last and wanted.startswith(before)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def _message(case: Case, key: str, reply: Reply) -> Iterator[str]:
    hidden = (*case.expect.get("headers_absent", ()),
              *case.expect.get("headers_should_be_absent", ()))
    for name in hidden:
        if reply.values(name.encode()):
            yield f"the field {name} reached the client"
    for name, value in case.expect.get("headers_equal", {}).items():
        if reply.status < 400 and reply.values(name.encode()) != [value.encode()]:
            yield f"the field {name} is another"
    for part in case.expect.get("must_not_contain", ()):
        if filled(part.encode(), key) in reply.head + reply.body:
            yield f"{part!r} reached the client"
    if reply.status == 500 and 500 not in case.expect["status"]:
        yield "500: a fault of the upstream is not the relay's own"


def _after(case: Case, client: ClientSide, upstream: UpstreamSide) -> Iterator[str]:
    second = client.second
    if second is not None and (second.status, second.body) != (200, ANSWER):
        yield f"the next request got {second.status} and {len(second.body)} bytes"
    seen = upstream.requests
    if case.expect.get("upstream_reuse") == "must_not" and len(seen) > 1:
        if seen[0].connection == seen[-1].connection:
            yield "the upstream's connection was used again"
