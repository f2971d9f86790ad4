"""D1: a key that a trusted proxy got without TLS is refused before its body, and flagged."""

from __future__ import annotations

import asyncio

import pytest

from relayd.control import account, exposure
from relayd.core.exposure import Exposure
from relayd.ops.clock import unix_ms
from relayd.relay import clear
from relayd.relay.clear import ClearKeys
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.http.play import BODY, TARGET
from tests.relay.conftest import Opened

BEHIND = {"tls_terminated": True, "trusted_proxies": ("127.0.0.0/8",)}
HTTP, HTTPS = (("X-Forwarded-Proto", "http"),), (("X-Forwarded-Proto", "https"),)


def request(lane: Lane, fields: tuple[tuple[str, str], ...] = HTTP, key: str = "") -> bytes:
    return request_bytes(TARGET, key or lane.key, BODY, fields=fields)


async def test_D1_a_key_in_clear_is_refused_before_its_body_and_flagged(opened: Opened) -> None:
    lane = await opened(server=BEHIND)
    async with RawClient(lane.address) as client:
        await client.send(request(lane).removesuffix(BODY))  # the body is not sent at all
        reply = await client.final_reply()
    assert reply.status == 426 and b"tls_required" in reply.body
    assert reply.value(b"upgrade") == b"TLS/1.2, HTTP/1.1"
    assert lane.upstream.requests == []
    [record] = await lane.settled(1)
    assert (record.error, record.attempts) == ("tls_required", 0)
    [owner] = await account.listing(lane.app.db)
    async with asyncio.timeout(8):
        while not await exposure.usable(lane.app.db, owner.id, unix_ms()):
            await asyncio.sleep(0.05)
    # the owner decides: over TLS the key goes on working
    assert (await ask(lane.address, request(lane, HTTPS))).status == 200


@pytest.mark.parametrize("server", [
    {"tls_terminated": True}, {"trusted_proxies": ("127.0.0.0/8",)},
    {"tls_terminated": True, "trusted_proxies": ("10.0.0.0/8",)},
])
async def test_only_a_trusted_proxy_before_a_terminated_listener_is_believed(
    opened: Opened, server: dict[str, object],
) -> None:
    lane = await opened(server=server)
    assert (await ask(lane.address, request(lane))).status == 200


async def test_a_key_of_nobody_exposes_nobody(opened: Opened) -> None:
    lane = await opened(server=BEHIND)
    assert (await ask(lane.address, request(lane, key="sk-relayd-x"))).status == 401
    assert lane.app._plane is not None and lane.app._plane.clear_keys.take() == []
    assert (await ask(lane.address, request(lane, ()))).status == 200


def test_what_is_given_back_is_there_again() -> None:
    memory, seen = ClearKeys(), Exposure("key_1", "acct_1", 5)
    memory.give_back([seen])
    assert (memory.take(), memory.take()) == ([seen], [])
    assert clear.KEYS_MAX > 0
