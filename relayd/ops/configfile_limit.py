"""`[limits]` of a configuration: defaults per account, and limits of accounts with a model.

Law: 0 is no limit; a budget is an amount in decimal digits, never a binary fraction.
"""

from __future__ import annotations

import re
from typing import Final

from relayd.core.limit import BUDGET_MAX, BUDGETS, LIMIT_MAX, Limits
from relayd.core.money import parse_nano
from relayd.ops.config import LimitsConfig
from relayd.ops.configfile_section import Section, digits_of, kind_of

MODELS_MAX: Final = 1_000
_MODEL: Final = re.compile(r"[A-Za-z0-9*._:/@+~-]{1,256}")
_ALIASES: Final = {
    "rpm": "requests_per_minute", "tpm": "tokens_per_minute", "concurrency": "concurrent",
    "budget_day": "daily_budget", "budget_month": "monthly_budget", "budget": "monthly_budget",
    "model": "models",
}


def read_limits(section: Section) -> LimitsConfig:
    """The whole section; a value with a fault is no limit."""
    limits = _limits(section)
    table = section.table("models")
    if len(table.values) > MODELS_MAX:
        section.fault("models", f"has more than {MODELS_MAX} items")
    models = {}
    for name in table.values:
        line = table.table(name)
        if not _MODEL.fullmatch(name):
            table.fault(name, "is not a model name or a pattern",
                        "Letters, digits and ._:/@+~- ; * stands for any text")
        models[name] = _limits(line)
        line.done(_ALIASES)
    section.done(_ALIASES)
    return LimitsConfig(*limits, models=models)


def _limits(section: Section) -> Limits:
    return Limits(*(
        _amount(section, name) if name in BUDGETS else section.integer(name, 0, 0, LIMIT_MAX)
        for name in Limits._fields))


def _amount(section: Section, name: str) -> int:
    """An amount as nano-units: a whole number, or a text such as "2.50"."""
    value = section.raw(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | str):
        section.fault(name, f"is {kind_of(value)}", 'It takes an amount such as 20 or "2.50"')
        return 0
    nano = parse_nano(digits_of(value))
    if nano is None or nano > BUDGET_MAX:
        section.fault(name, "is not an amount",
                      'Write decimal digits such as 20 or "2.50", with at most 9 decimals')
        return 0
    return nano
