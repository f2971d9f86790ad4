"""The command `audit-canary`: proves on a running daemon that nothing of what passes stays.

Law: it works from outside, as a client and as a reader of files and memory; the daemon has no part
made for it. What could not be looked at is said.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from relayd import __version__
from relayd import cli_output as output
from relayd.cli_command import DONE, FAULT, Command, CommandError, configured, option
from relayd.control import canary
from relayd.core.canary import RANDOM_BYTES, Mark, mark_of, needles
from relayd.core.canary_play import ECHO, Play, Script
from relayd.core.canary_report import Played, Run, Searched
from relayd.ops import clock
from relayd.ops.canary import Search, Seeker, listeners_of
from relayd.ops.canary_client import CanaryClient
from relayd.ops.config import Config
from relayd.ops.configfile_address import parse_listen
from relayd.ops.scrape import fetch, samples
from relayd.store.db import open_database
from relayd.store.directory import StoreError
from relayd.store.signing import open_signer

ROUNDS: Final = 2
AT_ONCE: Final = 20
SETTLE_SECONDS: Final = 1.5
LOGS: Final = ("/var/log",)
TEMPORARY: Final = ("/tmp", "/var/tmp", "/dev/shm")
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def _audit(arguments: argparse.Namespace) -> int:
    config = configured(arguments)
    models, demo = _models(config, arguments.model)
    run = asyncio.run(_Audit(config, arguments).run(models, demo))
    try:
        made = asyncio.run(_publish(config, run))
    except StoreError as error:
        raise CommandError(f"store {config.store.path}: {error.sentence}", FAULT) from None
    if arguments.json:
        output.document(made)
    else:
        _show(run, made)
    missing = arguments.memory and run.memory != "searched"
    return DONE if made["clean"] and not missing else FAULT


def _models(config: Config, named: Sequence[str] | None) -> tuple[list[str], bool]:
    """The models to ask, and whether they are the demo provider's."""
    if named:
        return list(named), False
    if any(route.pattern in (ECHO, "demo-*", "demo*") for route in config.routes):
        return [ECHO], True
    raise CommandError("Name served models with --model; they are really called.")


async def _publish(config: Config, run: Run) -> dict[str, object]:
    db = await open_database(
        Path(config.store.path), master=config.store.master_key, beside=True)
    try:
        return await canary.publish(db, open_signer(db.directory), run, clock.unix_ms())
    finally:
        await db.close()


class _Audit:
    """One run against the daemon of a configuration."""

    def __init__(self, config: Config, arguments: argparse.Namespace) -> None:
        self._config = config
        self._arguments = arguments
        self._mark: Mark = mark_of(secrets.token_bytes(RANDOM_BYTES))
        self._everything = Seeker(needles(self._mark))
        self._content = Seeker(needles(self._mark, identity=False))
        self._began = clock.unix_ms() / 1000 - 1  # file systems keep coarse times
        self._searched: list[Searched] = []

    async def run(self, models: Sequence[str], demo: bool) -> Run:
        """Sends, searches, and says what was found."""
        started_at_ms = clock.unix_ms()
        tls = _tls() if self._config.server.tls is not None else None
        client = CanaryClient(_near(self._config.server.listen[0]), tls,
                              self._mark.latin.encode())
        script = Script("relay.test", self._arguments.key, self._mark)
        played = await _play(client, list(script.plays(models, demo=demo)))
        if not any(each.status for each in played):
            raise CommandError("The daemon does not answer at [server] listen.", FAULT)
        if not any(each.echoed for each in played):
            raise CommandError("No marked text came back: the key may not use these "
                               "models, or none of them answers.", FAULT)
        await asyncio.sleep(self._config.metering.flush_seconds + SETTLE_SECONDS)
        pids = listeners_of(parse_listen(self._config.ops_listen).port)
        memory = self._memory(pids) if self._arguments.memory else "not asked for"
        await client.close()
        wiped = await self._metrics()
        self._files(pids)
        return Run(__version__, started_at_ms, clock.unix_ms(), played, self._searched, memory,
                   wiped)

    def _take(self, search: Search) -> None:
        self._searched.append(Searched(search.place, search.files, search.bytes,
                                       search.unreadable, search.hits))

    def _memory(self, pids: Sequence[int]) -> str:
        """Whether it was searched. Connections are open and idle, as clients leave them."""
        if not pids:
            return "no process of the daemon can be seen"
        for pid in pids:
            try:
                self._take(self._content.in_memory(pid))
            except PermissionError:
                return "only root may look into the daemon's memory"
            except OSError:
                return "the daemon's memory cannot be read"
        return "searched"

    async def _metrics(self) -> bool | None:
        try:
            _, page = await fetch(self._config.ops_listen, "/metrics")
        except (OSError, ValueError):
            self._searched.append(Searched("metrics", 0, 0, 1, {}))
            return None
        search = Search("metrics")
        self._everything.in_bytes(search, "page", page.encode())
        self._take(search)
        return any(each.name == "relayd_memory_wiped" and each.value == 1
                   for each in samples(page))

    def _files(self, pids: Sequence[int]) -> None:
        self._take(self._everything.below("store", Path(self._config.store.path)))
        for pid in pids:
            self._take(self._everything.in_descriptors(pid))
        for folder in self._arguments.logs or LOGS:
            self._take(self._everything.below("logs", Path(folder), self._began))
        for path in _temporary(pids):
            self._take(self._everything.below("temporary files", path, self._began))


def _temporary(pids: Sequence[int]) -> Iterator[Path]:
    """Folders for temporary files, ours and those that the daemon sees."""
    yield from map(Path, TEMPORARY)
    for pid in pids:
        root = Path(f"/proc/{pid}/root")
        if os.access(root, os.X_OK) and not os.path.samefile(root, "/"):
            yield from (root / folder.lstrip("/") for folder in TEMPORARY)


def _near(listen: str) -> str:
    """Where a listener is reached from this machine."""
    host, gap, port = listen.rpartition(":")
    return f"{_EVERYWHERE.get(host, host)}{gap}{port}"


def _tls() -> ssl.SSLContext:
    """For a daemon on this machine, whose certificate has another name than this address."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _play(client: CanaryClient, plays: Sequence[Play]) -> list[Played]:
    """Each play by itself, then all of them at once some times."""
    played = []
    for play in plays:
        played.append(Played(play.name, *await client.play(play)))
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(play: Play) -> Played:
        async with turn:
            return Played(play.name, *await client.play(play))

    return played + await asyncio.gather(*(one(play) for play in plays for _ in range(ROUNDS)))


def _show(run: Run, made: dict[str, object]) -> None:
    came_back = sum(each.echoed for each in run.played)
    output.text(f"{len(run.played)} requests were sent; the text of {came_back} came back.")
    output.table(("PLACE", "FILES", "BYTES", "UNREADABLE", "COPIES"), [
        (each.place, each.files, each.bytes, each.unreadable or None, sum(each.hits.values()))
        for each in run.searched])
    for each in run.searched:
        for (name, mark, form), number in sorted(each.hits.items()):
            output.text(f"FOUND: {each.place}: {name}: {mark} as {form}, {number} times")
    output.text(f"Memory: {run.memory}."
                + ("" if run.wiped is None else
                   f" Freed memory is {'' if run.wiped else 'not '}overwritten."))
    output.text("CLEAN: no copy was found." if made["clean"] else "NOT CLEAN: see above.")


COMMANDS: Final = (
    Command("audit-canary", "Send marked text through a running daemon, then search for copies.",
            _audit, prints_data=True, options=(
                option("--key", required=True, metavar="K", help="an API key of this relay"),
                option("--model", metavar="M", action="append",
                       help="a model that is really called; may be repeated (default: the "
                            "demo's, where the demo is configured)"),
                option("--memory", action="store_true",
                       help="search the daemon's memory too (root, and wipe_memory)"),
                option("--logs", metavar="DIR", action="append",
                       help=f"where logs are (default: {', '.join(LOGS)}); may be said again"),
            ),
            epilog="The signed report goes into the store, from where the console serves it at "
                   "/.well-known/relay-audit.json. Exit code 1 where a copy was found."),
)
