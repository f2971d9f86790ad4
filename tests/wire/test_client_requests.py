"""What real clients send: equal questions become equal bytes, and none is refused.

The recordings hold bodies as JSON values, so each is written here with other key orders, spaces
and escapes as well. The last test needs no recordings.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from relayd.core.provider import Address, Provider
from relayd.wire.anthropic_messages import BILLING_PREFIX
from relayd.wire.body import read, write
from relayd.wire.dialect import Endpoint, target_of
from relayd.wire.fields import COPIES
from relayd.wire.headers import UpstreamHead, client_fields
from relayd.wire.identity import Pseudonyms
from relayd.wire.walk import BodyPolicy
from tests.shared import shared

POLICY = BodyPolicy(cache_key="absent")
NAMES = Pseudonyms(b"k" * 32, "acct_1", cache_key_policy="absent")
IDENTITY = ("user", "safety_identifier", "metadata", "client_metadata", "store",
            "prompt_cache_key")


FREE = ("input", "args", "response")
"""A tool's arguments and its answer."""


@dataclass(frozen=True)
class Sent:
    """One recorded request for a served path."""

    client: str
    endpoint: Endpoint
    model: str | None
    query: str
    headers: dict[bytes, bytes]
    body: dict[str, object]


def recordings() -> Iterator[Sent]:
    for path in sorted(shared("client-requests").glob("*.json")):
        told = json.loads(path.read_text("utf-8"))
        for case in told["cases"]:
            for request in case["requests"]:
                sent = _sent(told["client"], request)
                if sent is not None:
                    yield sent


def _sent(client: str, request: dict[str, Any]) -> Sent | None:
    method, target, _ = str(request["request_line"]).split(" ")
    path, _, query = target.partition("?")
    body = request.get("body")
    target_found = target_of(path, "openai")
    endpoint = target_found.endpoint
    if method != "POST" or not isinstance(body, dict) or endpoint is None:
        return None
    if endpoint.body != "json":
        return None
    headers = {str(n).lower().encode(): str(v).encode() for n, v in request["headers"]}
    return Sent(client, endpoint, target_found.model, query, headers, body)


def upstream(sent: Sent, raw: bytes) -> bytes:
    api = sent.endpoint.api
    provider = Provider("p", api, Address("https", "api.example.org", 443, ""), ("sk-op",))
    ask = read(sent.endpoint, raw, POLICY, sent.model)
    body = write(ask, ask.model, NAMES)
    fields = client_fields(sent.endpoint, sent.headers, sent.query)
    head = UpstreamHead(provider, sent.endpoint, "sk-op", ask.stream)
    return head.write(ask.model, fields, len(body)) + body


def shuffled(value: Any, dice: random.Random, kept: bool = False) -> Any:
    """The same JSON value with another key order wherever order is not content."""
    if isinstance(value, dict):
        keys = list(value)
        if not kept:
            dice.shuffle(keys)
        return {key: value[key] if key in FREE and isinstance(value[key], dict) and not kept
                else shuffled(value[key], dice, not kept and key == "properties") for key in keys}
    if isinstance(value, list):
        return [shuffled(inner, dice) for inner in value]
    return value


def question(sent: Sent) -> str:
    """What a request asks for, without what names its client: equal for equal questions."""
    body = {k: v for k, v in sent.body.items() if k not in IDENTITY and v is not None}
    if not body.get("stream"):
        body.pop("stream", None)
    if sent.endpoint.operation in ("chat", "completions"):
        body.pop("stream_options", None)
    system = body.get("system")
    if isinstance(system, list):
        body["system"] = [b for b in system if BILLING_PREFIX not in b["text"]]
    betas = [sent.headers.get(b"anthropic-version"), sent.headers.get(b"anthropic-beta")]
    asked = [sent.endpoint.operation, sent.model, sent.query, str(betas), body]
    return json.dumps(asked, sort_keys=True)


def test_equal_questions_become_equal_bytes() -> None:
    groups: dict[str, list[Sent]] = defaultdict(list)
    for sent in recordings():
        groups[question(sent)].append(sent)
    assert max(map(len, groups.values())) > 1
    for group in groups.values():
        wires = {upstream(sent, json.dumps(sent.body).encode()) for sent in group}
        assert len(wires) == 1, [sent.client for sent in group]


def test_the_writer_of_the_json_leaves_no_trace() -> None:
    dice = random.Random(7)
    for sent in recordings():
        plain = upstream(sent, json.dumps(sent.body).encode())
        for indent in (None, 2):
            other = json.dumps(shuffled(sent.body, dice), ensure_ascii=False, indent=indent)
            assert upstream(sent, other.encode()) == plain, sent.client


def without_notes(value: Any) -> Any:
    """The value less what applications note on their copies of messages."""
    if not isinstance(value, list):
        return value
    return [{name: member for name, member in each.items() if name not in COPIES}
            if isinstance(each, dict) else each for each in value]


def test_what_is_asked_survives() -> None:
    """Nothing of a recorded body is lost but what the tables name."""
    for sent in recordings():
        ask = read(sent.endpoint, json.dumps(sent.body).encode(), POLICY, sent.model)
        body = json.loads(write(ask, ask.model, NAMES))
        for name in ("messages", "contents", "instructions", "max_tokens", "tool_choice"):
            assert body.get(name) == without_notes(sent.body.get(name)), (sent.client, name)
        unnamed = {name.split(".")[0] for name in ask.dropped} | set(IDENTITY)
        unnamed |= {"stream", "stream_options", "generationConfig", "safetySettings", "model"}
        told = {name for name, value in sent.body.items() if value not in ({}, [])}
        assert told - set(body) <= unnamed, sent.client


def test_clients_of_one_question() -> None:
    python = (b'{"messages": [{"role": "user", "content": "h\\u00e9"}], "model": "m", '
              b'"stream": true, "temperature": 1.0, "user": "bob", "store": true}')
    node = ('{"model":"m","temperature":1,"stream":true,"messages":[{"content":"h\u00e9","role":'
            '"user"}],"stream_options":{"include_usage":true},"metadata":{"a":"b"}}').encode()
    chat = target_of("/v1/chat/completions", "openai").endpoint
    assert chat is not None
    headers = {b"x-stainless-os": b"Linux", b"cookie": b"a=b", b"traceparent": b"00-1-2-01"}
    one = upstream(Sent("python", chat, None, "", {}, {}), python)
    two = upstream(Sent("node", chat, None, "trace=1", headers, {}), node)
    assert one == two and one.endswith(
        '{"model":"m","messages":[{"role":"user","content":"h\u00e9"}],"temperature":1,'
        '"stream":true,"stream_options":{"include_usage":true}}'.encode())
