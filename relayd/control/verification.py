"""Identity verification by a third party: the port that an adapter fills, and what is kept.

Law: no adapter comes with relayd, so that it is off. What a person shows goes to the adapter and
nowhere else: the store has a verdict, a level, a time and the provider's number, sealed.
"""

from __future__ import annotations

import secrets
from typing import Final, Protocol

from relayd.control import audit
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.core.verification import Answer, Check, checked
from relayd.store import account as store_account
from relayd.store import verification as store_verification
from relayd.store.db import Database

ID_PREFIX: Final = "idc_"


class IdentityProvider(Protocol):
    """A company that verifies identities; it is in the register of third parties."""

    @property
    def name(self) -> str:
        """A short word."""

    async def check(self, shown: bytes) -> Answer:
        """Says what it makes of what a person shows; keeps `shown` from everybody else."""


async def verify(
    db: Database, provider: IdentityProvider, actor: Actor, who: str, shown: bytes, now_ms: int,
) -> Check:
    """Have an account's identity checked, and keep the verdict. Raises account_state."""
    async with db.reading() as transaction:
        owner = await store_account.get(transaction, who)
    if owner.state != "active":
        raise RelayError("account_state")
    answer = checked(provider.name, await provider.check(shown))
    made = Check(ID_PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), owner.id,
                 provider.name, answer, now_ms)
    async with db.writing() as transaction:
        await store_verification.insert(transaction, made)
        await audit.append(transaction, actor, "identity.check", owner.id, now_ms,
                           details={"verdict": answer.verdict, "level": answer.level})
    return made


async def listing(db: Database, account_id: str) -> list[Check]:
    """An account's checks."""
    async with db.reading() as transaction:
        return await store_verification.listing(transaction, account_id)
