"""`relayd store rotate-key`."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from relayd.control import account, network
from relayd.store.db import open_database
from relayd.store.journal_lane import lock_store
from tests.fakes.daemon import plain_answer
from tests.fakes.process import DaemonProcess
from tests.fakes.rawclient import ask, request_bytes
from tests.fakes.rawupstream import RawUpstream
from tests.fakes.shell import Shell
from tests.http.play import BODY, TARGET
from tests.test_cli_backup import relayd


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    made = Shell(tmp_path, capsys)
    made.json("accounts", "create", "--email", "someone@example.com")
    return made


def emails(shell: Shell) -> list[str]:
    return [each["email"] for each in shell.json("accounts", "list")]


def test_the_file_in_the_store(shell: Shell) -> None:
    path = shell.store / "master.key"
    before = path.read_bytes()
    done = shell.json("store", "rotate-key")
    assert done["path"] == str(path) and done["keys"] >= 1 and path.read_bytes() != before
    assert emails(shell) == ["someone@example.com"]
    result = shell("store", "rotate-key")
    assert result.code == 0 and "backup --keys" in result.out
    assert shell("store", "rotate-key", "--to", str(shell.store / "x")).code == 2
    path.write_bytes(before)
    result = shell("accounts", "list")
    assert result.code == 1 and "master key" in result.err


def test_a_file_of_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path, capsys)
    key = tmp_path / "key"
    key.write_text("ab" * 32 + "\n")
    key.chmod(0o600)
    shell.config.write_text(f'[store]\npath = "store"\nmaster_key = {{ file = "{key}" }}\n')
    shell.json("accounts", "create", "--email", "someone@example.com")
    assert not (shell.store / "master.key").exists()
    assert shell.json("store", "rotate-key")["path"] == str(key)
    assert len(bytes.fromhex(key.read_text())) == 32 and key.read_text() != "ab" * 32 + "\n"
    assert emails(shell) == ["someone@example.com"]


def test_a_variable_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "cd" * 32)
    shell = Shell(tmp_path, capsys)
    shell.config.write_text('[store]\npath = "store"\nmaster_key = { env = "KEY" }\n')
    shell.json("accounts", "create", "--email", "someone@example.com")
    assert shell("store", "rotate-key").code == 2
    to = tmp_path / "next"
    for shared in (False, True):
        lock = lock_store(shell.store, shared=shared)  # as a daemon has it
        assert shell("store", "rotate-key", "--to", str(to)).code == 1 and not to.exists()
        lock.release()
    to.write_text("mine")
    result = shell("store", "rotate-key", "--to", str(to))
    assert result.code == 2 and "a new file" in result.err and to.read_text() == "mine"
    to.unlink()
    assert shell.json("store", "rotate-key", "--to", str(to))["path"] == str(to)
    lock_store(shell.store, shared=False).release()
    assert shell("accounts", "list").code == 1
    monkeypatch.setenv("KEY", to.read_text().strip())
    assert emails(shell) == ["someone@example.com"]
    monkeypatch.delenv("KEY")
    result = shell("accounts", "list")
    assert result.code == 1 and "master key" in result.err


async def test_D2_beside_a_running_daemon(tmp_path: Path) -> None:
    upstream = RawUpstream(plain_answer)
    await upstream.start()
    try:
        async with DaemonProcess(tmp_path / "daemon", upstream.port) as daemon:
            raw = request_bytes(TARGET, daemon.key, BODY)
            assert (await ask(daemon.address, raw)).status == 200
            await stored(daemon, 1)
            before = (daemon.store / "master.key").read_bytes()
            config = daemon.directory / "relayd.toml"
            code, out, err = await relayd("store", "rotate-key", config=config)
            assert code == 0 and "data keys are wrapped anew" in out, err
            assert (daemon.store / "master.key").read_bytes() != before
            assert (await ask(daemon.address, raw)).status == 200
            await stored(daemon, 2)
            assert daemon.event("network_records_failed") is None
            code, out, err = await relayd("accounts", "list", config=config)
            assert code == 0 and "@" in out, err
            assert await daemon.end(signal.SIGTERM) == 0
    finally:
        await upstream.stop()


async def stored(daemon: DaemonProcess, count: int) -> None:
    """Waits until the store has so many network records, each of which opens."""
    async with asyncio.timeout(60):
        while True:
            db = await open_database(daemon.store)
            try:
                [owner] = await account.listing(db)
                found = await network.own(db, owner.id)
            finally:
                await db.close()
            if len(found) == count:
                return
            await asyncio.sleep(0.2)
