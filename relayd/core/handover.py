"""The handover: the business goes to somebody else, and its accounts' data with it.

Law: nobody's data is bundled before its owner was told who takes it, and had time to object or to
leave. Who objected, and who is erased or about to be, is not in the bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.account import AccountState
from relayd.core.errors import RelayError
from relayd.core.notice import TRANSFER_DAYS_MIN
from relayd.core.timestamp import DAY_MS

WINDOW_MS_MIN: Final = TRANSFER_DAYS_MIN * DAY_MS
WINDOW_DAYS_DEFAULT: Final = 30
HandoverState = Literal["announced", "cancelled", "bundled"]
STATES: Final[tuple[HandoverState, ...]] = ("announced", "cancelled", "bundled")
HandoverMove = Literal["cancel", "bundle"]
MOVES: Final[dict[tuple[HandoverState, HandoverMove], HandoverState]] = {
    ("announced", "cancel"): "cancelled",
    ("announced", "bundle"): "bundled",
}
GOES_ALONG: Final[frozenset[AccountState]] = frozenset({"active", "suspended"})
"""The states of accounts that are handed over."""


@dataclass(frozen=True, slots=True)
class Handover:
    """One handover: who takes over, and until when an owner may object."""

    id: str
    notice: str
    state: HandoverState
    recipient: str
    contact: str
    new_purposes: bool
    announced_at_ms: int
    window_ends_ms: int
    bundled_at_ms: int | None = None
    accounts: int | None = None
    bundle_sha256: str | None = None


def advance(state: HandoverState, move: HandoverMove) -> HandoverState:
    """The state after a move. Raises RelayError `handover_state` where the table has no row."""
    try:
        return MOVES[state, move]
    except KeyError:
        raise RelayError("handover_state", param="handover") from None


def judge_bundle(handover: Handover, now_ms: int, unsent: int) -> None:
    """Raises `handover_early` while the window is open, or notices of it are not sent."""
    advance(handover.state, "bundle")
    if now_ms < handover.window_ends_ms or unsent:
        raise RelayError("handover_early", param="handover")
