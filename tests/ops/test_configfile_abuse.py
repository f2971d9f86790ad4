"""The table [abuse] of the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.core.abuse import AbuseRules
from relayd.ops.configfile_abuse import read_abuse
from relayd.ops.configfile_fault import Findings
from relayd.ops.configfile_section import Section


def read(**values: Any) -> tuple[AbuseRules, list[str]]:
    findings = Findings()
    rules = read_abuse(Section(values, ("abuse",), findings))
    return rules, [str(fault) for fault in findings.faults]


def test_nothing_said_is_the_defaults() -> None:
    assert read() == (AbuseRules(), [])


def test_values() -> None:
    rules, faults = read(calls_per_hour=0, suspend=["key_sharing", "declines"],
                         disposable_mail="block", failed_percent=100)
    assert faults == []
    assert rules == AbuseRules(calls_per_hour=0, suspend=("key_sharing", "declines"),
                               disposable_mail="block", failed_percent=100)


@pytest.mark.parametrize("values", [
    {"calls_per_hour": -1}, {"failed_percent": 0}, {"failed_percent": 101},
    {"key_networks": 256}, {"disposable_mail": "maybe"}, {"suspend": ["content"]},
    {"suspend": "velocity"}, {"unknown": 1},
])
def test_what_cannot_be(values: dict[str, Any]) -> None:
    assert len(read(**values)[1]) == 1
