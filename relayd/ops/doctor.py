"""What the doctor finds, and what it looks at on this machine: clock, swap, cores, files.

Law: looks and never changes anything. A finding is one plain sentence and, unless all is well, the
remedy. `fail` keeps relayd from working or from keeping its promises; `warn` may.
"""

from __future__ import annotations

import os
import resource
import ssl
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from relayd.core.assessment import CERTIFICATE_DAYS, MASTER_KEY_DAYS
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.ops.certificate import validity

Level = Literal["ok", "warn", "fail"]

YEAR_2026_MS: Final = 1_767_225_600_000
YEAR_2100_MS: Final = 4_102_444_800_000
FREE_WARN_BYTES: Final = 1024 ** 3
FREE_FAIL_BYTES: Final = 64 * 1024 ** 2
_OTHERS: Final = 0o077
_PROC: Final = Path("/proc")
_SERVICES: Final = Path("/sys/fs/cgroup/system.slice")


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is one or two words; `sentence` says what is so; `remedy` what to do."""

    level: Level
    subject: str
    sentence: str
    remedy: str = ""


def exit_code(findings: Sequence[Finding]) -> int:
    """1 where anything fails."""
    return 1 if any(finding.level == "fail" for finding in findings) else 0


def clock_finding(now_ms: int) -> Finding:
    """Whether the clock's year can be true: records, prices and expiry hang on it."""
    if YEAR_2026_MS <= now_ms < YEAR_2100_MS:
        return Finding("ok", "clock", f"The clock says {rfc3339(now_ms)[:19]}Z.")
    return Finding("fail", "clock", "The clock is wrong by years.",
                   "Set it, and keep it set with chrony or systemd-timesyncd.")


def swap_finding(proc: Path = _PROC, cgroup: Path = _SERVICES) -> Finding:
    """Whether memory, which holds content while it passes, can be written to disk.

    Where swap is on, relayd's services must be kept out of it: `MemorySwapMax=0` in their cgroups.
    """
    try:
        areas = len((proc / "swaps").read_text().splitlines()) - 1
    except OSError:
        return Finding("warn", "swap", "relayd cannot see whether swap is on.", "Look at swapon.")
    if areas <= 0:
        return Finding("ok", "swap", "Swap is off.")
    limits = [file.read_text().strip() for file in cgroup.glob("relayd*.service/memory.swap.max")]
    if limits and set(limits) == {"0"}:
        return Finding("ok", "swap", "Swap is on, and relayd's services are kept out of it.")
    return Finding("fail", "swap", "Swap is on: content that is passing can reach the disk.",
                   "Run relayd with MemorySwapMax=0 (config/relayd.service), or turn swap off.")


def core_finding(proc: Path = _PROC) -> Finding:
    """Whether a crash would write memory to a file. Limits are those of this shell."""
    limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
    try:
        pattern = (proc / "sys/kernel/core_pattern").read_text().strip()
    except OSError:
        pattern = ""
    # A pattern that is a program gets the core whatever the limit is; systemd's keeps to it.
    piped = pattern.startswith("|") and "systemd-coredump" not in pattern
    if limit == 0 and not piped:
        return Finding("ok", "core dumps", "A process started from this shell writes no core.")
    sentence = "Cores go to a program, whatever the limit: a crash could store content." if piped \
        else "The core limit of this shell is not 0: a crash could store content."
    return Finding("warn", "core dumps", sentence,
                   "Run relayd with LimitCORE=0 (config/relayd.service)"
                   + (" and set kernel.core_pattern to a plain name." if piped else "."))


def private_finding(subject: str, path: Path) -> Finding:
    """Whether a file or directory that only relayd should see is closed to others."""
    try:
        found = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return Finding("fail", subject, f"{path} cannot be examined ({type(error).__name__}).",
                       "Check that it exists and that you may look at it.")
    if found & _OTHERS:
        return Finding("fail", subject, f"{path} has mode {found:04o}: others can use it.",
                       f"chmod {found & ~_OTHERS:04o} {path}")
    return Finding("ok", subject, f"{path} is closed to others (mode {found:04o}).")


def space_finding(path: Path) -> Finding:
    """Whether the store's file system has room."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        return Finding("fail", "disk", f"{path} cannot be examined ({type(error).__name__}).")
    free_bytes = found.f_bavail * found.f_frsize
    sentence = f"{free_bytes // 1024 ** 2} MiB are free at {path}."
    if free_bytes < FREE_FAIL_BYTES:
        return Finding("fail", "disk", sentence, "Make room: records cannot be stored without.")
    if free_bytes < FREE_WARN_BYTES:
        return Finding("warn", "disk", sentence, "Make room soon.")
    return Finding("ok", "disk", sentence)


def writable_finding(path: Path) -> Finding:
    """Whether who asks may write to the store's directory."""
    if os.access(path, os.W_OK | os.X_OK):
        return Finding("ok", "store", f"{path} can be written.")
    with suppress(OSError):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return Finding("fail", "store", f"{path} is on a file system that is read-only.",
                           "See dmesg for why, then mount it anew.")
    return Finding("fail", "store", f"{path} cannot be written by this user.",
                   "Give it to the user that runs relayd, or run the doctor as that user.")


def master_key_finding(since_ms: int | None, now_ms: int) -> Finding:
    """How long the data keys have been wrapped by the same master key."""
    if since_ms is None:
        return Finding("ok", "master key", "The master key has encrypted nothing yet.")
    sentence = f"The master key is in use since {rfc3339(since_ms)[:10]}."
    if now_ms - since_ms > MASTER_KEY_DAYS * DAY_MS:
        return Finding("warn", "master key", sentence, "Rotate it: relayd store rotate-key")
    return Finding("ok", "master key", sentence)


def _days_until(moment: str, now_ms: int) -> int:
    return int(ssl.cert_time_to_seconds(moment) * 1000 - now_ms) // DAY_MS


def certificate_days(path: str, now_ms: int) -> int:
    """For how many days a certificate is still valid; -1 where it cannot be read, or no more."""
    try:
        return max(_days_until(validity(path)[1], now_ms), -1)
    except (OSError, ValueError, KeyError):
        return -1


def certificate_finding(path: str, now_ms: int) -> Finding:
    """How long a listener's certificate is still valid; the first one of the file."""
    try:
        not_before, not_after = validity(path)
        left_days = _days_until(not_after, now_ms)
        early = _days_until(not_before, now_ms) >= 0
    except (OSError, ValueError, KeyError) as error:
        return Finding("fail", "certificate", f"{path} cannot be read ({type(error).__name__}).",
                       "Name a PEM file whose first certificate is the listener's own.")
    if left_days < 0:
        return Finding("fail", "certificate", f"{path} expired on {not_after}.", "Renew it.")
    if early:
        return Finding("fail", "certificate", f"{path} is not valid before {not_before}.",
                       "Clients refuse it until then: see that the clock is right.")
    sentence = f"{path} is valid for {left_days} more days."
    if left_days < CERTIFICATE_DAYS:
        return Finding("warn", "certificate", sentence, "Renew it.")
    return Finding("ok", "certificate", sentence)
