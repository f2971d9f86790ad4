"""`relayd serve` and `relayd demo`: what keeps them from running is told in a sentence."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from relayd import cli_serve, daemon
from relayd.app import App
from relayd.cli import main
from relayd.cli_command import DONE, FAULT, UNUSABLE
from relayd.control import key
from relayd.core.errors import ERRORS
from relayd.ops.configfile import examine
from relayd.ops.configfile_mail import console_url
from relayd.ops.logging import Logger
from relayd.store.db import FILE_NAME
from relayd.store.directory import StoreError
from tests.fakes.process import free_port
from tests.fakes.rawclient import ask, request_bytes
from tests.http.play import TARGET

CONFIG = """
[server]
listen = ["127.0.0.1:{port}"]
[ops]
listen = "unix:{folder}/ops"
[store]
path = "{folder}/store"
[log]
level = "error"
[providers.p]
api = "openai"
base_url = "http://127.0.0.1:1/v1"
credential = {{ env = "RELAYD_TEST_KEY" }}
[routes.m]
deployments = [{{ provider = "p" }}]
"""
BODY = b'{"model":"gpt-5.5","messages":[{"role":"user","content":"Hello"}]}'


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


@pytest.fixture(autouse=True)
def _harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done to a process for good is not done to this one."""
    for name in ("raise_file_limit", "forbid_dumps", "settle_memory"):
        monkeypatch.setattr(daemon, name, lambda: None)
    monkeypatch.setenv("RELAYD_TEST_KEY", "sk-canary")


def written(folder: Path, port: int) -> str:
    path = folder / "relayd.toml"
    path.write_text(CONFIG.format(port=port, folder=folder))
    return str(path)


def test_a_configuration_with_faults(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "relayd.toml"
    path.write_text("[server]\nlisten = 7\n[nonsense]\n")
    assert main(["serve", "-c", str(path)]) == UNUSABLE
    err = capfd.readouterr().err
    assert "listen" in err and "nonsense" in err and "Traceback" not in err
    assert f"relayd: {path}: line 2: server.listen" in err


def test_no_configuration(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "-c", str(tmp_path / "none.toml")]) == UNUSABLE
    assert "Traceback" not in capfd.readouterr().err


def test_a_port_that_is_taken(
    tmp_path: Path, taken: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "-c", written(tmp_path, taken)]) == FAULT
    err = capfd.readouterr().err
    assert f"listener cannot be opened: [server] listen, 127.0.0.1:{taken}: " in err
    assert "sk-canary" not in err


def test_an_ops_port_that_is_taken(
    tmp_path: Path, taken: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path = Path(written(tmp_path, 0))
    path.write_text(path.read_text().replace(f"unix:{tmp_path}/ops", f"127.0.0.1:{taken}"))
    assert main(["serve", "-c", str(path)]) == FAULT
    assert f"cannot be opened: [ops] listen, 127.0.0.1:{taken}: Addr" in capfd.readouterr().err


def test_a_system_that_allows_too_few_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_serve, "files_possible", lambda: 30)
    assert main(["serve", "-c", written(tmp_path, 0)]) == UNUSABLE
    err = capfd.readouterr().err
    assert "allows 30 open files" in err and "LimitNOFILE" in err
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o777)
    assert main(["serve", "-c", written(tmp_path, 0)]) == UNUSABLE
    err = capfd.readouterr().err
    assert err.startswith("relayd") and "0700" in err and "Traceback" not in err


@pytest.mark.parametrize(("code", "exit_code"), [
    *((code, UNUSABLE) for code in (
        "store_newer", "store_unfinished", "store_secret", "store_master_key", "store_keys",
        "store_damaged", "store_permission", "store_signing_key")),
    *((code, FAULT) for code in ("store_busy", "store_failed", "store_in_use")),
])
def test_what_no_restart_mends_is_not_tried_again(
    code: str, exit_code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The unit has RestartPreventExitStatus=2."""
    async def refused(self: App) -> None:
        raise StoreError(code)

    monkeypatch.setattr(App, "start", refused)
    assert main(["serve", "-c", written(tmp_path, 0)]) == exit_code
    assert ERRORS[code].message.removesuffix(".") in capfd.readouterr().err


def test_a_store_of_a_newer_relayd(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, 0)
    assert main(["accounts", "list", "-c", path]) == DONE
    with closing(sqlite3.connect(tmp_path / "store" / FILE_NAME, isolation_level=None)) as store:
        store.execute("INSERT INTO schema_migrations (version, name)"
                      " SELECT max(version) + 1, 'later' FROM schema_migrations")
    assert main(["serve", "-c", path]) == UNUSABLE
    assert "newer relayd" in capfd.readouterr().err


def test_a_demo_whose_port_is_taken(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--port", str(taken)]) == FAULT
    err = capfd.readouterr().err
    assert "listener cannot be opened" in err and "--port 0 takes ports that are free" in err


async def test_a_demo_at_the_console_s_port_gives_the_console_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    port = free_port()
    monkeypatch.setattr(cli_serve, "CONSOLE_PORT", port)
    async with demo(monkeypatch, port):
        shown = json.loads(capsys.readouterr().out)
    assert shown["openai"].endswith(f":{port}/v1") and not shown["console"].endswith(f":{port}")
    assert examine(shown["config"]).faults == []


async def test_a_demo_beside_another_has_a_console_of_its_own(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for console_port in (taken, free_port()):
        monkeypatch.setattr(cli_serve, "CONSOLE_PORT", console_port)
        async with demo(monkeypatch, free_port()) as app:
            shown = json.loads(capsys.readouterr().out)
            port = app.console.listener.address[1]
            assert shown["console"].endswith(f":{port}")
            assert (port == console_port) is (console_port != taken)


async def test_a_demo_gives_up_the_ops_port_where_that_is_taken(
    tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    port = free_port()
    for ops_port in (taken, free_port()):
        monkeypatch.setattr(cli_serve, "OPS_PORT", ops_port)
        async with demo(monkeypatch, port) as app:
            shown = json.loads(capsys.readouterr().out)
            assert shown["openai"].endswith(f":{port}/v1")
            assert (app.ops_address[1] == ops_port) is (ops_port != taken)


@pytest.mark.parametrize("text", ["0", "the console's"])
async def test_links_of_a_demo_name_the_port_that_its_console_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli_serve, "CONSOLE_PORT", port := free_port())
    async with demo(monkeypatch, 0 if text == "0" else port) as app:
        shown = json.loads(capsys.readouterr().out)
        assert console_url(app.config.console, app.config.console_listen) == shown["console"]
        assert app.console.listener.address[1] == int(shown["console"].rpartition(":")[2])


@pytest.mark.parametrize(("text", "fits"), [
    ("0", True), ("65535", True), ("65536", False), ("-1", False), ("http", False)])
def test_ports(text: str, fits: bool) -> None:
    if fits:
        assert cli_serve._port(text) == int(text)
    else:
        with pytest.raises(argparse.ArgumentTypeError):
            cli_serve._port(text)


@asynccontextmanager
async def demo(monkeypatch: pytest.MonkeyPatch, port: int = 0) -> Any:
    """The demo's app, run by the command but on this loop."""
    made: list[daemon.Running] = []

    def keep(running: daemon.Running, log_level: str, *reloads: object) -> int:
        made.append(running)
        return 0

    monkeypatch.setattr(daemon, "run", keep)
    [command] = [c for c in cli_serve.COMMANDS if c.name == "demo"]
    assert command.run(argparse.Namespace(port=port, json=True)) == 0
    async with made[0](Logger("error")) as app:
        yield app


async def test_a_demo_answers_and_shows_a_fresh_key_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = []
    for number in range(2):
        async with demo(monkeypatch) as app:
            shown.append(json.loads(capsys.readouterr().out))
            reply = await ask(app.address, request_bytes(TARGET, shown[-1]["key"], BODY))
            assert reply.status == 200
            if number:
                raw = request_bytes(TARGET, shown[0]["key"], BODY)
                assert (await ask(app.address, raw)).status == 401
            assert len([k for k in await key.listing(app.db) if k.state == "active"]) == 1
        await asyncio.sleep(0)
    assert shown[0]["key"] != shown[1]["key"]
    folder = tmp_path / cli_serve.DATA_DIRECTORY
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not [f for f in folder.rglob("*") if f.is_file() and shown[1]["key"].encode()
                in f.read_bytes()]
