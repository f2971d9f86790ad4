"""Subscriptions: their states, and when a fee that could not be paid is asked for again.

Law: states move by the table alone. A fee is paid from the balance; where that is short the
allowance of the new period is not given, the fee is asked for again on the days below, and after
the last of them the subscription ends. Calls go on by the plan's markup until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS

DUNNING_DAYS: Final = (1, 3, 7, 14)
"""Days after a period's start on which its fee is asked for again."""
REMINDER_MS: Final = 7 * DAY_MS
"""How long before a renewal its holder is told of it."""

SubscriptionState = Literal["active", "ending", "past_due", "ended"]
SubscriptionMove = Literal["renew", "cancel", "keep", "schedule", "fail", "pay", "end"]
SUBSCRIPTION_MOVES: Final[
    dict[tuple[SubscriptionState, SubscriptionMove], SubscriptionState]] = {
    ("active", "renew"): "active",
    ("active", "cancel"): "ending",
    ("ending", "keep"): "active",
    ("ending", "cancel"): "ending",
    ("active", "keep"): "active",
    ("active", "schedule"): "active",
    ("active", "fail"): "past_due",
    ("past_due", "fail"): "past_due",
    ("past_due", "pay"): "active",
    ("past_due", "cancel"): "ended",
    ("past_due", "end"): "ended",
    ("ending", "end"): "ended",
    ("active", "end"): "ended",
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """An account's subscription. `plan` and `version` name immutable terms; `next_plan`: what
    follows at the end of the period, None: the same plan as it stands then. `tries` counts
    failures to pay the present period's fee, `due_at_ms` is when something is to be done next.
    """

    account: str
    plan: str
    version: str
    state: SubscriptionState
    anchor_day: int
    start_ms: int
    end_ms: int
    due_at_ms: int
    tries: int = 0
    reminded: bool = False
    next_plan: str | None = None


def advance(state: SubscriptionState, move: SubscriptionMove) -> SubscriptionState:
    """The state after a move. Raises RelayError `subscription_state` where there is no row."""
    try:
        return SUBSCRIPTION_MOVES[state, move]
    except KeyError:
        raise RelayError("subscription_state") from None


def next_try_ms(start_ms: int, tries: int, now_ms: int) -> int | None:
    """When the fee is asked for after so many failures; None: no more. A day from now where that
    is over, as after weeks in which nothing ran: its holder has time to pay."""
    if tries > len(DUNNING_DAYS):
        return None
    at_ms = start_ms + DUNNING_DAYS[tries - 1] * DAY_MS
    return at_ms if at_ms > now_ms else now_ms + DAY_MS
