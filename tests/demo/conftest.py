"""A demo provider on a real socket, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from relayd.demo.app import CREDENTIAL, DemoUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[DemoUpstream]:
    server = DemoUpstream(pace_ms=0)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(upstream: DemoUpstream) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{upstream.port}",
        headers={"Authorization": f"Bearer {CREDENTIAL}"},
    ) as session:
        yield session
