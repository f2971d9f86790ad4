"""What a holder sees above every page: why the account is suspended or terminated, and the way to
appeal; keys that came in clear; below it what stands there for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from relayd.console import notice
from relayd.console.frame import Banner
from relayd.console.visit import Visit
from relayd.control import exposure
from relayd.core.standing import WORDS, check_reason

APPEAL_PAGE: Final = "/privacy/tickets"
TOLD: Final = ("suspended", "terminated")


async def banners(visit: Visit) -> Sequence[Banner]:
    """All of them, one's own first."""
    found = await notice.banners(visit)
    if visit.who is None or visit.who.session.stage != "open":
        return found
    account = visit.who.account
    exposed = await exposure.usable(visit.db, account.id, visit.now_ms)
    if exposed:
        text = visit.t("auth.key_exposed", keys=", ".join(exposed))
        found = [Banner("bad", text, exposure.KEYS_PAGE, visit.t("auth.key_replace")), *found]
    if account.state not in TOLD:
        return found
    words = WORDS[check_reason(account.reason or "other")][visit.language]
    text = visit.t(f"auth.standing_{account.state}", reason=words)
    return [Banner("bad", text, APPEAL_PAGE, visit.t("auth.appeal")), *found]
