"""SIGHUP under load: twenty broken files leave the configuration as it is, and no call notices."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from tests.fakes.daemon import own_loop
from tests.long.load import Load
from tests.long.provider import Provider
from tests.long.relays import Relay, Setting, new_store

RATE = 50
EVENT_SECONDS = 0.02
BROKEN = (
    ("[server]", "[server"), ("[server]", "[sever]"), ("[server]", "server = 1\n[server.x]"),
    ("[store]", "[store]\nnonsense = 1"), ("drain_seconds", "drain_second"),
    ("leave_seconds = 0.5", 'leave_seconds = "soon"'),
    ("leave_seconds = 0.5", "leave_seconds = -1"),
    ("leave_seconds = 0.5", "leave_seconds = nan"),
    ('api = "openai"', 'api = "opena1"'), ('api = "openai"', "api = 1"),
    ("http://127.0.0.1", "127.0.0.1"), ("http://127.0.0.1", "ftp://127.0.0.1"),
    ('{ env = "UPSTREAM_CREDENTIAL" }', '"sk-a-literal-secret"'),
    ("UPSTREAM_CREDENTIAL", "NO_SUCH_VARIABLE"), ('{ provider = "openai" }', '{ provider = "x" }'),
    ('{ provider = "openai" }', "{ }"),
    ('{ provider = "openai" }', '{ provider = "openai", wait = 1 }'),
    ('[routes."load-*"]', "[routes.'']"), ("flush_seconds = 1.0", "flush_seconds = 0"),
    ("[ops]", "[ops]\n[ops]"),
)


def test_twenty_broken_files_leave_the_configuration(tmp_path: Path) -> None:
    with own_loop() as run:
        run(_reloads(tmp_path))


async def _reloads(directory: Path) -> None:
    async with Provider(EVENT_SECONDS) as provider:
        relay = Relay(directory / "relay", Setting(provider.port, directory / "store"))
        load = Load(relay.address, await new_store(relay.store), RATE)
        await relay.start()
        running = asyncio.create_task(load.run(60.0))
        try:
            good = relay.config.read_text()
            assert len(BROKEN) == 20
            for old, new in BROKEN:
                assert old in good
                relay.config.write_text(good.replace(old, new, 1))
                assert await _hup(relay) == "reload_refused", f"{old} -> {new}"
            relay.config.write_text(good)
            assert await _hup(relay) == "reloaded"
            load.stop()
            await running
            await load.ended()
            assert load.calls and all(call.whole for call in load.calls)
            await relay.stop()
        finally:
            load.stop()
            await relay.kill()
            load.close()


async def _hup(relay: Relay) -> str:
    """What came of a SIGHUP."""
    before = {name: len(relay.events(name)) for name in ("reload_refused", "reloaded")}
    relay.signal(signal.SIGHUP)
    async with asyncio.timeout(10.0):
        while True:
            for name, count in before.items():
                if len(relay.events(name)) > count:
                    return name
            await asyncio.sleep(0.01)
