"""What the holder of a suspended or terminated account sees above every page: why, and the way to
appeal; below it what stands there for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relayd.console import notice
from relayd.console.frame import Banner
from relayd.console.visit import Visit
from relayd.core.standing import WORDS, check_reason

APPEAL_PAGE: Final = "/privacy/tickets"
TOLD: Final = ("suspended", "terminated")


async def banners(visit: Visit) -> Sequence[Banner]:
    """All of them, one's own first."""
    found = await notice.banners(visit)
    if visit.who is None or visit.who.account.state not in TOLD:
        return found
    account = visit.who.account
    words = WORDS[check_reason(account.reason or "other")][visit.language]
    text = visit.t(f"auth.standing_{account.state}", reason=words)
    return [Banner("bad", text, APPEAL_PAGE, visit.t("auth.appeal")), *found]
