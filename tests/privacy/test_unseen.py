"""Two clients that ask the same thing cannot be told apart upstream, whatever else they send."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.ops.config import PrivacyConfig
from relayd.wire.body import SPLIT_BYTES_MIN
from tests.fakes import dialects
from tests.fakes.daemon import Lane, own_loop
from tests.fakes.rawclient import RawClient
from tests.privacy.identity import HEADERS, NAMES, body_fields

QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {
        "model": "m", "messages": [{"role": "user", "content": "hé \U0001f600"}], "stream": True,
        "temperature": 0.5, "tools": [{"type": "function", "function": {"name": "f"}}]}),
    "responses": ("/v1/responses", {"model": "m", "input": "hi", "max_output_tokens": 9}),
    "messages": ("/v1/messages", {
        "model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}),
    "generate": ("/v1beta/models/m:generateContent", {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
}
KEY_FIELDS = ("Authorization: Bearer {}", "x-api-key: {}", "api-key: {}", "x-goog-api-key: {}")
MANY = settings(max_examples=150, deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
Put = Callable[[bytes, list[int]], bytes]


@pytest.fixture(scope="module")
def put(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Put]:
    """Sends a request cut at these places; what the upstream received. `@KEY@` becomes the key."""
    directory = tmp_path_factory.mktemp("unseen") / "store"
    with own_loop() as run:
        stack = AsyncExitStack()
        lane: Lane = run(stack.enter_async_context(
            Lane(directory, dialects.answer, privacy=PrivacyConfig(cache_key="absent"))))

        async def work(raw: bytes, cuts: list[int]) -> bytes:
            lane.upstream.reset()
            raw = raw.replace(b"@KEY@", lane.key.encode())
            places = sorted({0, len(raw), *(cut % len(raw) for cut in cuts)})
            async with RawClient(lane.address) as client:
                for start, end in zip(places, places[1:]):
                    await client.send(raw[start:end])
                reply = await client.final_reply()
            assert reply.status == 200, reply.body
            return b"".join(request.raw for request in lane.upstream.requests)

        yield lambda raw, cuts: run(work(raw, cuts))
        run(stack.aclose())


def written(
    target: str, body: dict[str, Any], headers: list[tuple[str, str]], dice: random.Random
) -> bytes:
    """The question as some client may write it: own fields, order, spacing, escapes, framing."""
    keys = list(body)
    dice.shuffle(keys)
    raw = json.dumps({key: body[key] for key in keys}, ensure_ascii=dice.random() < 0.5,
                     indent=dice.choice([None, 2])).encode()
    lines = [f"{name}: {value}" for name, value in headers]
    lines += ["Host: " + dice.choice(["relay.test", "LOCALHOST:8080", "[::1]:8080"]),
              "Content-Type: application/json" + dice.choice(["", "; charset=utf-8"])]
    if dice.random() < 0.5:
        lines.append(f"Content-Length: {len(raw)}")
    else:
        lines.append("Transfer-Encoding: chunked")
        middle = dice.randrange(len(raw))
        raw = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (raw[:middle], raw[middle:]) if p)
        raw += b"0\r\n\r\n"
    lines.append(dice.choice(KEY_FIELDS).format("@KEY@"))
    dice.shuffle(lines)
    head = f"POST {target} HTTP/1.1\r\n" + "\r\n".join(lines)
    return head.encode("latin-1") + b"\r\n\r\n" + raw


def test_there_are_500_names() -> None:
    assert len(NAMES) >= 500


@pytest.mark.parametrize("operation", QUESTIONS)
def test_equal_questions_are_equal_bytes(operation: str, put: Put) -> None:
    target, body = QUESTIONS[operation]
    plain = put(written(target, body, [], random.Random(0)), [])
    assert plain

    @MANY
    @given(HEADERS, body_fields(operation), st.randoms(use_true_random=False),
           st.lists(st.integers(0, 4000), max_size=6))
    def asks(
        headers: list[tuple[str, str]], more: dict[str, Any], dice: random.Random, cuts: list[int]
    ) -> None:
        assert put(written(target, {**body, **more}, headers, dice), cuts) == plain

    asks()


@pytest.mark.parametrize("start", range(0, len(NAMES), 60))
def test_every_name_is_dropped(start: int, put: Put) -> None:
    target, body = QUESTIONS["chat"]
    plain = put(written(target, body, [], random.Random(0)), [])
    headers = [(name, "canary") for name in NAMES[start:start + 60]]
    assert put(written(target, body, headers, random.Random(start)), []) == plain
    assert b"canary" not in plain


@pytest.mark.parametrize("query", ["session=canary", "user=canary&beta=false", "key=canary"])
def test_queries_are_dropped(query: str, put: Put) -> None:
    target, body = QUESTIONS["chat"]
    plain = put(written(target, body, [], random.Random(0)), [])
    assert put(written(f"{target}?{query}", body, [], random.Random(1)), []) == plain


def test_another_question_is_other_bytes(put: Put) -> None:
    target, body = QUESTIONS["chat"]
    plain = put(written(target, body, [], random.Random(0)), [])
    assert put(written(target, {**body, "temperature": 0.6}, [], random.Random(0)), []) != plain


def test_what_was_sent_before_leaves_no_trace(put: Put) -> None:
    """A long question whose parts are known, or not, or the same but for what names a client."""
    said = [{"role": role, "content": [{"type": "text", "text": f"part {number} " * 150}]}
            for number, role in enumerate(("user", "assistant", "user", "assistant", "user"))]
    tools = [{"name": f"tool{number}", "description": "does " * 40, "input_schema": {
        "type": "object", "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}}
        for number in range(6)]
    body: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": said, "tools": tools}

    def sent(number: int, compact: bool) -> bytes:
        own = {"id": f"canary-{number}", "session_id": "canary", "role": "user"}
        mine = {**body, "metadata": {"user_id": f"canary-{number}"}, "messages": [
            said[0], {**said[1], **own, "role": "assistant"}, *said[2:]]}
        raw = json.dumps(mine, separators=(",", ":") if compact else None).encode()
        assert len(raw) > SPLIT_BYTES_MIN
        head = (b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: @KEY@\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(raw))
        return put(head + raw, [])

    plain = put(written("/v1/messages", body, [], random.Random(0)), [])
    assert plain and b"canary" not in plain
    for number in (0, 1, 1, 2, 0, 0):
        assert sent(number, True) == plain
        assert sent(number, False) == plain
