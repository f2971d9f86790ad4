"""Judges what a relay did with a client's bytes: an empty list is a pass. Pure.

The rules are those of the corpus, with two stricter ones: what should not reach the upstream
counts like what must not, and every level counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fakes.rawhttp import Request
from tests.http.case import Case, filled, octets
from tests.http.seen import ClientSide, UpstreamSide

NOT_SERVED = frozenset({501, 505})
"""The statuses from 500 up that a client's own bytes may cause."""
FORCED = {"store": False}
"""What the relay adds to every chat: nothing is kept at the provider."""
INJECTED = frozenset({b"x-smuggled", b"x-injected"})


def judge(case: Case, key: str, client: ClientSide, upstream: UpstreamSide) -> list[str]:
    """What is wrong, in words."""
    return [*_always(case, key, client, upstream),
            *OUTCOMES[case.expect["outcome"]](case, key, client, upstream)]


def _always(
    case: Case, key: str, client: ClientSide, upstream: UpstreamSide
) -> Iterator[str]:
    if client.garbage:
        yield f"the client could not read the answer: {client.garbage}"
    for rule in upstream.malformed:
        yield f"the upstream got a malformed request: {rule}"
    if key.encode() in upstream.received:
        yield "the client's key reached the upstream"
    for request in upstream.requests:
        if b"smuggled" in request.target or INJECTED.intersection(n for n, _ in request.fields):
            yield "a smuggled request or field reached the upstream"
    for status in client.statuses:
        if status >= 500 and status not in NOT_SERVED and status not in _statuses(case):
            yield f"status {status} for what the client sent"


def _statuses(case: Case) -> list[int]:
    statuses: list[int] = case.expect.get("status", [])
    return statuses


def _was_rejected(case: Case, client: ClientSide) -> bool:
    if client.first is None:
        return client.closed and bool(case.expect.get("silent_close_ok"))
    return client.first.status in _statuses(case)


def _reject(case: Case, key: str, client: ClientSide, upstream: UpstreamSide) -> Iterator[str]:
    if not _was_rejected(case, client):
        yield f"wanted one of {_statuses(case)}, got {_told(client)}"
    if upstream.requests:
        yield f"the upstream saw {len(upstream.requests)} requests of a rejected one"
    if case.expect.get("close") == "must" and not client.closed:
        yield "the connection was not closed after the error"


def _forward(case: Case, key: str, client: ClientSide, upstream: UpstreamSide) -> Iterator[str]:
    wanted = case.expect["upstream"]
    count = wanted["count"]
    answered = client.statuses.count(200)
    accepted = case.expect.get("client_status")
    if accepted is not None and wanted.get("count_min") == 0:
        if (client.first.status if client.first else 0) not in accepted:
            yield f"wanted one of {accepted}, got {_told(client)}"
        if count > 1 and answered != count:
            yield f"{answered} of {count} were answered"
    elif answered != count:
        yield f"wanted {count} x 200, got {_told(client)}"
    yield from _at_upstream(wanted, key, upstream)
    if case.expect["close"] == "must" and not client.closed:
        yield "the connection was not closed"
    if case.expect["close"] == "must_not" and client.closed:
        yield "the connection was closed though it may be kept"


def _either(case: Case, key: str, client: ClientSide, upstream: UpstreamSide) -> Iterator[str]:
    status = client.first.status if client.first else 0
    wanted = case.expect["upstream"]
    if 200 <= status < 300 and status not in _statuses(case):
        yield from _at_upstream(wanted, key, upstream)
        if wanted.get("close") == "must" and not client.closed:
            yield "the connection was not closed"
    elif status in _statuses(case) and wanted.get("count_min") == 0:
        yield from _at_upstream(wanted, key, upstream)
    else:
        yield from _reject(case, key, client, upstream)


def _incomplete(case: Case, key: str, client: ClientSide, upstream: UpstreamSide) -> Iterator[str]:
    if upstream.requests:
        yield "an incomplete request reached the upstream as a whole one"
    if client.first is not None and client.first.status not in _statuses(case):
        yield f"wanted nothing, a close or one of {_statuses(case)}, got {_told(client)}"


OUTCOMES = {"reject": _reject, "forward": _forward, "either": _either, "incomplete": _incomplete}


def _told(client: ClientSide) -> str:
    return f"{client.statuses or 'nothing'}, {'closed' if client.closed else 'open'}"


def _at_upstream(wanted: Mapping[str, Any], key: str, upstream: UpstreamSide) -> Iterator[str]:
    low, high = wanted.get("count_min", wanted["count"]), wanted["count"]
    if not low <= len(upstream.requests) <= high:
        yield f"the upstream saw {len(upstream.requests)} requests, wanted {low} to {high}"
    for request in upstream.requests:
        yield from _head_at_upstream(wanted, request)
        yield from _body_at_upstream(wanted, key, request)


def _head_at_upstream(wanted: Mapping[str, Any], request: Request) -> Iterator[str]:
    for name in wanted.get("headers_absent", ()):
        if request.values(name.encode()):
            yield f"the field {name} reached the upstream"
    for part in (*wanted.get("must_not_contain", ()), *wanted.get("should_not_contain", ())):
        if part.encode() in request.head:
            yield f"{part!r} reached the upstream"


def _body_at_upstream(wanted: Mapping[str, Any], key: str, request: Request) -> Iterator[str]:
    body = octets(wanted, "body")
    if body is not None and request.method == b"POST":
        body = filled(body, key)
        if body != request.body and not _same(_json(body), _json(request.body)):
            yield "the body at the upstream is another"
    if wanted.get("json_no_duplicate_keys") and _has_duplicates(request.body):
        yield "duplicate keys reached the upstream"


def _same(wanted: object, got: object) -> bool:
    """The same JSON value, but for what the relay's own table of fields puts in."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        return {**wanted, **FORCED} == got
    return wanted == got


def _json(raw: bytes) -> object:
    """The JSON value, or the bytes themselves, which equal no other value."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _has_duplicates(raw: bytes) -> bool:
    found = False

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        found = found or len(dict(items)) < len(items)
        return dict(items)

    try:
        json.loads(raw, object_pairs_hook=pairs)
    except ValueError:
        return False
    return found
