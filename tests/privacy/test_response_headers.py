"""The provider sends every field that it might; the client sees the allow-list alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from relayd.store.db import open_database
from relayd.store.meta import bump_policy_version
from tests.fakes import dialects
from tests.fakes.daemon import PATIENCE_SECONDS, Lane
from tests.fakes.editions import publish
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawhttp import Reply, Request
from tests.fakes.rawupstream import Answer, message

CANARY = "zq7canary"
HIDDEN = """
    openai-organization openai-project anthropic-organization-id anthropic-workspace-id
    x-goog-api-client x-goog-safety-content-type azureml-model-session azureml-model-deployment
    apim-request-id x-ms-region x-ms-client-request-id x-amzn-requestid x-amzn-bedrock-trace
    openai-processing-ms openai-version openai-model x-models-etag server-timing
    x-envoy-upstream-service-time x-envoy-decorator-operation cf-ray cf-cache-status server via
    x-served-by x-cache x-cloud-trace-context set-cookie set-cookie2 alt-svc
    strict-transport-security expect-ct public-key-pins nel report-to reporting-endpoints
    content-security-policy content-security-policy-report-only accept-ch critical-ch link refresh
    location content-location clear-site-data service-worker-allowed timing-allow-origin
    origin-trial access-control-allow-origin access-control-allow-credentials
    access-control-expose-headers www-authenticate proxy-authenticate proxy-status p3p
    x-frame-options x-ratelimit-limit-requests x-ratelimit-limit-tokens
    x-ratelimit-remaining-requests x-ratelimit-remaining-tokens x-ratelimit-reset-requests
    x-ratelimit-reset-tokens anthropic-ratelimit-requests-limit
    anthropic-ratelimit-tokens-remaining anthropic-ratelimit-unified-status
    anthropic-ratelimit-input-tokens-reset x-codex-primary-used-percent
    x-codex-secondary-used-percent mistral-correlation-id x-groq-region x-dashscope-call-gateway
    x-generation-id etag last-modified age expires pragma vary warning trailer upgrade
    sourcemap x-sourcemap x-powered-by x-robots-tag x-dns-prefetch-control permissions-policy
    cross-origin-opener-policy keep-alive x-never-heard-of content-disposition digest
""".split()
SEEN = {
    "content-type", "content-length", "transfer-encoding", "cache-control",
    "x-content-type-options", "date", "x-request-id", "request-id", "retry-after",
    "retry-after-ms", "x-should-retry", "openai-poll-after-ms",
    "x-accel-buffering", "relay-policy-version",
}
"""All that a client may see where it dropped nothing and keeps its connection."""
PASSED = (("Retry-After", "7"), ("Retry-After-Ms", "7000"), ("X-Should-Retry", "true"))
IDS = (("X-Request-Id", f"req_{CANARY}"), ("Request-Id", f"req_{CANARY}"))
ASKED = {
    "openai": ("/v1/chat/completions",
               {"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
    "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 5,
                                   "messages": [{"role": "user", "content": "hi"}]}),
    "gemini": ("/v1beta/models/m:generateContent",
               {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
}


def telling(request: Request) -> Answer:
    """The dialect's answer, with every field there is in its head."""
    plain = dialects.answer(request).raw
    line, _, rest = plain.partition(b"\r\n")
    fields = [(name, CANARY) for name in HIDDEN] + [*PASSED, *IDS]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return Answer(line + b"\r\n" + head.encode() + rest)


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    async with Lane(tmp_path / "store", telling) as lane:
        yield lane


async def asked(lane: Lane, api: str, **more: object) -> Reply:
    target, body = ASKED[api]
    return await ask(lane.address, request_bytes(
        target, lane.key, json.dumps({**body, **more}).encode()))


def check(reply: Reply) -> None:
    names = {name.decode() for name, _ in reply.fields}
    assert names <= SEEN
    assert CANARY.encode() not in reply.head
    assert reply.trailers == []
    assert {n: reply.value(n.lower().encode()).decode() for n, _ in PASSED} == dict(PASSED)
    assert reply.value(b"x-request-id") == reply.value(b"request-id")
    assert len(reply.value(b"request-id")) == 26


@pytest.mark.parametrize("api", ASKED)
async def test_of_a_reply(lane: Lane, api: str) -> None:
    reply = await asked(lane, api)
    assert reply.status == 200
    check(reply)


@pytest.mark.parametrize("api", ["openai", "anthropic"])
async def test_of_a_stream(lane: Lane, api: str) -> None:
    reply = await asked(lane, api, stream=True)
    assert (reply.status, reply.value(b"content-type")) == (200, b"text/event-stream")
    check(reply)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 429, 500, 503, 529])
async def test_of_an_error(lane: Lane, status: int) -> None:
    raw = message(b'{"error":{"message":"no","type":"t"}}', status=status,
                  fields=(*((name, CANARY) for name in HIDDEN), *IDS, *PASSED))
    lane.upstream.answers.append(Answer(raw))
    reply = await asked(lane, "openai")
    assert reply.status == status
    assert {name.decode() for name, _ in reply.fields} <= SEEN
    assert CANARY.encode() not in reply.head + reply.body
    told = {n: reply.value(n.lower().encode()).decode() for n, _ in PASSED[:2]}
    assert status < 429 or told == dict(PASSED[:2])


async def test_informational_replies_and_trailers_stay_here(lane: Lane) -> None:
    raw = (b"HTTP/1.1 103 Early Hints\r\nLink: <https://" + CANARY.encode() + b">\r\n\r\n"
           b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
           b"Trailer: X-A\r\n\r\n2\r\n{}\r\n0\r\nX-A: " + CANARY.encode() + b"\r\n\r\n")
    lane.upstream.answers.append(Answer(raw))
    reply = await asked(lane, "openai")
    assert (reply.status, reply.body, reply.trailers) == (200, b"{}", [])
    assert CANARY.encode() not in reply.head


async def test_G2_the_policy_in_force_is_named_to_everybody_alike(lane: Lane) -> None:
    """Whoever calls, whatever comes of it: the number tells nobody from anybody else."""
    async def told() -> set[bytes]:
        replies = [await asked(lane, api, stream=stream)
                   for api, stream in (("openai", True), ("anthropic", False), ("gemini", False))]
        replies += [await ask(lane.address, raw) for raw in (
            request_bytes("/v1/chat/completions", "sk-relayd-nobody", b"{}"),
            request_bytes("/v1/no-such-thing", lane.key, b"{}"), b"quokka\r\n\r\n")]
        return {reply.value(b"relay-policy-version") for reply in replies}

    await until(told, b"1")
    db = await open_database(lane.store)
    try:
        await publish(db, version=2)
        async with db.writing() as transaction:
            await bump_policy_version(transaction)
    finally:
        await db.close()
    await until(told, b"2")


async def until(told: Callable[[], Awaitable[set[bytes]]], version: bytes) -> None:
    """Waits until all replies name this version."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await told() != {version}:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("named, seen", [
    ("text/html", b"application/octet-stream"),
    ("application/json; charset=utf-8; zq7canary=1", b"application/json; charset=utf-8"),
    ("image/svg+xml", b"application/octet-stream"),
])
async def test_content_types_are_of_a_closed_list(lane: Lane, named: str, seen: bytes) -> None:
    lane.upstream.answers.append(Answer(message(b"{}", named)))
    assert (await asked(lane, "openai")).value(b"content-type") == seen
