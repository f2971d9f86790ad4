"""The commands that run a relay: `serve` and `demo`."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson

from relayd import daemon
from relayd.app import App
from relayd.cli_command import FAULT, UNUSABLE, Command, CommandError, option
from relayd.cli_output import raw, text
from relayd.control import account, key, sign_in
from relayd.control.key import KeyWish
from relayd.control.partner import WEBHOOK_PATH
from relayd.core.errors import RelayError
from relayd.demo.app import DemoUpstream
from relayd.demo.partner import DemoPartner
from relayd.demo.partner_keys import make_keys
from relayd.demo.quickstart import Demo, quickstart
from relayd.demo.setup import CONSOLE_PORT, HOST, demo_config, prepare_directory, write_config
from relayd.ops import configfile, early, wipe
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.process import FILES_RESERVED, files_possible
from relayd.store.db import Database
from relayd.store.directory import StoreError

DATA_DIRECTORY: Final = "relayd-data"
DEMO_EMAIL: Final = "demo@example.org"
DEMO_KEY: Final = "demo"
DEMO_PORT: Final = 8080
OPS_PORT: Final = 9464
PORT_MAX: Final = 65535
_PASSING: Final = ("store_busy", "store_failed", "store_in_use")
"""What keeps a daemon from its store for a while: the next start may have it. Others stay until an
operator mends them, and the unit does not try them again."""


def _serve(arguments: argparse.Namespace) -> int:
    path = arguments.config or configfile.default_path()
    asked = early.Asked()
    reading = configfile.examine(path)
    config = reading.config
    if config is None:
        raise configfile.ConfigError(reading.faults, path)
    for warning in reading.warnings:
        Logger(config.log_level).warning("config_warning", finding=warning)
    wanted = config.privacy.wipe_memory
    if wipe.due(wanted, configfile.environment()):
        wipe.start_anew(configfile.environment())
    wiped = wipe.wipes()
    if wanted and not wiped:
        log = Logger(config.log_level)
        log.warning("memory_not_wiped")
    running = daemon.configured(config, configfile.activated_sockets(), memory_wiped=wiped)
    return _run(running, config.log_level, config.store.path,
                (lambda: configfile.examine(path), asked))


def _run(running: daemon.Running, log_level: str, store: str,
         reloads: tuple[daemon.Reread, early.Asked] | None = None, advice: str = "") -> int:
    if (files := files_possible()) < FILES_RESERVED:
        raise CommandError(
            f"the system allows {files} open files, and relayd needs {FILES_RESERVED} and two for "
            "each call. Raise the limit: ulimit -n, or LimitNOFILE= of the unit.")
    try:
        return daemon.run(running, log_level, *(reloads or (None, None)))
    except StoreError as error:
        code = FAULT if error.code in _PASSING else UNUSABLE
        raise CommandError(f"store {store}: {error.sentence}", code) from None
    except OSError as error:
        raise CommandError(
            f"a listener cannot be opened: {error.strerror}{advice}", FAULT) from None


def _demo(arguments: argparse.Namespace) -> int:
    folder = Path(DATA_DIRECTORY)
    # an explicit port is somebody's wish; with port 0 nobody minds where the ops listener is
    ops_port = OPS_PORT if arguments.port else 0

    @asynccontextmanager
    async def running(logger: Logger) -> AsyncIterator[App]:
        console_port = _wanted_console_port(arguments.port)
        webhook = f"http://{HOST}:{console_port}{WEBHOOK_PATH}card"
        upstream, partner = DemoUpstream(), DemoPartner(make_keys(), webhook)
        await upstream.start()
        await partner.start()
        prepare_directory(folder)
        config = demo_config(folder, arguments.port, ops_port, upstream.port,
                             console_port, partner.config())
        app = App(config, logger=logger)
        try:
            try:
                await app.start()
            except OSError:
                if not ops_port:
                    raise
                await app.stop()
                app = App(replace(config, ops_listen="127.0.0.1:0"), logger=logger)
                await app.start()
            await _tell(app, folder, upstream.port, partner, arguments.json)
            yield app
        finally:
            await app.stop()
            await partner.stop()
            await upstream.stop()

    return _run(running, "warning", str(folder), advice=". --port 0 takes ports that are free.")


def _wanted_console_port(port: int) -> int:
    """The usual one; for port 0, or where the relay or somebody else has it, one that is free:
    links in mails and payments name it before the console is there."""
    if port not in (0, CONSOLE_PORT):
        with suppress(OSError), socket.create_server((HOST, CONSOLE_PORT)):
            return CONSOLE_PORT
    with socket.create_server((HOST, 0)) as held:
        return int(held.getsockname()[1])


async def _tell(app: App, folder: Path, upstream_port: int, partner: DemoPartner, as_json: bool
                ) -> None:
    """Makes the demo's account and a fresh key, and prints how to use them."""
    secret = await _demo_key(app.db)
    await app.refresh()
    port, ops_port = app.address[1], app.ops_address[1]
    console_port = int(app.config.console_listen.rpartition(":")[2])
    path = write_config(
        folder, port, ops_port, upstream_port, console_port, partner.config())
    console = f"http://127.0.0.1:{console_port}"
    token = await sign_in.link(app.db, DEMO_EMAIL, unix_ms())
    demo = Demo(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{ops_port}", str(path), secret,
                _program(), console, f"{console}/sign-in/link?token={token}",
                f"{partner.origin}/desk", DEMO_EMAIL)
    if as_json:
        raw(orjson.dumps(demo.view(os.getpid()), option=orjson.OPT_APPEND_NEWLINE))
    else:
        text(quickstart(demo))
    sys.stdout.flush()


def _program() -> str:
    """How the reader calls this program: `make run` puts it on nobody's PATH."""
    if shutil.which("relayd") is not None:
        return "relayd"
    called = sys.argv[0]
    return f"{sys.executable} -m relayd" if called.endswith("__main__.py") else called


def _port(text: str) -> int:
    with suppress(ValueError):
        if 0 <= (port := int(text)) <= PORT_MAX:
            return port
    raise argparse.ArgumentTypeError(f"give a port, 0 to {PORT_MAX}")


async def _demo_key(db: Database) -> str:
    """A key is shown once, so each start makes one and revokes that of the last."""
    try:
        await account.create(db, DEMO_EMAIL, "Demo", unix_ms())
    except RelayError:
        await account.find(db, DEMO_EMAIL)
    for old in await key.listing(db, DEMO_EMAIL):
        if old.name == DEMO_KEY:
            await key.revoke(db, old.id, unix_ms())
    return (await key.create(db, DEMO_EMAIL, KeyWish(name=DEMO_KEY), unix_ms())).text


COMMANDS: Final = (
    Command("serve", "Run the relay in the foreground, as systemd does.", _serve,
            epilog="SIGHUP reads the configuration again. SIGTERM drains: running calls finish, "
                   "for up to [server] drain_seconds, every record is stored. A second one ends "
                   "at once."),
    Command("demo", "Run a relay with a built-in demo provider, an account and a key.", _demo,
            (option("--port", type=_port, default=DEMO_PORT, metavar="P",
                    help=f"the relay's port (default: {DEMO_PORT}; 0: any)"),),
            prints_data=True,
            epilog=f"Keeps its store under ./{DATA_DIRECTORY}, and writes its own configuration "
                   "there; -c is ignored. No network, no provider key."),
)
