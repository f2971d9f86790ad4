"""Faults of the disk, a locked store and a drain, under load: no call is lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from relayd.store.db import FILE_NAME
from tests.fakes.daemon import own_loop
from tests.long.books import Tally, compare, records_since
from tests.long.load import Call, Load
from tests.long.provider import Provider
from tests.long.relays import LONG, Relay, Setting, new_store

RATE = 200 if LONG else 100
BEFORE_SECONDS = 2.0 if LONG else 0.5
FAULT_SECONDS = 4.0 if LONG else 1.0
LOCK_SECONDS = 10.0 if LONG else 2.0
TMPFS_BYTES = 8 * 1024 * 1024
EXT4_BYTES = 256 * 1024 * 1024
SYNC_FAULT = "enable_random name=posix/io/sync/fdatasync,probability=0.5,failinfo=5"
LOCKER = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
store.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""
Fault = Callable[[Relay], Awaitable[None]]


class Bench:
    """A relay under load, and what must be left of it: `await after(fault)` gives the tally."""

    def __init__(self, relay: Relay, provider: Provider, key: str) -> None:
        self.relay = relay
        self.provider = provider
        self.load = Load(relay.address, key, RATE)
        self._since = time.time_ns() // 1_000_000

    async def after(self, fault: Fault) -> tuple[Tally, list[Call]]:
        """Load before, during and after a fault; then the daemon is started anew."""
        running = asyncio.create_task(self.load.run(120.0))
        await asyncio.sleep(BEFORE_SECONDS)
        await fault(self.relay)
        await asyncio.sleep(BEFORE_SECONDS)
        self.load.stop()
        await running
        await self.load.ended()
        if self.relay.running:
            await self.relay.stop()
        await self.provider.left()
        await self.relay.start()
        found = await records_since(self.relay.store, self._since)
        await self.relay.verify()
        calls = self.load.take()
        return compare(calls, self.provider.seen, found), calls


@contextlib.asynccontextmanager
async def bench(
    directory: Path, *, event_seconds: float = 0.08, **changes: object
) -> AsyncIterator[Bench]:
    """A store, a daemon on it that is ready, a provider."""
    async with Provider(event_seconds) as provider:
        setting = Setting(provider.port, directory / "store")
        key = await new_store(setting.store)
        relay = Relay(directory / "relay", replace(setting, **changes))  # type: ignore[arg-type]
        made = Bench(relay, provider, key)
        try:
            await relay.start()
            yield made
        finally:
            await relay.kill()
            made.load.close()


def played(what: str, directory: Path, fault: Fault, **changes: object) -> list[Call]:
    """Plays one fault, prints and checks its tally; the calls."""

    async def play() -> tuple[Tally, list[Call]]:
        async with bench(directory, **changes) as made:  # type: ignore[arg-type]
            return await made.after(fault)

    with own_loop() as run:
        tally, calls = run(play())
    print(f"\n{what}: {tally}")
    tally.check()
    assert not tally.early
    return calls


# -- a full disk ----------------------------------------------------------------------------


@pytest.fixture(params=["store/journal", "store"])
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A small file system for the journal alone, or for all of the store."""
    folder = tmp_path / str(request.param)
    folder.mkdir(parents=True)
    (tmp_path / "store").chmod(0o700)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=0700", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_journal_refuses_calls_and_loses_none(tmp_path: Path, small_disk: Path) -> None:
    statuses: list[int] = []

    async def full(relay: Relay) -> None:
        ballast = small_disk / "ballast"
        _fill(ballast)
        await asyncio.sleep(FAULT_SECONDS)
        statuses.append(await relay.readiness())
        ballast.unlink()
        await relay.ready()

    name = small_disk.relative_to(tmp_path)
    calls = played(f"the disk of {name} is full", tmp_path, full)
    refused = [call for call in calls if call.status == 503]
    assert statuses == [503] and len(refused) > RATE * FAULT_SECONDS / 2
    assert all(call.whole or call in refused for call in calls)
    assert calls[-1].whole


@pytest.fixture
def reserving_disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 that has room for a file of the journal, which is mapped there."""
    folder, image = tmp_path / "store", tmp_path / "image"
    folder.mkdir(mode=0o700)
    image.touch()
    os.truncate(image, EXT4_BYTES)
    making = ("mkfs.ext4", "-q", str(image))
    mounting = ("mount", "-o", "loop", str(image), str(folder))
    for command in (making, mounting):
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system needs root and loop devices")
    folder.chmod(0o700)
    (folder / "lost+found").rmdir()
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_a_disk_that_others_fill_loses_no_call(
    tmp_path: Path, reserving_disk: Path, killed: bool
) -> None:
    """The journal goes on in its room: no call is refused, and no page of it is without a place
    on the disk, for that would end the daemon."""
    left: list[int] = []

    async def full(relay: Relay) -> None:
        ballast = reserving_disk / "ballast"
        _fill(ballast)
        left.append(shutil.disk_usage(reserving_disk).free)
        await asyncio.sleep(FAULT_SECONDS)
        assert relay.running
        if killed:
            await relay.kill()
        ballast.unlink()

    calls = played(f"the disk is full{', then kill -9' * killed}", tmp_path, full)
    assert left == [0]
    assert killed or all(call.whole for call in calls)


def _fill(ballast: Path) -> None:
    with open(ballast, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC


# -- a disk that fails to sync --------------------------------------------------------------


def test_failing_syncs_lose_no_call(tmp_path: Path) -> None:
    if shutil.which("fiu-run") is None or shutil.which("fiu-ctrl") is None:
        pytest.skip("fiu-run is not installed (Debian: fiu-utils)")
    failures: list[int] = []

    async def failing(relay: Relay) -> None:
        await _inject(tmp_path, relay, SYNC_FAULT)
        await asyncio.sleep(FAULT_SECONDS)
        await _inject(tmp_path, relay, "disable name=posix/io/sync/fdatasync")
        failures.append(len(relay.events("journal_sync_failed")))
        await relay.ready()

    prefix = ("fiu-run", "-x", "-f", str(tmp_path / "fiu"))
    calls = played("half of all syncs fail with EIO", tmp_path, failing, prefix=prefix)
    assert all(call.whole or call.status == 503 for call in calls)
    print(f"syncs of the journal that failed: {failures[0]}")
    assert failures[0]


async def _inject(directory: Path, relay: Relay, command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "fiu-ctrl", "-f", str(directory / "fiu"), "-c", command, str(relay.pid))
    assert await asyncio.wait_for(process.wait(), 20.0) == 0


# -- a store that somebody else holds -------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed"])
def test_a_locked_store_loses_no_call(tmp_path: Path, killed: bool) -> None:
    async def locked(relay: Relay) -> None:
        locker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", LOCKER, str(relay.store / FILE_NAME),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        assert locker.stdout is not None and await locker.stdout.readline() == b"locked\n"
        await asyncio.sleep(LOCK_SECONDS)
        if killed:
            await relay.kill()
        await locker.communicate(b"")

    calls = played(f"store locked for {LOCK_SECONDS:.0f} s{', then kill -9' * killed}", tmp_path,
                   locked)
    assert killed or all(call.whole for call in calls)


# -- SIGTERM --------------------------------------------------------------------------------


DRAIN_SECONDS = 60.0


@pytest.mark.parametrize("signals", [1, 2], ids=["", "twice"])
def test_a_drain_in_mid_stream_loses_no_call(tmp_path: Path, signals: int) -> None:
    """Streams are told at the deadline; a second signal is a deadline that has come."""
    took: list[float] = []
    found: list[int] = []

    async def term(relay: Relay) -> None:
        began = time.monotonic()
        relay.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        found.append(await relay.readiness())
        if signals == 2:
            relay.signal(signal.SIGTERM)
        assert await relay.ended() == 0
        took.append(time.monotonic() - began)

    calls = played(f"SIGTERM in mid-stream, {signals} time(s)", tmp_path, term,
                   event_seconds=0.4, drain_seconds=1.0 if signals == 1 else DRAIN_SECONDS)
    assert found == [503]
    print(f"it took {took[0]:.2f} s")
    assert took[0] < DRAIN_SECONDS / 2
    cut = [call for call in calls if call.sent and not call.whole]
    assert cut and all(call.told for call in cut if call.stream and call.status == 200)
    assert calls[-1].failure == "refused"
