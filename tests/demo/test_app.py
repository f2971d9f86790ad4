"""Tests of the demo provider as a server, over real sockets: paths, pace and faults."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest

from relayd.demo.app import CREDENTIAL, OPERATIONS, VERBS, DemoUpstream
from relayd.ops.clock import monotonic
from relayd.wire.dialect import ENDPOINTS

CHAT = "/v1/chat/completions"
STREAMS = [
    (CHAT, b"data: [DONE]"),
    ("/v1/completions", b"data: [DONE]"),
    ("/v1/responses", b"event: response.completed"),
    ("/v1/messages", b"event: message_stop"),
    ("/v1beta/models/{model}:streamGenerateContent?alt=sse", b'"finishReason":"STOP"'),
    ("/v1/models/{model}:streamGenerateContent", b'"finishReason":"STOP"'),
]


def _body(model: str, **more: Any) -> dict[str, Any]:
    """A body that each of the streaming operations understands."""
    return {"model": model, "stream": True, "max_tokens": 500, "prompt": "hello",
            "input": "hello", "messages": [{"role": "user", "content": "hello"}],
            "contents": [{"parts": [{"text": "hello"}]}], **more}


def test_every_endpoint_of_the_relay_is_played() -> None:
    served = {path for path, _ in OPERATIONS.items()}
    served |= {f"/v1beta/models/{{model}}:{verb}" for verb in VERBS}
    assert served == {endpoint.path for endpoint in ENDPOINTS}
    assert all(OPERATIONS[e.path][0] == e.api for e in ENDPOINTS if e.path in OPERATIONS)


@pytest.mark.parametrize(("path", "ending"), STREAMS)
async def test_streams_end_properly(
    client: aiohttp.ClientSession, path: str, ending: bytes,
) -> None:
    async with client.post(path.format(model="gpt-5.5"), json=_body("gpt-5.5")) as reply:
        assert reply.status == 200
        data = await reply.read()
    assert ending in data[-4_000:]


@pytest.mark.parametrize(("path", "ending"), STREAMS)
async def test_noend_ends_cleanly_without_the_last_event(
    client: aiohttp.ClientSession, path: str, ending: bytes,
) -> None:
    model = "demo-noend"
    async with client.post(path.format(model=model), json=_body(model)) as reply:
        data = await reply.read()
    assert len(data) > 500 and ending not in data


@pytest.mark.parametrize(("path", "ending"), STREAMS)
async def test_cut_is_a_broken_connection(
    client: aiohttp.ClientSession, path: str, ending: bytes,
) -> None:
    model = "demo-cut"
    async with client.post(path.format(model=model), json=_body(model)) as reply:
        assert await reply.content.read(100)
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()


@pytest.mark.parametrize(("path", "ending"), STREAMS)
async def test_error_is_the_last_event(
    client: aiohttp.ClientSession, path: str, ending: bytes,
) -> None:
    model = "demo-error"
    async with client.post(path.format(model=model), json=_body(model)) as reply:
        assert reply.status == 200
        data = await reply.read()
    assert b"breaks off here" in data and ending not in data


@pytest.mark.parametrize(("path", "ending"), STREAMS)
async def test_stall_is_silence(
    client: aiohttp.ClientSession, path: str, ending: bytes,
) -> None:
    model = "demo-stall"
    async with client.post(path.format(model=model), json=_body(model)) as reply:
        assert await reply.content.readany()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.15):
                await reply.read()


@pytest.mark.parametrize(("fault", "status"), [
    ("demo-429", 429), ("demo-529", 529), ("demo-html", 502), ("demo-error", 500)])
async def test_errors_before_the_first_byte(
    client: aiohttp.ClientSession, fault: str, status: int,
) -> None:
    async with client.post(CHAT, json=_body(fault, stream=False)) as reply:
        assert reply.status == status
        assert ("retry-after" in reply.headers) is (status in (429, 529))
        assert (reply.content_type == "text/html") is (fault == "demo-html")


async def test_a_plain_answer_is_cut_too(client: aiohttp.ClientSession) -> None:
    async with client.post(CHAT, json=_body("demo-cut", stream=False)) as reply:
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()


@pytest.mark.parametrize("stream", [False, True])
async def test_slow_waits_for_its_first_token(
    client: aiohttp.ClientSession, stream: bool,
) -> None:
    started = monotonic()
    async with client.post(CHAT, json=_body("demo-slow-1", stream=stream)) as reply:
        assert await reply.content.readany()
    assert monotonic() - started >= 1.0


async def test_tokens_are_paced() -> None:
    upstream = DemoUpstream(pace_ms=5)
    await upstream.start()
    try:
        async with aiohttp.ClientSession(headers={"x-api-key": CREDENTIAL}) as session:
            started = monotonic()
            url = f"http://127.0.0.1:{upstream.port}/v1/messages"
            async with session.post(url, json=_body("demo", max_tokens=20)) as reply:
                first = await reply.content.readany()
                data = first + await reply.read()
            spent = monotonic() - started
    finally:
        await upstream.stop()
        await upstream.stop()
    assert len(first) < len(data) / 2
    assert spent >= 0.005 * 20


@pytest.mark.parametrize("fields", [
    {"Authorization": f"Bearer {CREDENTIAL}"}, {"x-api-key": CREDENTIAL},
    {"x-goog-api-key": CREDENTIAL}])
async def test_the_credential_in_each_place(
    upstream: DemoUpstream, fields: dict[str, str],
) -> None:
    origin = f"http://127.0.0.1:{upstream.port}"
    async with aiohttp.ClientSession(origin, headers=fields) as session:
        async with session.get("/v1/models") as reply:
            assert reply.status == 200


@pytest.mark.parametrize(("path", "key"), [
    (CHAT, "param"), ("/v1/messages", "type"), ("/v1beta/models/m:generateContent", "status"),
    ("/v1/models", "param")])
async def test_without_it(upstream: DemoUpstream, path: str, key: str) -> None:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{upstream.port}") as session:
        method = "GET" if path == "/v1/models" else "POST"
        async with session.request(method, path, data=b"{}") as reply:
            assert reply.status == 401
            assert key in (await reply.json())["error"]


@pytest.mark.parametrize(("fields", "key"), [
    ({}, "object"), ({"anthropic-version": "2023-06-01"}, "has_more"),
    ({"x-goog-api-key": CREDENTIAL}, "models")])
async def test_models_by_who_asks(
    client: aiohttp.ClientSession, fields: dict[str, str], key: str,
) -> None:
    async with client.get("/v1/models", headers=fields) as reply:
        assert key in await reply.json()
    async with client.get("/v1beta/models/demo", headers=fields) as reply:
        assert reply.status == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
async def test_bodies_that_are_no_object(client: aiohttp.ClientSession, body: bytes) -> None:
    fields = {"Content-Type": "application/json"}
    async with client.post("/v1/messages", data=body, headers=fields) as reply:
        assert reply.status == 400
        assert (await reply.json())["type"] == "error"


@pytest.mark.parametrize("path", ["/", "/v1/files", "/v1/models/m:predict"])
async def test_paths_that_nobody_serves(client: aiohttp.ClientSession, path: str) -> None:
    async with client.post(path, data=b"{}") as reply:
        assert reply.status == 404
        assert orjson.loads(await reply.read())["error"]["message"]


async def test_an_upgrade_is_sent_back_to_http(client: aiohttp.ClientSession) -> None:
    fields = {"Connection": "Upgrade", "Upgrade": "websocket"}
    async with client.get("/v1/responses", headers=fields) as reply:
        assert reply.status == 426


async def test_a_port_that_is_taken(upstream: DemoUpstream) -> None:
    another = DemoUpstream()
    with pytest.raises(OSError):
        await another.start(port=upstream.port)
    await another.stop()
