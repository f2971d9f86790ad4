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
    found = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == _LISTENS and int(words[1].rpartition(":")[2], 16) == port:
                    found.append(words[9])
    return found


def _holds(process: Path, wanted: set[str]) -> bool:
    with suppress(OSError):
        for file in (process / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                if os.readlink(file) in wanted:
                    return True
    return False
