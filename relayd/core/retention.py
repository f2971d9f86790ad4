"""Retention: how long each kind of data stays, on what basis, and what then becomes of it.

Law: one table. The configuration may choose a term, and never one below the floor: a floor is what
a law asks for, or what a use case needs to work at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from relayd.core.timestamp import DAY_MS, HOUR_MS, MINUTE_MS

Unit = Literal["minutes", "hours", "days"]
UNIT_MS: Final[dict[Unit, int]] = {"minutes": MINUTE_MS, "hours": HOUR_MS, "days": DAY_MS}
SIX_MONTHS_DAYS: Final = 184
"""Six calendar months are at most so many days."""
THREE_YEARS_DAYS: Final = 1096
FIVE_YEARS_DAYS: Final = 1827
TEN_YEARS_DAYS: Final = 3653
THIRTY_YEARS_DAYS: Final = 10_958
DAYS_MAX: Final = 36_500

Action = Literal["wipe", "delete", "fold", "destroy_key", "anonymise", "prune"]
ACTIONS: Final[dict[Action, str]] = {
    "wipe": "never stored; memory is given up when the call ends",
    "delete": "rows are deleted and overwritten",
    "fold": "rows are deleted, the hours' sums stay",
    "destroy_key": "the key of their month is destroyed, then the rows are deleted",
    "anonymise": "what leads to the person is taken away, the figures stay",
    "prune": "rows go behind a signed checkpoint",
}


class Category(NamedTuple):
    """One row: `default` and `floor` are counted in `unit`, from what `since` names."""

    name: str
    option: str | None
    """The key under `[retention]`; None where nothing can be chosen."""
    default: int
    floor: int
    unit: Unit
    since: str
    action: Action
    basis: str

    @property
    def most(self) -> int:
        """The longest term that can be chosen."""
        return DAYS_MAX * UNIT_MS["days"] // UNIT_MS[self.unit]


_NECESSARY: Final = "as long as the purpose needs (PIPL art. 19)"
_LOGS: Final = "network logs of six months (Cybersecurity Law art. 23(3))"
_TRADE: Final = "records of transactions of three years (E-commerce Law art. 31)"
_EVIDENCE: Final = "proof of what was agreed, for the period of limitation (Civil Code art. 188)"

CATEGORIES: Final[tuple[Category, ...]] = (
    Category("content", None, 0, 0, "days", "never stored", "wipe",
             "no prompt and no answer is kept (Generative AI Measures art. 11)"),
    Category("registrations", None, 24, 24, "hours", "a registration that is not verified",
             "delete", _NECESSARY),
    Category("mail_links", None, 30, 30, "minutes", "their making", "delete", _NECESSARY),
    Category("sessions", None, 30, 30, "days", "sign-in, or a day without use", "delete",
             _NECESSARY),
    Category("sign_ins", "sign_in_days", 190, SIX_MONTHS_DAYS, "days", "sign-in", "delete", _LOGS),
    Category("network_records", "network_records_days", 190, SIX_MONTHS_DAYS, "days",
             "the connection", "destroy_key", _LOGS),
    Category("call_records", "call_records_days", 190, SIX_MONTHS_DAYS, "days", "the call", "fold",
             _LOGS),
    Category("totals", None, 0, 0, "days", "the call records' end, once the account is erased",
             "anonymise", "sums that lead to nobody (PIPL art. 4)"),
    Category("letters", "letter_days", 190, 1, "days", "sending", "delete", _NECESSARY),
    Category("tickets", "ticket_days", 180, 1, "days", "closing", "delete", _NECESSARY),
    Category("orders", "order_days", THREE_YEARS_DAYS, THREE_YEARS_DAYS, "days", "completion",
             "anonymise", _TRADE),
    Category("invoices", "invoice_days", THIRTY_YEARS_DAYS, TEN_YEARS_DAYS, "days", "issue",
             "destroy_key", "accounting archives (Accounting Archives Measures, annex)"),
    Category("consents", "consent_days", THREE_YEARS_DAYS, THREE_YEARS_DAYS, "days",
             "the account's end", "delete", _EVIDENCE),
    Category("erasures", "erasure_days", THREE_YEARS_DAYS, THREE_YEARS_DAYS, "days", "erasure",
             "delete", _EVIDENCE),
    Category("legal_requests", "legal_request_days", FIVE_YEARS_DAYS, THREE_YEARS_DAYS, "days",
             "their end", "delete", "records of what was handed out (PIPL art. 56)"),
    Category("audit", "audit_days", THREE_YEARS_DAYS, SIX_MONTHS_DAYS, "days", "the event",
             "prune", "records of access to personal data (PIPL art. 51, 54)"),
    Category("backups", "backup_days", 35, 1, "days", "their making", "delete", _NECESSARY),
)
BY_NAME: Final[Mapping[str, Category]] = {each.name: each for each in CATEGORIES}
CHOICES: Final = tuple(each for each in CATEGORIES if each.option is not None)
"""The categories whose term can be chosen."""


class Terms(NamedTuple):
    """The terms in force: `chosen` counts a category's unit, and has only what was chosen."""

    chosen: Mapping[str, int] = {}

    def value(self, name: str) -> int:
        """The term of a category in its own unit."""
        return self.chosen.get(name, BY_NAME[name].default)

    def ms(self, name: str) -> int:
        """The same in milliseconds."""
        return self.value(name) * UNIT_MS[BY_NAME[name].unit]

    def before_ms(self, name: str, now_ms: int) -> int:
        """What began before this moment is kept no longer."""
        return max(0, now_ms - self.ms(name))


def problem(category: Category, value: int) -> str:
    """Why a term cannot be chosen; an empty text where it can."""
    if value < category.floor:
        return (f"is below the floor of {category.floor} {category.unit}: {category.basis}")
    if value > category.most:
        return f"is above {category.most} {category.unit}"
    return ""


def year_of(unix_ms: int) -> int:
    """The calendar year (UTC) of a moment."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=unix_ms)).year


def year_end_ms(year: int) -> int:
    """The first moment after a calendar year (UTC)."""
    end = datetime(year + 1, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return end // timedelta(milliseconds=1)
