"""`[limits]`: numbers, amounts, and lines for models."""

from __future__ import annotations

import pytest

from relayd.core.limit import BUDGET_MAX, Limits
from relayd.core.money import NANO
from relayd.ops.config import LimitsConfig
from relayd.ops.configfile import examine_text


def read(text: str) -> LimitsConfig:
    config = examine_text(text, environ={}).config
    assert config is not None
    return config.limits


def test_nothing_is_no_limit() -> None:
    assert read("") == read("[limits]\nconcurrent = 0\ndaily_budget = 0") == LimitsConfig()


def test_limits_are_enforced_so_nothing_warns() -> None:
    reading = examine_text("[limits]\nconcurrent = 3", environ={})
    assert [w.key for w in reading.warnings] == ["providers", "routes"]


def test_all_of_it() -> None:
    assert read("""
[limits]
requests_per_minute = 60
tokens_per_minute = 100000
concurrent = 4
daily_budget = "2.50"
monthly_budget = 40
[limits.models."claude-opus-*"]
requests_per_minute = 5
daily_budget = "0.000000001"
[limits.models.gpt-4o]
concurrent = 1
""") == LimitsConfig(60, 100_000, 4, 2_500_000_000, 40 * NANO, {
        "claude-opus-*": Limits(5, daily_budget=1), "gpt-4o": Limits(concurrent=1)})


@pytest.mark.parametrize(("line", "key"), [
    ("rpm = 1", "limits.rpm"), ("concurrent = -1", "limits.concurrent"),
    ("tokens_per_minute = 1.5", "limits.tokens_per_minute"),
    ("daily_budget = 2.5", "limits.daily_budget"), ("daily_budget = true", "limits.daily_budget"),
    ("daily_budget = -1", "limits.daily_budget"), ("daily_budget = '1e3'", "limits.daily_budget"),
    (f"monthly_budget = {BUDGET_MAX}", "limits.monthly_budget"),
    ("models = 1", "limits.models"), ("models.m = 1", "limits.models.m"),
    ("models.m.rpm = 1", "limits.models.m.rpm"),
    ("models.'a b'.concurrent = 1", 'limits.models."a b"'),
])
def test_faults(line: str, key: str) -> None:
    [fault] = examine_text(f"[limits]\n{line}", environ={}).faults
    assert fault.key == key and fault.line == 2


def test_too_many_models() -> None:
    text = "[limits]\n" + "".join(f"models.m{n}.concurrent = 1\n" for n in range(1_001))
    [fault] = examine_text(text, environ={}).faults
    assert fault.key == "limits.models"
