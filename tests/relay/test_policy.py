"""A reload: exchanges keep the policy they began under, pools that did not change stay."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import trustme

from relayd.core.limit import Limits
from relayd.core.provider import Address
from relayd.core.route import Deployment, Route
from relayd.ops.config import LimitsConfig
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.fakes.stepped import EVENTS, chunk, stepped
from tests.http.play import BODY, STREAM, TARGET
from tests.relay.conftest import Opened
from tests.relay.test_plane import EVENT, plane_of


async def test_unchanged_providers_keep_their_connections(opened: Opened) -> None:
    lane = await opened()
    plane = plane_of(lane)
    await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    config = lane.app.config
    before = dict(plane.policy.pools)
    changed = replace(config.providers["anthropic"], connections_max=7)
    plane.adopt(replace(config, providers={**config.providers, "anthropic": changed}))
    after = plane.policy.pools
    assert after["openai"] is before["openai"] and after["openai"].idle == 1
    assert after["anthropic"] is not before["anthropic"]
    await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert len(lane.upstream.requests) == 2 and len(plane.pools()) == 3


async def test_a_stream_ends_under_the_policy_it_began_with(opened: Opened) -> None:
    go_on = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"hi")
        writer.write(EVENTS + chunk(EVENT))
        await go_on.wait()
        writer.write(chunk(b"data: [DONE]\n\n") + chunk(b""))
        await reader.read()

    async with stepped(slowly) as address:
        lane = await opened(provider_changes={"address": address})
        plane = plane_of(lane)
        async with RawClient(lane.address) as busy:
            await busy.send(request_bytes(TARGET, lane.key, STREAM))
            await busy.reader.readuntil(b"one")
            old = plane.policy.pools["openai"]
            config = lane.app.config
            plane.adopt(replace(
                config, providers={"gemini": config.providers["gemini"]},
                routes=(Route("*", (Deployment("gemini"),)),)))
            assert old in plane.pools()
            refused = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
            assert refused.status == 404
            go_on.set()
            rest = await busy.reader.readuntil(b"0\r\n\r\n")
            assert rest.endswith(b"[DONE]\n\n\r\n0\r\n\r\n")
            stream = [r for r in await lane.settled(2) if r.stream]
        assert [(r.provider, r.outcome) for r in stream] == [("openai", "completed")]
        assert old.idle == old.busy == 0 and old not in plane.pools()


async def test_a_limit_of_a_model_counts_its_aliases(opened: Opened) -> None:
    lane = await opened(
        routes=(Route("test-model", (Deployment("openai"),), aliases=("fast", "quick")),),
        limits=LimitsConfig(models={"test-model": Limits(requests_per_minute=2)}))
    statuses = [(await ask(lane.address, request_bytes(
        TARGET, lane.key, BODY.replace(b"test-model", name)))).status
        for name in (b"test-model", b"fast", b"quick", b"fast", b"test-model")]
    assert statuses == [200, 200, 429, 429, 429]


async def test_another_authority_in_the_same_file_is_taken(opened: Opened, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    lane = await opened(provider_changes={
        "ca_file": str(authority), "address": Address("https", "127.0.0.1", 1, "/v1")})
    plane = plane_of(lane)
    before = dict(plane.policy.pools)
    plane.adopt(lane.app.config)
    assert plane.policy.pools == before
    trustme.CA().cert_pem.write_to_path(str(authority))
    plane.adopt(lane.app.config)
    assert all(pool is not before[name] for name, pool in plane.policy.pools.items())
