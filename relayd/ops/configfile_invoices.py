"""`[invoices]`: the tax of invoices, and how fapiao are issued.

Law: a rate is a text of decimal digits, never a binary fraction; nothing of tax is guessed.
"""

from __future__ import annotations

import re
from typing import Final, cast

from relayd.ops.config import Config
from relayd.ops.config_invoices import FAPIAO_WAYS, FapiaoWay, InvoicesConfig
from relayd.ops.configfile_section import Section, digits_of

_RATE: Final = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,2}))?", re.ASCII)
_CATEGORY: Final = re.compile(r"[0-9]{19}", re.ASCII)
_WORDS: Final = {"rate": "vat_rate", "tax": "vat_rate", "inclusive": "vat"}


def read_invoices(section: Section) -> InvoicesConfig:
    """The whole table."""
    default = InvoicesConfig()
    config = InvoicesConfig(
        vat_rate=_rate(section),
        vat_inclusive=section.choice(
            "vat", ("inclusive", "exclusive"), "inclusive") == "inclusive",
        fapiao=cast(FapiaoWay, section.choice("fapiao", FAPIAO_WAYS, default.fapiao)),
        fapiao_days=section.integer("fapiao_days", default.fapiao_days, 1, 1830),
        item=section.text("item", default.item) or default.item,
        category=_category(section),
        close_hours=section.integer("close_hours", default.close_hours, 0, 672))
    section.done(_WORDS)
    return config


def judge_invoices(root: Section, config: Config) -> None:
    """Invoices name the seller, also those that nobody was there to issue."""
    lacking = config.operator.lacking()
    if config.invoices.close_hours and lacking:
        root.fault("operator", f"lacks {', '.join(lacking)}, and [invoices] close_hours is set",
                   "Every invoice names who sells")


def _rate(section: Section) -> int:
    value = section.raw("vat_rate")
    if value is None:
        return InvoicesConfig().vat_rate
    match = _RATE.fullmatch(digits_of(value))
    if match is None:
        section.fault("vat_rate", "is not a rate", 'Percent, as a text such as "6" or "0.5"')
        return 0
    return int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))


def _category(section: Section) -> str:
    text = section.text("category", "") or ""
    if text and not _CATEGORY.fullmatch(text):
        section.fault("category", "is not a tax category",
                      "Write 19 digits, as the tax platform has them")
        return ""
    return text
