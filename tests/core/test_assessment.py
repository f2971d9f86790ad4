"""The self-assessment: what is judged how, and that all of it can be said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.assessment import (
    _WORDS, EVERY_MS, Assessment, Judged, Known, days_since, is_due, judge,
)
from relayd.core.timestamp import DAY_MS

FINE = Known(None, 90, 10, 0, 3, dependencies_days=30)


def levels(known: Known) -> dict[str, str]:
    return {each.subject: each.level for each in judge(known)}


def test_all_is_well() -> None:
    assert set(levels(FINE).values()) == {"ok"} and len(judge(FINE)) == 6
    assert Assessment(1, judge(FINE)).findings == []


@pytest.mark.parametrize(("change", "subject", "level"), [
    ({"broken_event": 7}, "audit", "fail"), ({"certificate_days": 20}, "certificate", "warn"),
    ({"certificate_days": -1}, "certificate", "fail"),
    ({"master_key_days": 731}, "master_key", "warn"), ({"retention_days": 2}, "retention", "warn"),
    ({"canary_days": 32}, "canary", "warn"), ({"canary_days": None}, "canary", "warn"),
    ({"canary_clean": False}, "canary", "fail"),
    ({"dependencies_days": 181}, "dependencies", "warn"),
])
def test_each_finding(change: dict[str, int | None], subject: str, level: str) -> None:
    [found] = Assessment(1, judge(replace(FINE, **change))).findings  # type: ignore[arg-type]
    assert (found.subject, found.level) == (subject, level)


def test_who_never_had_a_report_is_not_woken_for_it() -> None:
    judged = judge(replace(FINE, canary_days=None, broken_event=7))
    made = Assessment(1, judged)
    assert [each.subject for each in made.findings] == ["audit", "canary"]
    assert [each.subject for each in made.alarms] == ["audit"]
    old = Assessment(1, judge(replace(FINE, canary_days=32)))
    assert old.alarms == old.findings != []


def test_what_there_is_none_of_is_left_out() -> None:
    assert set(levels(Known())) == {"audit", "canary"}


def test_everything_can_be_said() -> None:
    for subject, level in _WORDS:
        sentence = Judged(subject, level, 5).sentence
        assert sentence.endswith(".") and "{" not in sentence


def test_once_a_week() -> None:
    assert is_due(None, 5) and not is_due(5, 4 + EVERY_MS) and is_due(5, 5 + EVERY_MS)
    assert is_due(5, 4) and not is_due(5, 5)
    assert days_since([], 5) is None
    assert days_since([3 * DAY_MS, DAY_MS], 4 * DAY_MS - 1) == 2
