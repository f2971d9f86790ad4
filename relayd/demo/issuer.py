"""A fapiao issuer of the demo: issues at once, in valid XML, what is worth nothing.

Law: its numbers come from the application alone, so asking twice gives the same file; the drawer
and the first digits say that it is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from relayd.control.issuer import IssuedFile
from relayd.core.fapiao import Fapiao
from relayd.core.issued import wanted
from relayd.core.timestamp import rfc3339
from relayd.wire.fapiao import write_xml

PREFIX: Final = "00"
"""No year begins so: the platform gives no such number."""
DIGITS: Final = 18


def number_of(made: Fapiao) -> str:
    """20 digits that are this application's alone."""
    digest = hashlib.sha256(made.id.encode()).digest()
    return PREFIX + f"{int.from_bytes(digest[:8], 'big') % 10 ** DIGITS:0{DIGITS}d}"


class DemoIssuer:
    """Issues whatever it is handed."""

    async def issue(
        self, made: Fapiao, seller: Mapping[str, str], blue: Fapiao | None, now_ms: int,
    ) -> list[IssuedFile]:
        """The XML, at once."""
        says = wanted(made, seller, blue)._replace(
            number=number_of(made), issued_on=rfc3339(now_ms)[:10])
        return [IssuedFile("xml", write_xml(says, (("*演示*不是发票", ""),)))]
