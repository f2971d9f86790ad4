"""The process itself: its limits, its memory's privacy, its threads, and the garbage collector.

Law: no content of ours outlives the process on a disk: no core dumps, not dumpable.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_PAGE_BYTES: Final = resource.getpagesize()
FILES_RESERVED: Final = 128
FILES_BOUNDLESS: Final = 1 << 30
COLLECT_AFTER: Final = (50_000, 20, 50)
"""Allocations between collections: the relay path makes few cycles, and a full collection of a
process with the tokenizer's tables would stop every stream for tens of milliseconds."""

SWITCH_SECONDS: Final = 0.001
"""How long a thread that computes may keep the event loop from running on (CPython: 0.005)."""


def raise_file_limit() -> int:
    """Raises the soft limit of open files to the hard one; returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def files_possible() -> int:
    """How many files the process may have open once its limit is raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return FILES_BOUNDLESS if hard == resource.RLIM_INFINITY else hard


def file_limit() -> int:
    """How many files the process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return FILES_BOUNDLESS if soft == resource.RLIM_INFINITY else soft


def connections_possible(files: int, calls_max: int, upstream_max: int) -> int:
    """How many client connections fit into `files`, beside what else needs some.

    That is FILES_RESERVED for the store, the journal and the like, and one connection upstream for
    each call that may be under way (`calls_max`, or `upstream_max` of all providers where that is
    less), but no more than half: of few files the clients have as many as the providers.
    """
    room = max(files - FILES_RESERVED, 2)
    return max(room // 2, room - min(calls_max, upstream_max))


def forbid_dumps() -> bool:
    """No core files, and no other process of the same user may read this one's memory (Linux).

    False where the kernel refused; the size limit of core files is set all the same.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def resident_bytes() -> int:
    """How much memory the process holds (Linux), 0 where that cannot be known."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(128).split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def favour_loop() -> None:
    """Threads that compute give way to the event loop soon: a stall of theirs is every stream's.

    Beside a prompt of 1 MB in small parts that is counted on a thread the loop stood still for 5
    to 13 ms, and so for 1 to 4 (docs/decisions/0011).
    """
    sys.setswitchinterval(SWITCH_SECONDS)


def settle_memory() -> None:
    """After start: what is loaded stays, so the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
