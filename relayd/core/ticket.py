"""The ticket: what somebody asks or reports, and the clock that its class has.

Law: states move by the table alone. A ticket about personal information or a minor has a day by
which it must be answered; working days are Monday to Friday, in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from relayd.core.account import is_written
from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS

SUBJECT_CHARS_MAX: Final = 200
BODY_CHARS_MAX: Final = 10_000
MESSAGES_MAX: Final = 200
"""Messages of one ticket: longer stories begin a new one."""
OPEN_MAX: Final = 20
"""Tickets of one account that are not closed."""

TicketClass = Literal["question", "billing", "privacy", "minor", "security", "appeal"]
CLASSES: Final[tuple[TicketClass, ...]] = (
    "question", "billing", "privacy", "minor", "security", "appeal")
WITHOUT_ACCOUNT: Final[tuple[TicketClass, ...]] = ("question", "privacy", "minor", "security")
"""What somebody who is not signed in may write about."""
TicketState = Literal["open", "answered", "closed"]
STATES: Final[tuple[TicketState, ...]] = ("open", "answered", "closed")
TicketMove = Literal["answer", "ask", "close"]
MOVES: Final[dict[tuple[TicketState, TicketMove], TicketState]] = {
    ("open", "answer"): "answered",
    ("answered", "answer"): "answered",
    ("open", "ask"): "open",
    ("answered", "ask"): "open",
    ("open", "close"): "closed",
    ("answered", "close"): "closed",
}
"""What is closed stays closed: its days until it is deleted are counted from there."""
Author = Literal["holder", "operator"]

PRIVACY_WORKING_DAYS: Final = 15
MINOR_MS: Final = DAY_MS
"""A report that a child has an account: it is frozen within a day."""
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a ticket."""

    id: str
    author: Author
    written_at_ms: int
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket. `account` None: of somebody who was not signed in, with a `contact`."""

    id: str
    account: str | None
    ticket_class: TicketClass
    state: TicketState
    subject: str = field(repr=False)
    contact: str | None = field(repr=False)
    language: str
    opened_at_ms: int
    due_at_ms: int | None
    first_answer_at_ms: int | None = None
    closed_at_ms: int | None = None

    @property
    def owner(self) -> str:
        """Whose data key seals the texts."""
        return f"ticket:{self.id}" if self.account is None else self.account

    def overdue(self, now_ms: int) -> bool:
        """Whether its clock has run out before anybody answered."""
        waits = self.first_answer_at_ms is None and self.state != "closed"
        return waits and self.due_at_ms is not None and self.due_at_ms < now_ms


def advance(state: TicketState, move: TicketMove) -> TicketState:
    """The state after a move. Raises RelayError `ticket_state` where the table has no row."""
    try:
        return MOVES[state, move]
    except KeyError:
        raise RelayError("ticket_state", param="ticket") from None


def working_days_after(unix_ms: int, days: int) -> int:
    """The end of the n-th working day after the day of this moment."""
    moment = (_EPOCH + timedelta(milliseconds=unix_ms)).replace(
        hour=0, minute=0, second=0, microsecond=0)
    while days:
        moment += _DAY
        days -= moment.weekday() < 5
    return (moment + _DAY - _EPOCH) // timedelta(milliseconds=1)


def due_at_ms(ticket_class: TicketClass, opened_at_ms: int) -> int | None:
    """By when a ticket of this class must be answered; None: no clock."""
    if ticket_class == "minor":
        return opened_at_ms + MINOR_MS
    if ticket_class in ("privacy", "appeal"):
        return working_days_after(opened_at_ms, PRIVACY_WORKING_DAYS)
    return None


def check_text(text: str, param: str, chars_max: int) -> str:
    """A text of several lines: not empty, bounded, no control characters. Raises
    `invalid_value`."""
    text = text.replace("\r\n", "\n").strip()
    plain = text.replace("\n", "").replace("\t", "")
    if not is_written(plain) or len(text) > chars_max:
        raise RelayError("invalid_value", param=param)
    return text
