"""What the operating system says of this process, under the names that Prometheus clients share.

Law: reads /proc/self alone, so that it works where a unit hides the rest of /proc.
"""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import Final

from relayd.ops.metrics_text import family

_PROC: Final = Path("/proc/self")
_MAX_FDS: Final = re.compile(rb"^Max open files +([0-9]+)", re.MULTILINE)


def _open_fds(folder: Path) -> int:
    """How many there are. A kernel from 6.2 on tells it as the folder's size; to list 10,000 of
    them takes 20 ms and more, in which no call goes on."""
    told = folder.stat().st_size if folder == _PROC / "fd" else 0
    return told or len(os.listdir(folder))


def process_text(started_seconds: float, proc: Path = _PROC) -> str:
    """Families process_*; those that cannot be read are left out. `started_seconds`: Unix time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    text = family("process_cpu_seconds_total", "counter", "User and system CPU time.",
                  [("", used.ru_utime + used.ru_stime)])
    text += family("process_start_time_seconds", "gauge", "When the process started, Unix time.",
                   [("", started_seconds)])
    try:
        # The name in parentheses may hold spaces: fields are counted after it (proc(5)).
        fields = (proc / "stat").read_bytes().rpartition(b")")[2].split()
        limit = _MAX_FDS.search((proc / "limits").read_bytes())
        open_fds = _open_fds(proc / "fd")
    except OSError:
        return text
    text += family("process_virtual_memory_bytes", "gauge", "Virtual memory.",
                   [("", int(fields[20]))])
    text += family("process_resident_memory_bytes", "gauge", "Resident memory.",
                   [("", int(fields[21]) * resource.getpagesize())])
    text += family("process_open_fds", "gauge", "Open file descriptors.", [("", open_fds)])
    if limit is not None:
        text += family("process_max_fds", "gauge", "The limit of open file descriptors.",
                       [("", int(limit[1]))])
    return text
