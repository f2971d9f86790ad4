"""TCP connections by name: every address of a host is tried, the next one before the last gave up.

Law: nothing is remembered of a name but what its running look-up will say: an answer holds for
those who asked while it was under way, so the resolver alone decides how old an address may be.
Source: RFC 8305 (happy eyeballs), sections 4 and 5.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from asyncio.staggered import staggered_race
from collections.abc import Sequence
from functools import partial
from itertools import chain, zip_longest
from typing import Any, Final

from relayd.ops.tasks import Tasks

HEAD_START_SECONDS: Final = 0.25
"""How long an address has before the next one is tried too (RFC 8305 section 8)."""
EXHAUSTED: Final = frozenset({
    errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors that tell of this machine and not of the host: no file, port or memory is left."""
Info = tuple[Any, ...]
"""As getaddrinfo gives it: family, type, protocol, canonical name, socket address."""


class Dialer:
    """Opens connections to one host and port; a look-up is shared by all who wait for it."""

    def __init__(self, host: str, port: int, tasks: Tasks) -> None:
        self._host = host
        self._port = port
        self._tasks = tasks
        self._literal = literal(host, port)
        self._looking: asyncio.Task[list[Info] | OSError] | None = None

    async def dial(self) -> socket.socket:
        """A connected socket that does not block; the caller bounds the time.

        Raises OSError: socket.gaierror where the name has no address, else what became of the
        addresses, one with an errno of EXHAUSTED before any other.
        """
        infos = [self._literal] if self._literal else await self._look_up()
        if len(infos) == 1:
            return await _connect(infos[0])
        return await _race(interleaved(infos))

    async def _look_up(self) -> list[Info]:
        if self._looking is None:
            self._looking = self._tasks.spawn("name look-up", self._resolve())
        # whoever stops waiting leaves the look-up to the others
        found = await asyncio.shield(self._looking)
        if isinstance(found, OSError):
            raise type(found)(*found.args)
        return found

    async def _resolve(self) -> list[Info] | OSError:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM)
            return list(found) or socket.gaierror(socket.EAI_NONAME, "no address")
        except OSError as error:
            return error
        finally:
            self._looking = None


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


async def _race(infos: Sequence[Info]) -> socket.socket:
    """The first connection that succeeds; the others are given up."""
    opened: list[socket.socket] = []

    async def one(info: Info) -> socket.socket:
        sock = await _connect(info)
        opened.append(sock)
        return sock

    try:
        found, _, errors = await staggered_race(
            [partial(one, info) for info in infos], HEAD_START_SECONDS)
    except BaseException:  # we are cancelled: nobody will ask for what has just been opened
        for sock in opened:
            sock.close()
        raise
    for sock in opened:
        if sock is not found:
            sock.close()
    if found is not None:
        won: socket.socket = found
        return won
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
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
