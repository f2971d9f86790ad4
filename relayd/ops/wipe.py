"""Memory that is wiped when it is freed: the allocator's settings, and whether they are in force.

Law: the settings are read once, when a program starts, so `relayd serve` starts itself anew with
them. Whether they work is seen by freed objects of this process, not by the variables: another C
library has other settings, or none.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from collections.abc import Mapping
from typing import Final, NoReturn

MARK: Final = "RELAYD_WIPES_MEMORY"
"""Says that the program was started anew: it is not twice."""
MALLOC: Final = "PYTHONMALLOC"
TUNABLES: Final = "GLIBC_TUNABLES"
# pymalloc would keep freed small objects as they are; glibc overwrites what is freed, but not what
# goes to its threads' caches
_MALLOC: Final = "malloc"
_SETTINGS: Final = ("glibc.malloc.perturb=165", "glibc.malloc.tcache_count=0")
_SIZES: Final = (200, 3_000, 40_000)
_HEAD_BYTES: Final = 64
"""Of a freed object, which the allocator uses for its own lists in any case."""
_PATTERN_BYTES: Final = 24


def wiping(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with what makes glibc and Python overwrite freed memory."""
    others = [each for each in environment.get(TUNABLES, "").split(":")
              if each and not each.startswith(tuple(s.partition("=")[0] for s in _SETTINGS))]
    return {**environment, MARK: "1", MALLOC: _MALLOC, TUNABLES: ":".join((*others, *_SETTINGS))}


def due(wanted: bool, environment: Mapping[str, str]) -> bool:
    """Whether the program has to be started anew for it."""
    if not wanted or MARK in environment:
        return False
    tunables = environment.get(TUNABLES, "").split(":")
    return environment.get(MALLOC) != _MALLOC or not set(_SETTINGS) <= set(tunables)


def start_anew(environment: Mapping[str, str]) -> NoReturn:
    """Replaces this program by itself, with memory that is wiped; its process stays the same.

    What SIGHUP asks for until it runs, it does anyway: it reads the configuration once more.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wiping(environment))


def wipes() -> bool:
    """Whether this process overwrites what it frees, as freed objects of some sizes show.

    Asked before `forbid_dumps`, after which a process must not look at itself. False where it
    cannot be seen.
    """
    try:
        handle = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not any(_remains(handle, size) for size in _SIZES)
    except OSError:
        return False
    finally:
        os.close(handle)


def _remains(handle: int, size: int) -> bool:
    """Whether a freed object of about this size can still be read."""
    pattern = secrets.token_bytes(_PATTERN_BYTES)
    canary = pattern * (size // _PATTERN_BYTES)
    address = id(canary)
    if pattern not in os.pread(handle, size, address):
        raise OSError("an object is not where its id says")
    del canary
    return pattern in os.pread(handle, size - _HEAD_BYTES, address + _HEAD_BYTES)
