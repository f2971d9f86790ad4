"""Child processes: started, waited for, read in /proc, ended by pid.

Law: a child that was started here is ended here, also when the measurement fails.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

START_SECONDS: Final = 20.0
STOPS: Final = ((signal.SIGTERM, 0.7), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
"""Signals and the seconds given to each: relayd drains at the first and ends at the second."""
FILES_WANTED: Final = 65_536
_PAGE: Final = resource.getpagesize()


class NotStarted(Exception):
    """A peer cannot take part; the text says why, for the report."""


def raise_file_limit() -> int:
    """The highest limit of open files that this process can have; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_WANTED:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, FILES_WANTED))
            hard = FILES_WANTED
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def free_port() -> int:
    """A port on loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, environ: Mapping[str, str] | None = None,
) -> Iterator[int]:
    """The pid of a child that lives as long as the block; its output goes to `log`."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            [str(part) for part in command], stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, env={**os.environ, **(environ or {})})
    try:
        yield child.pid
    finally:
        for number, seconds in STOPS:
            if child.poll() is None:
                child.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(seconds)


def wait_for(
    pid: int, port: int, request: bytes | None, log: Path, seconds: float = START_SECONDS
) -> None:
    """Returns once the port accepts (and answers 200 to `request`); raises NotStarted else."""
    end = time.monotonic() + seconds
    status = "no connection"
    while time.monotonic() < end:
        if not _alive(pid):
            status = "it ended"
            break
        with contextlib.suppress(OSError, http.client.HTTPException):
            status = _ask(port, request)
            if status == "200":
                return
        time.sleep(0.05)
    raise NotStarted(f"it does not serve ({status}): {_last_line(log)}")


def _ask(port: int, request: bytes | None) -> str:
    with socket.create_connection(("127.0.0.1", port), 5.0) as probe:
        if request is None:
            return "200"
        probe.sendall(request)
        answer = http.client.HTTPResponse(probe)
        answer.begin()
        answer.read()
        return str(answer.status)


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def family(pid: int) -> list[int]:
    """A process and its children: nginx works in one."""
    found = [pid]
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = Path("/proc", entry, "stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry))
    return found


def cpu_ns(pids: Sequence[int]) -> int:
    """Nanoseconds on a CPU of all threads, from the scheduler's own account."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total


def wakeups(pids: Sequence[int]) -> int:
    """How often a thread has given up its CPU to sleep, and so was woken afterwards."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/task/{task}/status").read_text()
                total += int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return total


def rss_bytes(pids: Sequence[int]) -> int:
    """Resident memory of the processes together."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * _PAGE
