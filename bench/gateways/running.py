"""Peers as processes: written, started in a group of their own, awaited, ended with the group.

Law: only the groups that were started here are ended. A peer that does not answer a call and a
stream is left out, with the reason.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench import payload, peers, process, relayd_peer
from bench.gateways.catalogue import Entry
from bench.gateways.install import ready
from bench.gateways.launch import LAUNCHES, Launch, Site
from bench.peers import AUDIT, RELAYD, Field, Ground, Peer
from bench.process import NotStarted

TOLD: Final = re.compile(rb"https?://[^:/\s]+:(\d{2,5})")
END_SECONDS: Final = 3.0
PRICES: Final = Path(__file__).resolve().parents[2] / "config/prices.toml"
# limits that are kept account of and never reached; amounts by the price list that is shipped
EVERYTHING: Final = f"""
[limits]
requests_per_minute = 1000000
tokens_per_minute = 1000000000
concurrent = 10000
daily_budget = 1000000
monthly_budget = 10000000
[prices]
file = "{PRICES}"
"""


def start_all(stack: ExitStack, base: Ground, entries: list[Entry], cache: Path) -> Field:
    """Starts the peers on the stack, one after the other; who cannot be had is in `skipped`."""
    taking_part = Field()
    for entry in entries:
        try:
            peer = stack.enter_context(_one(base, entry, cache))
        except (NotStarted, OSError) as reason:
            taking_part.skipped[entry.name] = str(reason)
        else:
            taking_part.peers.append(peer)
    return taking_part


@contextlib.contextmanager
def _one(base: Ground, entry: Entry, cache: Path) -> Iterator[Peer]:
    if entry.kind == "relayd":
        with _relayd(base, entry) as peer:
            yield peer
        return
    if entry.source == "ours":
        with peers.STARTERS[entry.name](base) as peer:
            yield peer
        return
    home = ready(entry, cache)
    folder = base.folder / entry.name
    folder.mkdir(mode=0o755)
    site = Site(home, folder, process.free_port(), process.free_port(), base.upstream_port)
    launch = LAUNCHES[entry.name](site)
    for name, content in launch.files.items():
        (folder / name).write_text(content, "utf-8")
    log = folder / "peer.log"
    with _group(launch, folder, log) as pid:
        port = _port_told(pid, log, entry.start_seconds) if launch.tells_port else site.port
        process.wait_for(pid, port, request(entry, entry.key, stream=False)[0], log,
                         entry.start_seconds)
        _streams(port, request(entry, entry.key, stream=True)[0])
        yield Peer(entry.name, port, tuple(members(pid)), entry.key)


@contextlib.contextmanager
def _relayd(base: Ground, entry: Entry) -> Iterator[Peer]:
    mode = {RELAYD: "inline", AUDIT: "audit"}[entry.name]
    folder = base.folder / entry.name.replace(", ", "-")
    with relayd_peer.serving(folder, base.upstream, mode=mode, extra=EVERYTHING) as found:
        yield Peer(entry.name, found.port, (found.pid,), found.key)


def request(entry: Entry, key: str, *, stream: bool, events: int = 64) -> list[bytes]:
    """The same calls for all, at the peer's path and with its name of the model."""
    return payload.chat_requests(key, stream=stream, events=events, path=entry.path,
                                 model=entry.model)


@contextlib.contextmanager
def _group(launch: Launch, folder: Path, log: Path) -> Iterator[int]:
    """The pid of the leader of a process group of its own."""
    environ = {**os.environ, **launch.environ}
    # nginx and others read what a service manager left; proxies would lead off the loopback
    for name in [each for each in environ if each.lower().endswith("_proxy")]:
        del environ[name]
    with log.open("wb") as output:
        child = subprocess.Popen(launch.command, cwd=folder, env=environ, stdout=output,
                                 stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                 start_new_session=True)
    try:
        yield child.pid
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """The whole group: asked once, then ended; its leader may be a wrapper that left first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(END_SECONDS)


def members(leader: int) -> list[int]:
    """All processes of the group that live."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = Path("/proc", entry, "stat").read_text()
                state, _parent, group = stat.rpartition(")")[2].split()[:3]
                if int(group) == leader and state != "Z":
                    found.append(int(entry))
    return found


def _port_told(pid: int, log: Path, seconds: float) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end and members(pid):
        found = TOLD.search(log.read_bytes())
        if found:
            return int(found[1])
        time.sleep(0.1)
    raise NotStarted("it does not say where it serves")


def _streams(port: int, wanted: bytes) -> None:
    """Raises NotStarted unless a stream comes whole."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10.0) as probe:
            probe.sendall(wanted)
            answer = http.client.HTTPResponse(probe)
            answer.begin()
            whole = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotStarted(f"no stream: {type(error).__name__}") from error
    if answer.status != 200 or b"[DONE]" not in whole:
        raise NotStarted(f"no whole stream (status {answer.status})")
