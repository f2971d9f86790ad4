"""TCP connections by name: every address of a host is tried, the next one before the last gave up.

Law: the resolver alone decides how old an address may be: an answer holds for those who asked
while it was under way. Only while the resolver does not answer, its last answer stands in for a
day, where TLS proves whom it leads to. An address that another one overtook goes last for a
minute.
Sources: RFC 8305 (happy eyeballs), sections 4 and 5; RFC 8767 (serving stale data), section 5.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio.staggered import staggered_race
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, zip_longest
from typing import Any, Final

from relayd.ops.clock import monotonic
from relayd.ops.poll import keep_alive
from relayd.ops.resolver import Info, look_up
from relayd.ops.tasks import Tasks

HEAD_START_SECONDS: Final = 0.25
"""How long an address has before the next one is tried too (RFC 8305 section 8)."""
EXHAUSTED: Final = frozenset({
    errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors that tell of this machine and not of the host: no file, port or memory is left."""
LAST_SECONDS: Final = 60.0
"""How long an address that did not connect in its head start is tried after all others."""
PATIENCE_SECONDS: Final = 1.8
"""How long a resolver has before its last answer stands in (RFC 8767 section 5)."""
KEPT_SECONDS: Final = 86_400.0
"""For how long it does, at most."""
QUIET_SECONDS: Final = 10
"""A provider that is not heard of for so long is asked whether it is there; after 25 s it is
gone."""
_NO_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)})
"""Answers, and not the lack of one: there is no such name, or no address for it."""


class Dialer:
    """Opens connections to one host and port; a look-up is shared by all who wait for it.

    `proven`: whether TLS shows that an address is the host's own, so that an old one does no harm.
    `stale` is told each time that an old answer stands in.
    """

    def __init__(self, host: str, port: int, tasks: Tasks, proven: bool = False,
                 stale: Callable[[], None] | None = None) -> None:
        self._host = host
        self._port = port
        self._tasks = tasks
        self._proven = proven
        self._stale = stale
        self._literal = literal(host, port)
        self._looking: asyncio.Task[list[Info] | OSError] | None = None
        self._patient_until = 0.0
        self._kept: list[Info] = []
        self._kept_until = 0.0
        self._last: dict[Any, float] = {}

    async def dial(self) -> socket.socket:
        """A connected socket that does not block; the caller bounds the time.

        Raises OSError: socket.gaierror where the name has no address, else what became of the
        addresses, one with an errno of EXHAUSTED before any other.
        """
        infos = [self._literal] if self._literal else await self._look_up()
        if len(infos) == 1:
            return await _connect(infos[0])
        infos = self._ordered(infos)
        sock, winner = await _race(infos)
        until = monotonic() + LAST_SECONDS
        self._last.update((info[4], until) for info in infos[:winner])
        self._last.pop(infos[winner][4], None)
        return sock

    def _ordered(self, infos: Sequence[Info]) -> list[Info]:
        now = monotonic()
        self._last = {address: until for address, until in self._last.items() if until > now}
        return sorted(interleaved(infos), key=lambda info: info[4] in self._last)

    async def _look_up(self) -> list[Info]:
        looking = self._looking
        if looking is None:
            looking = self._looking = self._tasks.spawn("name look-up", self._resolve())
            self._patient_until = monotonic() + PATIENCE_SECONDS
        now = monotonic()
        kept = self._kept if now < self._kept_until else []
        # whoever stops waiting leaves the look-up to the others
        await asyncio.wait(
            (looking,), timeout=max(0.0, self._patient_until - now) if kept else None)
        found = looking.result() if looking.done() else None
        if kept and (found is None or isinstance(found, socket.gaierror)
                     and found.errno not in _NO_NAME):
            if self._stale is not None:
                self._stale()
            return kept
        assert found is not None
        if isinstance(found, OSError):
            raise type(found)(*found.args)
        return found

    async def _resolve(self) -> list[Info] | OSError:
        try:
            found = await look_up(self._host, self._port)
            if not found:
                return socket.gaierror(socket.EAI_NONAME, "no address")
            if self._proven:
                self._kept, self._kept_until = found, monotonic() + KEPT_SECONDS
            return found
        except OSError as error:
            return _exhausted() or error
        finally:
            self._looking = None


def _exhausted() -> OSError | None:
    """The error of a machine without a file left, where a resolver only says that it failed."""
    try:
        socket.socket().close()
    except OSError as error:
        return error
    return None


def literal(host: str, port: int) -> Info | None:
    """What a host that is an address stands for; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port)
    return None


def interleaved(infos: Sequence[Info]) -> list[Info]:
    """The families by turns, the first one first, each in the resolver's order (section 4)."""
    families: dict[int, list[Info]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    mixed = chain.from_iterable(zip_longest(*families.values()))
    return [info for info in mixed if info is not None]


async def _race(infos: Sequence[Info]) -> tuple[socket.socket, int]:
    """The first connection that succeeds, and which one it is; the others are given up."""
    opened: list[socket.socket] = []

    async def one(info: Info) -> socket.socket:
        sock = await _connect(info)
        opened.append(sock)
        return sock

    try:
        found, winner, errors = await staggered_race(
            [partial(one, info) for info in infos], HEAD_START_SECONDS)
    except BaseException:  # we are cancelled: nobody will ask for what has just been opened
        for sock in opened:
            sock.close()
        raise
    for sock in opened:
        if sock is not found:
            sock.close()
    if winner is not None:
        return found, winner
    raise _worst([error for error in errors if isinstance(error, OSError)])


def _worst(errors: Sequence[OSError]) -> OSError:
    for error in errors:
        if error.errno in EXHAUSTED:
            return error
    return errors[0] if errors else OSError(errno.EHOSTUNREACH, "no address")


async def _connect(info: Info) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    try:
        sock.setblocking(False)
        keep_alive(sock, QUIET_SECONDS)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
            raise _unavailable(info) from None
        raise
    return sock


def _unavailable(info: Info) -> OSError:
    """What EADDRNOTAVAIL means: that no port is left, or, where a datagram's socket has no address
    of its own either, that this machine does not have the family (IPv6 is turned off)."""
    with suppress(OSError), socket.socket(info[0], socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(info[4])  # sends nothing
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                return OSError(errno.ENETUNREACH, "no address of this family here")
    return OSError(errno.EADDRNOTAVAIL, "no port is left")
