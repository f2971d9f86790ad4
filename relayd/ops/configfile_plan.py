"""`[plans.NAME]`: what accounts pay, on top of the price file.

Law: amounts and markups are texts or whole numbers, never binary fractions.
"""

from __future__ import annotations

from typing import Final, cast

from relayd.core.money import AMOUNT_MAX, CURRENCY, CURRENCY_DEFAULT, parse_nano
from relayd.core.plan import DEFAULT, MARKUP_ONE, NAME, Period, Plan, parse_markup
from relayd.ops.configfile_section import Section, digits_of

_WORDS: Final = {"price": "fee", "factor": "markup", "multiplier": "markup"}
_PERIODS: Final = ("", "month", "year")


def read_plans(section: Section) -> dict[str, Plan]:
    """Every plan by its name."""
    found = {}
    for name in section.values:
        section.raw(name)
        if not NAME.fullmatch(name):
            section.fault(name, "cannot be a plan's name", "Lower-case letters, digits and dashes")
            continue
        found[name] = _plan(section.table(name), name)
    section.done()
    return found


def _plan(section: Section, name: str) -> Plan:
    period = section.choice("period", _PERIODS, "") if section.has("period") else ""
    plan = Plan(
        name=name,
        markup=_markup(section, "markup"),
        models=_models(section.table("models")),
        title=section.text("title", "") or "",
        title_zh=section.text("title_zh", "") or "",
        period=cast(Period, period) if period else None,
        fee_nano=_amount(section, "fee"),
        allowance_nano=_amount(section, "allowance"),
        currency=_currency(section),
        offered=section.boolean("offered", False),
    )
    if plan.period is None:
        for key in ("fee", "allowance", "offered"):
            if section.has(key):
                section.fault(key, "needs a plan with a period", 'Add `period = "month"`')
    elif name == DEFAULT:
        section.fault("period",
                      "is not allowed: this plan is for all accounts without another one")
    section.done(_WORDS)
    return plan


def _markup(section: Section, key: str) -> int:
    value = section.raw(key)
    if value is None:
        return MARKUP_ONE
    found = parse_markup(digits_of(value))
    if found is None:
        section.fault(key, "is not a markup",
                      'A text such as "1.25", or a whole number; at most 1000')
        return MARKUP_ONE
    return found


def _models(section: Section) -> dict[str, int]:
    found = {name: _markup(section, name) for name in section.values}
    section.done()
    return found


def _amount(section: Section, key: str) -> int:
    value = section.raw(key)
    if value is None:
        return 0
    nano = parse_nano(digits_of(value))
    if nano is None or nano > AMOUNT_MAX:
        section.fault(key, "is not an amount", 'A text such as "20.50", or a whole number')
        return 0
    return nano


def _currency(section: Section) -> str:
    value = section.text("currency", CURRENCY_DEFAULT) or CURRENCY_DEFAULT
    if not CURRENCY.fullmatch(value):
        section.fault("currency", "is not a currency", "Three capital letters, such as USD")
        return CURRENCY_DEFAULT
    return value
