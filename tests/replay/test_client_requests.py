"""Every request of every recorded client: answered in its dialect, and unseen upstream."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from relayd.ops.config import PrivacyConfig
from tests.fakes import dialects
from tests.fakes.daemon import Lane, own_loop
from tests.fakes.rawclient import ask
from tests.fakes.rawhttp import Reply
from tests.replay.clients import Sent, recordings
from tests.shared import known_collection, shared

SENT = list(recordings(shared("client-requests")))
CALLS = [sent for sent in SENT if sent.method == "POST" and sent.endpoint is not None]
SERVED_MIN = 130
LOCAL = {
    "HEAD /": 200, "GET /": 200, "HEAD /api/hello": 200, "GET /v1/responses": 426,
}
KINDS = {"models": 200, "stateful": 501}
"""What is answered without a provider; every other line that is no call gets 404."""
GROUP = list[Sent]


def groups() -> list[GROUP]:
    """The calls that ask the same thing."""
    found: dict[str, GROUP] = defaultdict(list)
    for sent in CALLS:
        found[sent.question].append(sent)
    return [group for group in found.values() if len(group) > 1]


GROUPS = groups()
Ask = Callable[[Sent], tuple[Reply, bytes]]


@pytest.fixture(scope="module")
def put(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Sends a recorded request; what the client and what the upstream got."""
    directory = tmp_path_factory.mktemp("clients") / "store"
    with own_loop() as run:
        stack = AsyncExitStack()
        lane: Lane = run(stack.enter_async_context(
            Lane(directory, dialects.answer, patterns=("*", "listed-model"),
                 privacy=PrivacyConfig(cache_key="absent"))))

        def put(sent: Sent) -> tuple[Reply, bytes]:
            lane.upstream.reset()
            reply = run(ask(lane.address, sent.raw(lane.key)))
            assert lane.upstream.malformed == []
            assert lane.key.encode() not in b"".join(lane.upstream.received)
            return reply, b"".join(request.raw for request in lane.upstream.requests)

        yield put
        run(stack.aclose())


def is_error_of(api: str, value: Any) -> bool:
    """Whether a body is an error in the shape of this API."""
    error = value["error"]
    if api == "anthropic":
        return value["type"] == "error" and {"type", "message"} <= set(error)
    if api == "gemini":
        return {"code", "message", "status"} <= set(error)
    return {"message", "type", "param", "code"} <= set(error)


def wanted(sent: Sent) -> int:
    """The status of what is no call. WebSocket is not served; its key is read all the same."""
    if sent.method == "OPTIONS":
        return 204
    found = KINDS.get(sent.target.kind, 404)
    return LOCAL.get(sent.line.partition("?")[0].removesuffix(" HTTP/1.1"), found)


@pytest.mark.parametrize("sent", CALLS, ids=lambda sent: sent.id)
def test_call_is_answered_in_its_dialect(sent: Sent, put: Ask) -> None:
    reply, upstream = put(sent)
    assert reply.status == 200, reply.body
    assert upstream.count(b" HTTP/1.1\r\n") == 1
    assert sent.endpoint is not None
    operation = sent.endpoint.operation
    if reply.value(b"content-type").startswith(b"text/event-stream"):
        assert b"ok" in reply.body
    elif operation != "speech":
        assert json.loads(reply.body) == dialects.JSON[operation]


@pytest.mark.parametrize(
    "sent", [s for s in SENT if s not in CALLS and s.target.kind != "socket"],
    ids=lambda sent: sent.id)
def test_other_request_is_answered_by_the_relay(sent: Sent, put: Ask) -> None:
    reply, upstream = put(sent)
    assert upstream == b""
    assert reply.status == wanted(sent)
    if reply.status >= 400 and sent.method != "HEAD":
        assert is_error_of(sent.target.api, json.loads(reply.body))
    elif reply.status == 200 and sent.target.kind == "models" and sent.method == "GET":
        json.loads(reply.body)
        assert (sent.target.model or "listed-model").encode() in reply.body


def test_the_recordings_are_there() -> None:
    known_collection("client-requests")
    assert len(SENT) > 180 and len(CALLS) > SERVED_MIN
    assert len(GROUPS) > 10 and max(len({s.client for s in g}) for g in GROUPS) >= 5


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group[0].id)
def test_equal_questions_are_equal_bytes_upstream(group: GROUP, put: Ask) -> None:
    wires: dict[bytes, list[str]] = defaultdict(list)
    for sent in group:
        wires[put(sent)[1]].append(sent.id)
    assert len(wires) == 1, wires
