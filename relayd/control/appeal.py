"""An appeal: what the holder of a suspended or terminated account says to a person.

Law: the mailed notice's link is used up by it; what it says is a ticket of the class `appeal`.
"""

from __future__ import annotations

from relayd.control import mail_token, ticket
from relayd.control.ticket import Writing
from relayd.core.account import Language
from relayd.core.ticket import Ticket
from relayd.store.db import Database


async def send(
    db: Database, token: str, text: str, language: Language, now_ms: int
) -> Ticket:
    """Open the ticket, also for who has many: whoever cannot sign in could not close one. Raises
    `token_not_usable` or `invalid_value`."""
    async with db.writing() as transaction:
        used = await mail_token.use(transaction, token, "appeal", now_ms)
        return await ticket.put(transaction, Writing(
            "appeal", f"Appeal: {used.value}", text, account=used.account, language=language),
            now_ms, bounded=False)
