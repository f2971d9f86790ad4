"""Plans: what accounts pay. A markup on the book's prices, and for a subscription a fee and what
use it includes.

Law: an amount is price x markup, rounded once. A plan that somebody subscribed to never changes:
what the configuration says next is another version of it, which counts from the next period on.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from relayd.core.money import CURRENCY_DEFAULT
from relayd.core.price import PriceBook, amount, matches
from relayd.core.record import CallRecord
from relayd.core.usage import billed

MARKUP_ONE: Final = 1_000_000
"""A markup is a whole number of millionths: this one leaves prices as they are."""
MARKUP_MAX: Final = 1000 * MARKUP_ONE
DEFAULT: Final = "default"
"""The plan of who has no other, where the configuration has one of this name."""
Period = Literal["month", "year"]
_MARKUP: Final = re.compile(r"([0-9]{1,4})(?:\.([0-9]{1,6}))?", re.ASCII)
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")


def parse_markup(text: str) -> int | None:
    """Millionths of a decimal text such as `1.25`; None where it is anything else."""
    match = _MARKUP.fullmatch(text)
    if match is None:
        return None
    found = int(match[1]) * MARKUP_ONE + int((match[2] or "").ljust(6, "0"))
    return found if found <= MARKUP_MAX else None


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan. `models` are markups by name or pattern instead of `markup`; the longest pattern
    that matches counts, a name before any.

    With a `period` it is a subscription: `fee_nano` is paid at the start of each period, and
    `allowance_nano` of use is included in it. `offered`: holders may choose it themselves.
    """

    name: str
    markup: int = MARKUP_ONE
    models: Mapping[str, int] = field(default_factory=dict)
    title: str = ""
    title_zh: str = ""
    period: Period | None = None
    fee_nano: int = 0
    allowance_nano: int = 0
    currency: str = CURRENCY_DEFAULT
    offered: bool = False

    def of(self, model: str) -> int:
        """The markup of a model."""
        if not self.models:
            return self.markup
        exact = self.models.get(model)
        if exact is not None:
            return exact
        found = [pattern for pattern in self.models if "*" in pattern and matches(pattern, model)]
        return self.models[max(found, key=lambda p: (len(p), p))] if found else self.markup

    @property
    def version(self) -> str:
        """Twelve characters that no other terms of a plan have."""
        return hashlib.sha256(self.document()).hexdigest()[:12]

    def document(self) -> bytes:
        """The plan's terms as JSON, always in the same form."""
        terms = {"name": self.name, "markup": self.markup, "models": dict(self.models),
                 "title": self.title, "title_zh": self.title_zh, "period": self.period,
                 "fee_nano": self.fee_nano, "allowance_nano": self.allowance_nano,
                 "currency": self.currency}
        return json.dumps(terms, sort_keys=True, ensure_ascii=False).encode("utf-8")


def from_document(document: bytes) -> Plan:
    """A plan from `document()`."""
    return Plan(**json.loads(document))


NO_PLAN: Final = Plan(DEFAULT)
"""The terms of who has no plan: the book's prices."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What calls cost whom: the book, the plans, and which account has which.

    Accounts that are not in `of_account` have the default plan.
    """

    book: PriceBook
    plans: Mapping[str, Plan] = field(default_factory=dict)
    of_account: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.book)

    def plan(self, account: str) -> Plan:
        """An account's plan. One that the configuration has no more counts as the default."""
        plans = self.plans
        if not plans:
            return NO_PLAN
        return (plans.get(self.of_account.get(account, DEFAULT)) or plans.get(DEFAULT, NO_PLAN))

    def markup(self, account: str, model: str | None) -> int:
        """The markup of a call, by the name that was asked for."""
        return self.plan(account).of(model or "") if self.plans else MARKUP_ONE

    def rated(self, record: CallRecord) -> CallRecord:
        """The record with its amount and currency; the same one where it has an amount already.

        0 stays 0 where the call is not billed (core/usage.py) or has no price.
        """
        if record.amount_nano:
            return record
        nano, currency = self.charge(record)
        if currency is None:
            return record
        return msgspec.structs.replace(record, amount_nano=nano, currency=currency)

    def charge(self, record: CallRecord) -> tuple[int, str | None]:
        """What a record without an amount costs, and in which currency; None: it has no price,
        or is not billed (core/usage.py)."""
        if not billed(record.outcome, record.usage_source):
            return 0, None
        price = self.book.price_of(record)
        if price is None:
            return 0, None
        markup = self.markup(record.account, record.model) if self.plans else MARKUP_ONE
        return amount(record, price, markup), price.currency


def marked_up(nano: int, markup: int) -> int:
    """A bound's amount with a markup, rounded up."""
    return -(-nano * markup // MARKUP_ONE)


def period_end(start_ms: int, anchor_day: int, period: Period) -> int:
    """When a period that starts then ends: the same day of the next month or year, at that time
    of day (UTC); the month's last day where it has no such day. `anchor_day` is 1 to 31."""
    start = datetime.fromtimestamp(start_ms // 1000, UTC)
    months = start.year * 12 + start.month - 1 + (1 if period == "month" else 12)
    year, month = divmod(months, 12)
    day = min(anchor_day, calendar.monthrange(year, month + 1)[1])
    end = start.replace(year=year, month=month + 1, day=day)
    return int(end.timestamp()) * 1000 + start_ms % 1000


def unused(fee_nano: int, start_ms: int, end_ms: int, now_ms: int) -> int:
    """What of a period's fee is for the time that is left of it, rounded down."""
    left = min(max(end_ms - now_ms, 0), end_ms - start_ms)
    return fee_nano * left // (end_ms - start_ms)


def kept(old: Plan, new: Plan, left_nano: int) -> int:
    """What of an allowance that is left goes on where one plan follows another within a period:
    nothing of one that a fee paid for, which comes back instead."""
    return 0 if old.fee_nano or old.currency != new.currency else left_nano


def unspent(fee_nano: int, allowance_nano: int, left_nano: int) -> int:
    """What of a period's fee is for the allowance that is left of it, rounded down; where there is
    no allowance all of it."""
    if not allowance_nano:
        return fee_nano
    return fee_nano * min(left_nano, allowance_nano) // allowance_nano
