"""Simulated power cuts under load: what was synced is there, nothing is there twice.

The store is on ext4 in a file on btrfs. A reflink copy of that file is what the disk held at one
instant; a daemon is started on the copy, as after a power cut.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relayd.store.db import FILE_NAME
from tests.fakes.daemon import own_loop
from tests.long.books import records_since
from tests.long.load import MODEL, SLOTS, Call, Load
from tests.long.provider import Provider
from tests.long.relays import LONG, Relay, Setting, new_store

ROUNDS = 20 if LONG else 1
SYNC_MS = 50
CUT_SECONDS = (0.8, 2.5)
POOL_BYTES = 1200 * 1024 * 1024
DISK_BYTES = 300 * 1024 * 1024
PROBE_SECONDS = 0.02
SLACK_MS = 20.0
"""The harness's own clock: from the journal's line to the client's or the provider's note."""


class Machine:
    """A disk that can be cut: `disk` is mounted, `cut()` copies it, `reboot()` mounts the copy."""

    def __init__(self, directory: Path) -> None:
        self._pool, self.disk, self.later = (
            directory / name for name in ("pool", "disk", "later"))
        for folder in (self._pool, self.disk, self.later):
            folder.mkdir()
        self._image = self._pool / "image"
        self._copy = self._pool / "copy"
        pool = directory / "pool.img"
        _sized(pool, POOL_BYTES)
        _run("mkfs.btrfs", "-q", pool)
        _run("mount", "-o", "loop", pool, self._pool)

    def boot(self) -> None:
        """An empty disk."""
        for old in (self._image, self._copy):
            old.unlink(missing_ok=True)
        _sized(self._image, DISK_BYTES)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", self._image)
        _run("mount", "-o", "loop", self._image, self.disk)
        _run("sync", "-f", self.disk)

    async def cut(self) -> float:
        """The power goes; when it went."""
        at = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            "cp", "--reflink=always", self._image, self._copy)
        assert await process.wait() == 0
        return at

    def reboot(self) -> None:
        """The disk as it was at the cut."""
        _run("umount", self.disk)
        _run("mount", "-o", "loop", self._copy, self.later)

    def off(self) -> None:
        """Unmounts what is mounted; again does nothing."""
        for folder in (self.disk, self.later):
            subprocess.run(["umount", "-l", folder], capture_output=True, check=False)

    def scrap(self) -> None:
        """No more of it."""
        self.off()
        subprocess.run(["umount", "-l", self._pool], capture_output=True, check=False)

    def probe(self, done: threading.Event) -> list[float]:
        """How long syncs of a small write take on this disk, in ms, until `done`."""
        took = []
        with open(self.disk / "probe", "wb", buffering=0) as file:
            while not done.wait(PROBE_SECONDS):
                file.write(bytes(200))
                began = time.monotonic()
                os.fdatasync(file.fileno())
                took.append((time.monotonic() - began) * 1000)
        return took


def _sized(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose power can be cut."""
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        pytest.skip("power cuts are simulated with loop devices: root and btrfs-progs")
    try:
        made = Machine(tmp_path)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no loop device or no btrfs here: {error.stderr!r}")
    yield made
    made.scrap()


class Window:
    """What cuts cost: `lost` calls without a record, `unclosed` ones whose end is not known, and
    how long before the cut the oldest of those was noted, in ms. `sync_ms` are syncs of another
    file of the same disk at the same time, `excess_ms` is what is above the daemon's own
    interval and the longest of them in a round."""

    def __init__(self) -> None:
        self.calls = self.kept = self.lost = self.unclosed = self.doubled = 0
        self.ms: list[float] = []
        self.excess_ms: list[float] = []
        self.sync_ms: list[float] = []

    def __str__(self) -> str:
        window, sync = self.ms, self.sync_ms
        return (f"{self.calls} calls before a cut, {self.kept} kept whole, {self.lost} without a"
                f" record, {self.unclosed} without their end, doubled {self.doubled};"
                f" window, ms: median {statistics.median(window):.0f}, most {max(window):.0f};"
                f" one sync, ms: median {statistics.median(sync):.1f}, most {max(sync):.1f};"
                f" above both, ms: most {max(self.excess_ms):.0f}")


def test_a_power_cut_loses_no_more_than_one_sync(tmp_path: Path, machine: Machine) -> None:
    window = Window()
    with own_loop() as run:
        for number in range(ROUNDS):
            machine.boot()
            try:
                run(_round(tmp_path / str(number), machine, window))
            finally:
                machine.off()
    print(f"\npower cut, {ROUNDS} times: {window}", flush=True)
    assert not window.doubled and window.kept
    assert max(window.excess_ms) <= SLACK_MS


async def _round(directory: Path, machine: Machine, window: Window) -> None:
    async with Provider() as provider:
        setting = Setting(provider.port, machine.disk / "store")
        key = await new_store(setting.store)
        relay = Relay(directory / "relay", setting)
        load = Load(relay.address, key)
        await relay.start()
        try:
            running = asyncio.create_task(load.run(60.0))
            done = threading.Event()
            probing = asyncio.create_task(asyncio.to_thread(machine.probe, done))
            await asyncio.sleep(random.uniform(*CUT_SECONDS))
            at = await machine.cut()
            done.set()
            took = await probing
            await relay.kill()
            load.stop()
            await running
            await load.ended()
        finally:
            await relay.kill()
            load.close()
        machine.reboot()
        await _look(directory, machine.later / "store", provider, load.take(), at, window)
        window.sync_ms += took
        window.excess_ms.append(window.ms[-1] - SYNC_MS - max(took))


async def _look(
    directory: Path, store: Path, provider: Provider, calls: list[Call], at: float,
    window: Window,
) -> None:
    """Starts a daemon on what the disk held, and holds its ledger against the calls."""
    relay = Relay(directory / "later", Setting(provider.port, store))
    await relay.start()
    try:
        await relay.verify()
        found = await records_since(store, 0)
    finally:
        await relay.stop()
    with sqlite3.connect(store / FILE_NAME) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    outcomes: dict[int, list[str]] = {}
    for record in found:
        slot = int((record.model or "").removeprefix(MODEL))
        outcomes.setdefault(slot, []).append(record.outcome)
    oldest = 0.0
    for call in calls:
        oldest = max(oldest, _age(call, provider, outcomes.get(call.number % SLOTS, []), at,
                                  window))
    window.ms.append(oldest * 1000)


def _age(
    call: Call, provider: Provider, outcomes: list[str], at: float, window: Window
) -> float:
    """How long before the cut was noted what the ledger lacks of this call; 0: nothing."""
    seen_at = provider.seen_at.get(call.number, at)
    ended = call.whole and call.ended_at < at
    window.calls += seen_at < at
    window.doubled += len(outcomes) > 1
    if not outcomes:
        window.lost += seen_at < at
        return at - min(seen_at, at)
    if ended and outcomes != ["completed"]:
        window.unclosed += 1
        return at - call.ended_at
    window.kept += ended
    return 0.0
