"""What the data plane shares, and how it lets go: drained, interrupted, closed."""

from __future__ import annotations

import asyncio
import re

import pytest

from relayd.core.route import Deployment, Route
from relayd.relay.plane import Plane
from tests.fakes.daemon import CREDENTIAL, Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.rawupstream import Answer
from tests.fakes.stepped import EVENTS, chunk, stepped
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened

EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'


def plane_of(lane: Lane) -> Plane:
    assert lane.app._plane is not None
    return lane.app._plane


async def test_routes_by_api(opened: Opened) -> None:
    lane = await opened(routes=(
        Route("a", (Deployment("openai"), Deployment("anthropic"))),
        Route("b", (Deployment("gemini"),)), Route("c-*", (Deployment("openai"),))))
    plane = plane_of(lane)
    assert plane.policy.model_names == {"openai": ["a"], "anthropic": ["a"], "gemini": ["b"]}
    assert [p.provider.name for p in plane.policy.plans["openai", "a"].places] == ["openai"]
    assert plane.policy.plans["anthropic", "b"].places == ()
    assert len(plane.policy.plans["openai", "c-*"].places) == 1


async def test_secrets_are_what_clients_must_not_see(opened: Opened) -> None:
    lane = await opened(provider_changes={"organization": "org-1", "project": "proj-1"})
    words = plane_of(lane).policy.secrets["openai"]
    assert {CREDENTIAL.encode(), b"127.0.0.1", b"org-1", b"proj-1"} == set(words)
    assert b"" not in words


async def test_a_limit_that_is_lowered_is_said_once(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    possible = {"files": 4096}
    monkeypatch.setattr("relayd.relay.plane.file_limit", lambda: possible["files"])
    lane = await opened(server={"connections_max": 1_000_000})
    for files, lines in ((4096, 1), (8192, 2), (8192, 2), (10_000_000, 2), (8192, 3)):
        possible["files"] = files
        plane_of(lane).adopt(lane.app.config)
        assert lane.log.getvalue().count('"limit_lowered"') == lines


async def test_date(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = plane_of(await opened())
    monkeypatch.setattr(plane, "unix_ms", lambda: 784_111_777_999)
    assert plane.date() == b"Sun, 06 Nov 1994 08:49:37 GMT"  # RFC 9110 section 5.6.7
    monkeypatch.setattr(plane, "unix_ms", lambda: 784_111_778_000)
    assert plane.date() == b"Sun, 06 Nov 1994 08:49:38 GMT"


async def test_pseudonyms_are_of_the_account(opened: Opened) -> None:
    lane = await opened()
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert re.fullmatch(rb"[A-Z][a-z]{2}, .* GMT", reply.value(b"date"))
    body = BODY[:-1] + b',"prompt_cache_key":"mine"}'
    for _ in range(2):
        await ask(lane.address, request_bytes(TARGET, lane.key, body))
    first, second = [r.body for r in lane.upstream.requests[1:]]
    assert first == second and b"mine" not in first and b'"prompt_cache_key":"' in first


async def test_leaving_closes_idle_connections_and_no_others(opened: Opened) -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(EVENTS + chunk(EVENT))
        await asyncio.sleep(0.4)
        writer.write(chunk(b"data: [DONE]\n\n") + chunk(b""))
        await reader.read()

    async with stepped(slowly) as address:
        lane = await opened(provider_changes={"address": address})
        plane = plane_of(lane)
        async with RawClient(lane.address) as busy, RawClient(lane.address) as idle:
            await busy.send(request_bytes(TARGET, lane.key, STREAM))
            await busy.reader.readuntil(b"\r\n\r\n")
            plane.drain()
            plane.leave()
            assert not plane.idle
            assert await idle.reader.read() == b""
            rest = await busy.reader.readuntil(b"\r\n0\r\n\r\n")
            assert rest.endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
            # its head said that it may be used again, so it may be in use
            plane.leave(60.0)
            assert plane.idle and not plane.quiet
            assert [c.leaving for c in plane.connections].count(False) == 1
            plane.leave()
            assert plane.quiet and await busy.reader.read() == b""
        async with asyncio.timeout(2.0):
            while plane.connections:
                await asyncio.sleep(0.01)
    assert (await lane.settled(1))[0].outcome == "completed"


async def test_close_ends_everything_and_everything_settles(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(b"", after="hold"))
    plane = plane_of(lane)
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        await asyncio.sleep(0.1)
        assert len(plane.inflight) == 1
        plane.close()
        assert await client.reply() is None
    assert plane.idle
    assert [r.outcome for r in await lane.settled(1)] == ["client_left"]


async def test_what_is_interrupted_is_told(opened: Opened) -> None:
    lane = await opened(lambda _: Answer(b"", after="hold"))
    plane = plane_of(lane)
    async with RawClient(lane.address) as client:
        await client.send(request_bytes(TARGET, lane.key, BODY))
        await asyncio.sleep(0.1)
        plane.interrupt()
        reply = await client.final_reply()
        assert reply.status == 503 and reply.closes
    [record] = await lane.settled(1)
    assert (record.outcome, record.error) == ("interrupted", "draining")


async def test_a_connection_that_is_used_just_before_the_end_is_still_served(
    opened: Opened,
) -> None:
    """Closing an idle connection races with its next request; a drain gives it `leave_seconds`."""
    lane = await opened(server={"leave_seconds": 0.3})
    async with RawClient(lane.address) as used, RawClient(lane.address) as idle:
        await used.send(request_bytes(TARGET, lane.key, BODY))
        assert (await used.final_reply()).status == 200
        stopping = asyncio.ensure_future(lane.app.stop())
        await asyncio.sleep(0.1)
        await used.send(request_bytes(TARGET, lane.key, BODY))
        reply = await used.final_reply()
        assert reply.status == 200 and reply.closes
        assert await idle.reader.read() == b""
        await stopping
