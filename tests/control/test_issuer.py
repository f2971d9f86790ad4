"""Who issues by hand has no file at once."""

from __future__ import annotations

from relayd.control.issuer import ByHand, Issuer
from tests.core.test_fapiao import blue


async def test_by_hand() -> None:
    issuer: Issuer = ByHand()
    assert await issuer.issue(blue(100, 600), {}, None, 0) == []
