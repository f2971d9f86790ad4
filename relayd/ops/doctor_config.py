"""What the doctor finds where the configuration meets this machine: prices, open files, room for
the journal, several processes, systemd.

Law: as in ops/doctor.py. Limits are those of this shell, and said to be.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.ops.config import Config
from relayd.ops.doctor import Finding

PRICES_WARN_DAYS: Final = 180
FILES_MIN: Final = 4096
"""Two descriptors a call, and those of the store and the listeners: some 2,000 calls."""
UNIT_NAME: Final = "relayd.service"
_UNIT_FOLDERS: Final = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system",
                        "/lib/systemd/system")


def config_findings(config: Config, now_ms: int, root: Path = Path("/")) -> Iterator[Finding]:
    """All of them, in a fixed order."""
    yield prices_finding(config, now_ms)
    if config.billing.prepaid and config.billing.unpriced == "serve":
        yield unpriced_finding(config)
    if config.billing.prepaid:
        yield left_early_finding(config)
    yield files_finding(config.server.connections_max)
    if os.path.exists(config.store.path):  # False too where we may not look
        yield journal_room_finding(config.store.path, config.store.journal_bytes_max)
    if config.server.reuse_port or config.store.shared:
        yield processes_finding(config)
    yield unit_finding(root)


def prices_finding(config: Config, now_ms: int) -> Finding:
    """Whether there are prices, and whether anybody has looked at them lately."""
    in_force = config.prices.in_force(now_ms)
    if not in_force:
        return Finding("warn", "prices", "No price is in force: every amount will be 0.",
                       "Copy config/prices.toml beside the configuration and check it against"
                       " your contracts.")
    newest_ms = max(price.since_ms for price in in_force)
    if not newest_ms:
        return Finding("warn", "prices", f"{len(in_force)} prices are in force; none has a date.",
                       "Nothing tells how old they are: compare them with your providers' lists,"
                       " and give a price that changes a `from`.")
    age_days = (now_ms - newest_ms) // DAY_MS
    sentence = (f"{len(in_force)} prices are in force; the newest is of"
                f" {rfc3339(newest_ms)[:10]}.")
    if age_days > PRICES_WARN_DAYS:
        return Finding("warn", "prices", sentence, f"That is {age_days} days ago: compare them"
                       " with your providers' lists (relayd prices import).")
    return Finding("ok", "prices", sentence)


def unpriced_finding(config: Config) -> Finding:
    """Whether clients of prepaid balances can name models that cost nothing."""
    patterns = [route.pattern for route in config.routes if route.is_pattern]
    if not patterns:
        return Finding("ok", "unpriced models", "No route is a pattern.")
    return Finding("warn", "unpriced models", f"Routes that are patterns ({', '.join(patterns)})"
                   " also serve models that the price file does not know, for nothing.",
                   'Set [billing] unpriced = "refuse", after relayd prices check.')


def left_early_finding(config: Config) -> Finding:
    """Whether clients of prepaid balances have for nothing what only a reply's end tells."""
    names = sorted(name for name, provider in config.providers.items()
                   if provider.on_client_close == "cancel")
    if not names:
        return Finding("ok", "left early", "Replies whose client has left are read on where only"
                       " the provider can count them.")
    return Finding("warn", "left early", "Who leaves before a reply's end has documents, searches"
                   f" and hidden thoughts for nothing at {', '.join(names)}.",
                   'Set on_client_close = "drain_uncounted" there, if holders are strangers'
                   " (docs/money.md).")


def files_finding(connections_max: int) -> Finding:
    """How many files a process of this shell may open; the daemon raises its soft limit itself."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= 2 * connections_max:
        return Finding("ok", "open files", "A process started from this shell may open enough"
                       " files for connections_max.")
    remedy = ("Start relayd from config/relayd.service (LimitNOFILE=65536), or raise ulimit -Hn;"
              " or lower [server] connections_max.")
    few = hard < FILES_MIN
    return Finding("warn" if few else "ok", "open files",
                   f"A process started from this shell may open {hard} files: relayd will take"
                   f" fewer clients than connections_max ({connections_max}).",
                   remedy if few else "")


def journal_room_finding(path: str, journal_bytes_max: int) -> Finding:
    """Whether the disk holds what the journal may grow to while the store takes nothing."""
    found = os.statvfs(path)
    free_bytes = found.f_bavail * found.f_frsize
    if free_bytes >= journal_bytes_max:
        return Finding("ok", "journal room", "The disk has room for journal_bytes_max.")
    return Finding("warn", "journal room",
                   f"The journal may grow to {journal_bytes_max // 1024 ** 2} MiB, and"
                   f" {free_bytes // 1024 ** 2} MiB are free: the disk would be full first.",
                   "Make room, or lower [store] journal_bytes_max, so that calls are refused"
                   " before other programs fail.")


def processes_finding(config: Config) -> Finding:
    """Whether what several processes need is there for all of them."""
    if config.server.reuse_port and not config.store.shared:
        return Finding("warn", "processes", "[server] reuse_port is set and [store] shared is not:"
                       " a second process will be refused the store.",
                       "Set shared = true in the file of each process.")
    return Finding("ok", "processes", "Other processes may serve this store. Rates and concurrent"
                   " calls are counted by each of them.")


def unit_finding(root: Path = Path("/")) -> Finding:
    """Whether systemd is here and has a unit for relayd."""
    if not (root / "run/systemd/system").is_dir():
        return Finding("ok", "systemd", "systemd does not run here.")
    known = any((root / folder.lstrip("/") / UNIT_NAME).exists() for folder in _UNIT_FOLDERS)
    if known:
        return Finding("ok", "systemd", f"{UNIT_NAME} is installed.")
    return Finding("warn", "systemd", f"systemd runs here and has no {UNIT_NAME}: nothing restarts"
                   " relayd or confines it.",
                   "Copy config/relayd.service to /etc/systemd/system, then systemctl"
                   " daemon-reload && systemctl enable --now relayd")
