"""Providers outside China: not without the consent of the account's holder (PIPL article 39)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relayd.control import account, consent
from relayd.core.actor import Actor
from relayd.core.provider import Address
from relayd.core.route import Deployment, Route
from relayd.ops.clock import unix_ms
from relayd.wire.websocket import POLICY
from tests.fakes.daemon import Lane, provider
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.sockets import realtime_provider, session, told
from tests.http.play import BODY, TARGET

CREATE = '{"type":"response.create"}'


@pytest.fixture
async def lane(tmp_path: Path) -> AsyncIterator[Lane]:
    async with Lane(tmp_path / "store", provider_changes={"overseas": True}) as made:
        yield made


async def holder(lane: Lane) -> Actor:
    [found] = await account.listing(lane.app.db)
    return Actor(found.id)


async def call(lane: Lane) -> int:
    return (await ask(lane.address, request_bytes(TARGET, lane.key, BODY))).status


async def test_T2_without_the_consent_nothing_goes_abroad(lane: Lane) -> None:
    reply = await ask(lane.address, request_bytes(TARGET, lane.key, BODY))
    assert reply.status == 403 and b"cross_border_consent_required" in reply.body
    assert lane.upstream.requests == []
    [record] = await lane.settled(1)
    assert (record.error, record.attempts) == ("cross_border_consent_required", 0)


async def test_T2_it_works_from_the_consent_to_its_withdrawal(lane: Lane) -> None:
    who, db = await holder(lane), lane.app.db
    assert who.account is not None
    await consent.agree(db, who, who.account, ["overseas_routes"], ("en", "console"), unix_ms())
    await lane.app.refresh()
    assert await call(lane) == 200
    await consent.withdraw(db, who, who.account, "overseas_routes", "console", unix_ms())
    await lane.app.refresh()
    assert await call(lane) == 403 and len(lane.upstream.requests) == 1


async def test_T2_a_model_that_is_served_at_home_too_stays_there(tmp_path: Path) -> None:
    nowhere = Address("http", "127.0.0.1", 1, "/v1")
    both = Route("test-model", (Deployment("far"), Deployment("near", priority=2)))
    async with Lane(tmp_path / "store") as first:
        port = first.upstream.port
        async with Lane(tmp_path / "other", routes=(both,), providers={
                "far": provider("openai", port, name="far", overseas=True, address=nowhere),
                "near": provider("openai", port, name="near")}) as lane:
            assert await call(lane) == 200
            [record] = await lane.settled(1)
            # the first choice was not even tried
            assert (record.provider, record.attempts) == ("near", 1)


async def test_T2_a_realtime_session_ends_where_the_consent_is_withdrawn(tmp_path: Path) -> None:
    """It may have hours to go, and each response is content that goes abroad."""
    async with realtime_provider() as upstream, Lane(tmp_path / "store", provider_changes={
            "address": upstream.address, "overseas": True}) as lane:
        who, db = await holder(lane), lane.app.db
        assert who.account is not None
        for item in ("overseas_routes", "app_attribution"):
            await consent.agree(db, who, who.account, [item], ("en", "console"), unix_ms())
        await lane.app.refresh()
        async with session(lane) as socket:
            await socket.send(CREATE)
            await told(socket, "response.done")
            # another consent changes nothing
            await consent.withdraw(db, who, who.account, "app_attribution", "console", unix_ms())
            await lane.app.refresh()
            await socket.send(CREATE)
            await told(socket, "response.done")
            await consent.withdraw(db, who, who.account, "overseas_routes", "console", unix_ms())
            await lane.app.refresh()
            await socket.send(CREATE)
            error = (await told(socket, "error"))["error"]
            assert error["code"] == "cross_border_consent_required"
            await socket.wait_closed()
            assert socket.close_code == POLICY
        assert upstream.heard == [CREATE, CREATE]
        [record] = await lane.settled(1)
        assert (record.outcome, record.error) == ("completed", "cross_border_consent_required")
