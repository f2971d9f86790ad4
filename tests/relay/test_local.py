"""What the relay answers itself: lists of models, probes, preflights, paths it does not serve."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relayd.control import account, key
from relayd.core.route import Deployment, Route
from relayd.ops.clock import unix_ms
from tests.fakes.daemon import ANSWER, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawhttp import Reply
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import plane_of

HOST = b"Host: relay.test\r\n"
ROUTES = (
    Route("gpt-5", (Deployment("openai"),)),
    Route("claude-opus", (Deployment("anthropic"),)),
    Route("gemini-pro", (Deployment("gemini"), Deployment("openai"))),
    Route("any-*", (Deployment("openai"),)),
)
UPGRADE = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))
ANTHROPIC = (("anthropic-version", "2023-06-01"),)


async def get(lane: Lane, path: str, method: str = "GET", **more: Any) -> Reply:
    return await ask(lane.address, request_bytes(path, lane.key, method=method, **more))


async def test_models_by_dialect(opened: Opened) -> None:
    lane = await opened(routes=ROUTES)
    openai = json.loads((await get(lane, "/v1/models")).body)
    assert {m["id"] for m in openai["data"]} == {"gpt-5", "gemini-pro"}
    anthropic = json.loads((await get(lane, "/v1/models", fields=ANTHROPIC)).body)
    assert [m["id"] for m in anthropic["data"]] == ["claude-opus"]
    gemini = json.loads((await get(lane, "/v1beta/models")).body)
    assert [m["name"] for m in gemini["models"]] == ["models/gemini-pro"]
    assert json.loads((await get(lane, "/v1/models/gpt-5")).body)["id"] == "gpt-5"
    assert (await get(lane, "/v1/models/nothing")).status == 404
    records = await lane.settled(5)
    assert [r.endpoint for r in records] == [
        "/v1/models", "/v1/models", "/v1beta/models", "/v1/models", "/v1/models"]
    assert [r.outcome for r in records] == ["completed"] * 4 + ["refused"]
    assert lane.upstream.requests == []


async def test_an_entry_is_there_where_the_list_has_it(opened: Opened) -> None:
    """A model of another dialect cannot be called, so its entry says nothing else."""
    lane = await opened(routes=ROUTES)
    for path, fields in (("/v1/models/", ()), ("/v1/models/", ANTHROPIC), ("/v1beta/models/", ())):
        for name in ("gpt-5", "claude-opus", "gemini-pro", "any-thing"):
            api = ("anthropic" if fields else "gemini" if "beta" in path else "openai")
            route = plane_of(lane).policy.routes.find(name)
            assert route is not None
            served = api in [deployment.provider for deployment in route.deployments]
            reply = await get(lane, path + name, fields=fields)
            assert reply.status == (200 if served else 404), (path, name, api)


async def test_models_that_a_key_may_use(opened: Opened) -> None:
    lane = await opened(routes=ROUTES)
    owner = await account.create(lane.app.db, "b@example.com", None, unix_ms())
    wish = key.KeyWish("few", models=("gpt-*",))
    text = (await key.create(lane.app.db, owner.id, wish, unix_ms())).text
    await lane.app.refresh()
    reply = await ask(lane.address, request_bytes("/v1/models", text, method="GET"))
    assert [m["id"] for m in json.loads(reply.body)["data"]] == ["gpt-5"]
    raw = request_bytes("/v1/models/gemini-pro", text, method="GET")
    assert (await ask(lane.address, raw)).status == 404


async def test_models_need_a_key_and_a_get(opened: Opened) -> None:
    lane = await opened()
    assert (await ask(lane.address, b"GET /v1/models HTTP/1.1\r\n" + HOST + b"\r\n")).status == 401
    reply = await get(lane, "/v1/models", "DELETE")
    assert (reply.status, reply.value(b"allow")) == (405, b"GET, HEAD")
    reply = await get(lane, TARGET)
    assert (reply.status, reply.value(b"allow")) == (405, b"POST")


async def test_a_get_with_a_body_is_read_whole(opened: Opened) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        inner = b"GET /smuggled HTTP/1.1\r\n\r\n"
        raw = request_bytes("/v1/models", lane.key, inner, method="GET")
        await client.send(raw[:-5])
        await client.send(raw[-5:])
        assert (await client.final_reply()).status == 200
        assert (await client.ask(request_bytes(TARGET, lane.key, BODY))).body == ANSWER


@pytest.mark.parametrize(("path", "method", "status"), [
    ("/", "HEAD", 200), ("/", "GET", 200), ("/api/hello", "HEAD", 200),
    ("/v1/models", "HEAD", 200), ("/nothing", "HEAD", 404),
])
async def test_head_has_no_body(opened: Opened, path: str, method: str, status: int) -> None:
    lane = await opened()
    async with RawClient(lane.address) as client:
        for _ in range(2):
            reply = await client.ask(request_bytes(path, lane.key, method=method))
            assert (reply.status, reply.body) == (status, b"")


async def test_probes_need_no_key(opened: Opened) -> None:
    lane = await opened()
    assert (await ask(lane.address, b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n")).status == 200
    assert await lane.records() == []


@pytest.mark.parametrize("whole", [False, True])
async def test_an_answer_before_the_body_says_that_it_is_the_last(
    opened: Opened, whole: bool
) -> None:
    lane = await opened()
    raw = b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"
    reply = await ask(lane.address, raw + b"hi" if whole else raw)
    assert reply.status == 204 and reply.closes is not whole


async def test_websockets_are_answered_426_where_agents_fall_back(opened: Opened) -> None:
    lane = await opened()
    reply = await get(lane, "/v1/responses", fields=UPGRADE)
    assert reply.status == 426 and reply.value(b"upgrade") == b"websocket" and reply.closes
    [record] = await lane.settled(1)
    assert (record.outcome, record.error) == ("refused", "websocket_not_served")
    reply = await get(lane, "/v1/chat", fields=UPGRADE)
    assert reply.status == 404


async def test_an_option_of_another_name_is_no_upgrade(opened: Opened) -> None:
    lane = await opened()
    fields = (UPGRADE[0], ("Connection", "x-upgrade-hint"), *UPGRADE[2:])
    reply = await get(lane, "/v1/responses", fields=fields)
    assert reply.status == 405 and reply.value(b"allow") == b"POST"


async def test_a_websocket_without_a_key_is_refused(opened: Opened) -> None:
    lane = await opened()
    fields = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE).encode()
    raw = b"GET /v1/responses HTTP/1.1\r\n" + HOST + fields + b"\r\n"
    assert (await ask(lane.address, raw)).status == 401
    assert await lane.records() == []


@pytest.mark.parametrize(("path", "status"), [
    ("/v1/files", 501), ("/v1/threads/t/runs", 501), ("/v1/nothing", 404), ("/v1/messages/x", 404),
])
async def test_what_is_not_served(opened: Opened, path: str, status: int) -> None:
    lane = await opened()
    assert (await ask(lane.address, request_bytes(path, lane.key, BODY))).status == status
    [record] = await lane.settled(1)
    assert (record.outcome, record.endpoint) == ("refused", "other")
    raw = request_bytes(path, "no-key", BODY)
    assert (await ask(lane.address, raw)).status == (404 if status == 404 else 401)


def preflight(origin: str) -> bytes:
    return (f"OPTIONS {TARGET} HTTP/1.1\r\nHost: relay.test\r\nOrigin: {origin}\r\n"
            "Access-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: authorization,x-stainless-os\r\n\r\n").encode()


@pytest.mark.parametrize(("origins", "origin", "allowed"), [
    (("https://app.test",), "https://app.test", True),
    (("https://app.test",), "https://evil.test", False),
    (("*",), "https://any.test", True),
    ((), "https://app.test", False),
])
async def test_cors(opened: Opened, origins: tuple[str, ...], origin: str, allowed: bool) -> None:
    lane = await opened(server={"cors_origins": origins})
    wanted = origin.encode() if allowed else b""
    async with RawClient(lane.address) as client:
        reply = await client.ask(preflight(origin))
        assert (reply.status, reply.body) == (204, b"")
        assert reply.value(b"access-control-allow-origin") == wanted
        headers = reply.value(b"access-control-allow-headers")
        assert headers == (b"authorization,x-stainless-os" if allowed else b"")
        raw = request_bytes(TARGET, lane.key, BODY, fields=(("Origin", origin),))
        reply = await client.ask(raw)
        assert reply.status == 200 and reply.value(b"access-control-allow-origin") == wanted
        assert reply.value(b"vary") == (b"origin" if origins else b"")
    assert len(await lane.settled(1)) == 1
