"""Standing: why an account was suspended or terminated, in closed words.

Law: no account is suspended or terminated without one of these reasons, and its holder is told
it in the same transaction. What somebody writes about it is never part of the notice.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from relayd.core.errors import RelayError

Reason = Literal["abuse", "security", "payment", "terms", "law", "minor", "other"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)


WORDS: Final[dict[Reason, dict[str, str]]] = {
    "abuse": {"en": "its use looked like abuse of this service", "zh": "使用情况疑似滥用本服务"},
    "security": {"en": "somebody else may be using it", "zh": "可能有他人正在使用该账户"},
    "payment": {"en": "a payment is open, or was taken back", "zh": "有款项未结清或已被撤回"},
    "terms": {"en": "the terms of this service were not kept", "zh": "违反了本服务的条款"},
    "law": {"en": "the law asks for it", "zh": "法律要求"},
    "minor": {"en": "its holder seems to be too young for this service",
              "zh": "账户持有人可能未达到使用本服务的年龄"},
    "other": {"en": "the operator decided so; ask for the grounds",
              "zh": "运营者作出的决定，可询问理由"},
}
REFUND: Final[dict[str, str]] = {
    "en": "What was paid and not used goes back to where it came from, unless the law forbids it.",
    "zh": "已支付而未使用的余额将原路退回，法律禁止的除外。",
}


def check_reason(text: str) -> Reason:
    """The reason of this name. Raises RelayError `invalid_value`."""
    for reason in REASONS:
        if reason == text:
            return reason
    raise RelayError("invalid_value", param="reason")
