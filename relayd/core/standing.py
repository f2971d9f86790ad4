"""Standing: why an account was suspended or terminated, in closed words.

Law: no account is suspended or terminated without one of these reasons, and its holder is told
it in the same transaction. What somebody writes about it is never part of the notice.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from relayd.core.errors import RelayError

Reason = Literal["abuse", "security", "payment", "terms", "law", "minor", "other"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


def check_reason(text: str) -> Reason:
    """The reason of this name. Raises RelayError `invalid_value`."""
    for reason in REASONS:
        if reason == text:
            return reason
    raise RelayError("invalid_value", param="reason")
