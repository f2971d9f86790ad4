"""Who listens on a TCP port of this machine, for the message that it cannot be had.

Law: whatever cannot be read (another user's process, another namespace) is left out in silence.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_LISTENS: Final = "0A"


def occupant(port: int) -> str:
    """` by NAME (pid N)`; empty where that is not to be found out (proc(5), /proc/net/tcp)."""
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in _PROC.iterdir() if wanted else ():
        if process.name.isdecimal() and _holds(process, wanted):
            with suppress(OSError):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                return f" by {name} (pid {process.name})"
    return ""


def _inodes(port: int) -> list[str]:
    """Of the sockets that listen on it, at any address."""
    text = ""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            text += (_PROC / "net" / table).read_text()
    rows = [line.split() for line in text.splitlines()]
    return [row[9] for row in rows
            if row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port]


def _holds(process: Path, wanted: set[str]) -> bool:
    with suppress(OSError):
        return any(_target(file) in wanted for file in (process / "fd").iterdir())
    return False


def _target(file: Path) -> str:
    with suppress(OSError):  # closed meanwhile
        return os.readlink(file)
    return ""
