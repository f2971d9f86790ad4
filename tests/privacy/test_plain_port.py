"""D1: what comes to the plain port of a running daemon goes nowhere, and its key is flagged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relayd.control import account, exposure
from relayd.ops.clock import unix_ms
from relayd.ops.config import ConsoleConfig
from tests.fakes.daemon import Lane
from tests.fakes.process import free_port
from tests.fakes.rawclient import RawClient, ask, request_bytes
from tests.http.play import BODY, TARGET


async def test_D1_a_key_at_the_plain_port_is_flagged_and_its_body_is_not_read(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with Lane(
        tmp_path / "store", console_redirect=f"127.0.0.1:{port}",
        console=ConsoleConfig(url="https://console.example.org"),
    ) as lane:
        plain = ("127.0.0.1", port)
        page = await ask(plain, request_bytes("/keys", "sk-relayd-x", method="GET"))
        assert page.status == 301
        assert page.value(b"location") == b"https://console.example.org/keys"
        async with RawClient(plain) as client:
            await client.send(request_bytes(TARGET, lane.key, BODY).removesuffix(BODY))
            reply = await client.final_reply()
        assert reply.status == 426 and b"tls_required" in reply.body
        [owner] = await account.listing(lane.app.db)
        async with asyncio.timeout(8):
            while not await exposure.usable(lane.app.db, owner.id, unix_ms()):
                await asyncio.sleep(0.05)
        for key in ("sk-relayd-x", ""):  # keys of nobody flag nobody
            assert (await ask(plain, request_bytes(TARGET, key, BODY))).status == 426
        assert lane.app._plane is not None and lane.app._plane.clear_keys.take() == []
        assert lane.upstream.requests == [] and await lane.records() == []
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*plain)
