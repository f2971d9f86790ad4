"""The peers of a run: one upstream; before it nothing, nginx, a plain aiohttp relay or relayd."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import certificate, nginx, payload, process, relayd_peer
from bench.process import NotStarted
from bench.settings import Settings

DIRECT: Final = "direct"
NGINX: Final = "nginx"
PLAIN: Final = "plain aiohttp"
RELAYD: Final = "relayd"
AUDIT: Final = "relayd, audit"
BUSY: Final = "relayd, busy_poll"
RELAYS: Final = (NGINX, PLAIN, RELAYD)
_PROBE: Final = payload.chat_requests("sk-bench", stream=False)[0]


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that takes calls; `pids` is empty where there is no relay."""

    name: str
    port: int
    pids: tuple[int, ...] = ()
    key: str = "sk-bench"


@dataclass(frozen=True, slots=True)
class Field:
    """Who takes part, and why somebody does not."""

    peers: list[Peer] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ground:
    """What the peers of one question stand on."""

    folder: Path
    upstream_port: int
    upstream_pid: int
    tls: bool
    settings: Settings

    @property
    def upstream(self) -> str:
        """The URL that relays call."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.upstream_port}"

    @property
    def ca_file(self) -> Path | None:
        """What relays have to trust, with TLS."""
        return self.folder / certificate.AUTHORITY if self.tls else None


Starter = Callable[[Ground], AbstractContextManager[Peer]]


@contextlib.contextmanager
def ground(
    folder: Path, settings: Settings, *, tls: bool = False, hold: bool = False
) -> Iterator[Ground]:
    """An upstream that serves, in a folder of its own."""
    folder.mkdir(mode=0o755)
    port = process.free_port()
    command: list[str | Path] = [sys.executable, "-m", "bench.upstream", "--port", str(port),
                                 "--pace-ms", str(settings.pace_ms)]
    if hold:
        command.append("--hold")
    if tls:
        certificate.make(folder)
        command += ["--tls", folder / certificate.CERTIFICATE, folder / certificate.KEY]
    log = folder / "upstream.log"
    with process.running(command, log=log) as pid:
        process.wait_for(pid, port, None, log)
        yield Ground(folder, port, pid, tls, settings)


def start(stack: ExitStack, base: Ground, names: Sequence[str]) -> Field:
    """Starts the named peers on the stack; those that cannot be had are told in `skipped`."""
    taking_part = Field()
    for name in names:
        try:
            taking_part.peers.append(stack.enter_context(STARTERS[name](base)))
        except NotStarted as reason:
            taking_part.skipped[name] = str(reason)
    return taking_part


@contextlib.contextmanager
def _direct(base: Ground) -> Iterator[Peer]:
    yield Peer(DIRECT, base.upstream_port)


@contextlib.contextmanager
def _nginx(base: Ground) -> Iterator[Peer]:
    if base.settings.without_nginx:
        raise NotStarted("left out")
    binary = nginx.binary(base.settings.cache)
    folder = base.folder / "nginx"
    folder.mkdir(mode=0o755)
    port, log = process.free_port(), folder / "nginx.log"
    config = nginx.write(folder, port, base.upstream_port, tls=base.tls,
                         files=process.raise_file_limit())
    with process.running([binary, "-p", folder, "-c", config], log=log) as pid:
        # an answer, and not the port alone: the worker has to be there to be read
        process.wait_for(pid, port, _PROBE, log)
        yield Peer(NGINX, port, tuple(process.family(pid)))


@contextlib.contextmanager
def _plain(base: Ground) -> Iterator[Peer]:
    port, log = process.free_port(), base.folder / "plain.log"
    command: list[str | Path] = [
        sys.executable, "-m", "bench.plain_relay", str(port), base.upstream]
    if base.ca_file:
        command.append(base.ca_file)
    with process.running(command, log=log) as pid:
        process.wait_for(pid, port, _PROBE, log)
        yield Peer(PLAIN, port, (pid,))


@contextlib.contextmanager
def _relayd(base: Ground) -> Iterator[Peer]:
    with relayd_peer.serving(base.folder / "relayd", base.upstream,
                             ca_file=base.ca_file) as found:
        yield Peer(RELAYD, found.port, (found.pid,), found.key)


@contextlib.contextmanager
def _audit(base: Ground) -> Iterator[Peer]:
    with relayd_peer.serving(base.folder / "relayd-audit", base.upstream, mode="audit",
                             ca_file=base.ca_file) as found:
        yield Peer(AUDIT, found.port, (found.pid,), found.key)


@contextlib.contextmanager
def _busy(base: Ground) -> Iterator[Peer]:
    with relayd_peer.serving(base.folder / "relayd-busy", base.upstream, busy_poll=True,
                             ca_file=base.ca_file) as found:
        yield Peer(BUSY, found.port, (found.pid,), found.key)


STARTERS: Final[dict[str, Starter]] = {
    DIRECT: _direct, NGINX: _nginx, PLAIN: _plain, RELAYD: _relayd, AUDIT: _audit,
    BUSY: _busy,
}
