"""People who are signed in."""

from __future__ import annotations

from dataclasses import dataclass

from relayd.console import cookie
from relayd.control import account, session
from relayd.control.door import Caller
from relayd.core.actor import Role
from relayd.store import role as store_role
from relayd.store.db import Database

BROWSER = Caller("192.0.2.1", "Firefox on Linux")


@dataclass(frozen=True)
class Person:
    """An account and the token of an open session of it."""

    account: str
    email: str
    token: str

    @property
    def bearer(self) -> dict[str, str]:
        """The header with which a program shows the session."""
        return {"Authorization": f"Bearer {self.token}"}

    @property
    def cookies(self) -> dict[str, str]:
        """What a browser of theirs sends."""
        return {cookie.SESSION.name: self.token}


async def person(
    db: Database, now_ms: int, *roles: Role, name: str = "", two_factors: bool = False,
) -> Person:
    """A new account that is signed in, with these roles."""
    email = f"{name or 'p' + str(len(await account.listing(db)))}@example.org"
    made = await account.create(db, email, None, now_ms)
    async with db.writing() as transaction:
        for role in roles:
            await store_role.give(transaction, made.id, role, None, now_ms)
        opened = await session.start(
            transaction, made.id, "password", BROWSER, now_ms, two_factors=two_factors)
    return Person(made.id, email, opened.token)
