"""The console opens when its address is free, and a daemon does not wait for it."""

from __future__ import annotations

import asyncio
import io
import socket

from relayd.console import pages
from relayd.console.listener import ConsoleListener
from relayd.console.opening import Opening
from relayd.core.fleet import NO_FLEET
from relayd.ops.config import Config
from relayd.ops.logging import Logger
from relayd.store.db import Database


def opening(db: Database, port: int, log: Logger) -> Opening[ConsoleListener]:
    services = pages.services(
        db, lambda: Config(providers={}, routes=()), log, lambda: NO_FLEET)
    return Opening(ConsoleListener(f"127.0.0.1:{port}", services, ()), retry_seconds=0.02,
                   log=log)


async def test_it_waits_for_its_address_and_says_so_once(db: Database) -> None:
    said = io.StringIO()
    with socket.create_server(("127.0.0.1", 0)) as other:
        made = opening(db, other.getsockname()[1], Logger("info", said))
        running = asyncio.create_task(made.run())
        await asyncio.sleep(0.1)
        assert not made.opened.is_set()
        assert said.getvalue().count("console_waits") == 1
        assert '"part":"console"' in said.getvalue() and '"taken"' in said.getvalue()
    await asyncio.wait_for(made.opened.wait(), 5)
    await running
    await made.stop()


async def test_it_stops_while_it_waits(db: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        made = opening(db, other.getsockname()[1], Logger("error"))
        running = asyncio.create_task(made.run())
        await asyncio.sleep(0.05)
        await made.stop()
        await asyncio.wait_for(running, 5)
    assert not made.opened.is_set()
