"""Every job of the process runs, and the console answers beside the relay."""

from __future__ import annotations

import aiohttp

from tests.fakes.daemon import Lane


async def test_the_console_answers_beside_the_relay(relay: Lane) -> None:
    console = relay.app.console
    assert console is not None and console.opened.is_set()
    host, port = console.listener.address
    async with aiohttp.ClientSession() as http:
        found = await (await http.get(f"http://{host}:{port}/api/v1/openapi.json")).json()
    assert found["openapi"] == "3.1.0"


async def test_every_job_goes_on(relay: Lane) -> None:
    assert {"watch", "budgets", "retention", "audit", "network"} <= set(relay.app._jobs)
    assert relay.app._tasks.failed == set()
