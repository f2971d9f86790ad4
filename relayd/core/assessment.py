"""The self-assessment: six things that must not go unseen, judged once a week.

Law: what is kept of one is a subject, a level and a number of closed tables; sentences are made of
them when somebody reads. Pure: what is known comes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.timestamp import DAY_MS

Subject = Literal["audit", "certificate", "master_key", "retention", "canary", "dependencies"]
Level = Literal["ok", "warn", "fail"]

EVERY_MS: Final = 7 * DAY_MS
OVERDUE_MS: Final = EVERY_MS + DAY_MS
KEPT: Final = 60
"""Assessments that stay: more than a year of them."""
CERTIFICATE_DAYS: Final = 21
MASTER_KEY_DAYS: Final = 730
RETENTION_DAYS: Final = 1
CANARY_DAYS: Final = 31
DEPENDENCIES_DAYS: Final = 180

_WORDS: Final[dict[tuple[Subject, Level], str]] = {
    ("audit", "ok"): "The audit log is sound.",
    ("audit", "fail"): "The audit log is not sound from event {figure} on: relayd audit verify.",
    ("certificate", "ok"): "The certificate is valid for {figure} more days.",
    ("certificate", "warn"): "The certificate is valid for {figure} more days: renew it.",
    ("certificate", "fail"): "The certificate is over, or cannot be read: renew it.",
    ("master_key", "ok"): "The master key is in use for {figure} days.",
    ("master_key", "warn"): "The master key is in use for {figure} days: relayd store rotate-key.",
    ("retention", "ok"): "All categories were looked through within a day.",
    ("retention", "warn"): "A category was not looked through for {figure} days: relayd retention"
                           " --sweep.",
    ("canary", "ok"): "The last canary report is {figure} days old.",
    ("canary", "warn"): "The last canary report is missing or older than a month: relayd"
                        " audit-canary.",
    ("canary", "fail"): "The last canary report has findings: relayd audit-canary.",
    ("dependencies", "ok"): "The dependencies were chosen {figure} days ago.",
    ("dependencies", "warn"): "The dependencies were chosen {figure} days ago: install a newer"
                              " relayd, or upgrade them.",
}


@dataclass(frozen=True, slots=True)
class Known:
    """What was looked at. None: there is none; `certificate_days` -1: it cannot be read."""

    broken_event: int | None = None
    certificate_days: int | None = None
    master_key_days: int | None = None
    retention_days: int | None = None
    canary_days: int | None = None
    canary_clean: bool = True
    dependencies_days: int | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """One subject's level; `figure`: days, or the number of an event."""

    subject: Subject
    level: Level
    figure: int | None = None

    @property
    def sentence(self) -> str:
        """The same for people."""
        return _WORDS[self.subject, self.level].format(figure=self.figure)


@dataclass(frozen=True, slots=True)
class Assessment:
    """One self-assessment, as it is kept."""

    at_ms: int
    judged: tuple[Judged, ...]

    @property
    def findings(self) -> list[Judged]:
        """What is not as it should be."""
        return [each for each in self.judged if each.level != "ok"]

    @property
    def alarms(self) -> list[Judged]:
        """Those that somebody is to be woken for: a report that there never was is missed by
        every new installation, and is no change for the worse."""
        return [each for each in self.findings if each != NEVER_PROVED]


NEVER_PROVED: Final = Judged("canary", "warn")
"""There is no canary report."""


def is_due(last_ms: int | None, now_ms: int) -> bool:
    """Whether the next one is to be made; also where the last is of a clock that was ahead."""
    return last_ms is None or not last_ms <= now_ms < last_ms + EVERY_MS


def judge(known: Known) -> tuple[Judged, ...]:
    """Every subject that there is something to say of."""
    found = [Judged("audit", "fail" if known.broken_event is not None else "ok",
                    known.broken_event)]
    if known.certificate_days is not None:
        days = known.certificate_days
        found.append(Judged("certificate", "fail" if days < 0 else
                            "warn" if days < CERTIFICATE_DAYS else "ok", days))
    if known.master_key_days is not None:
        found.append(_older("master_key", known.master_key_days, MASTER_KEY_DAYS))
    if known.retention_days is not None:
        found.append(_older("retention", known.retention_days, RETENTION_DAYS))
    if not known.canary_clean:
        found.append(Judged("canary", "fail", known.canary_days))
    elif known.canary_days is None:
        found.append(NEVER_PROVED)
    else:
        found.append(_older("canary", known.canary_days, CANARY_DAYS))
    if known.dependencies_days is not None:
        found.append(_older("dependencies", known.dependencies_days, DEPENDENCIES_DAYS))
    return tuple(found)


def _older(subject: Subject, days: int, most: int) -> Judged:
    return Judged(subject, "warn" if days > most else "ok", days)


def days_since(moments_ms: Sequence[int], now_ms: int) -> int | None:
    """Whole days since the oldest of some moments; None without any."""
    return max(0, now_ms - min(moments_ms)) // DAY_MS if moments_ms else None
