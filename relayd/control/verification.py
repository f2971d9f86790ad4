"""Identity verification by a third party: the way there, and what is kept of its verdict.

Law: what a person shows goes to the verifier's own page and never passes here. It is told a sealed
reference and nothing of the account; the store has its verdict, a level, a time and its number,
which is sealed. A message that comes again changes nothing.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import Final
from urllib.parse import urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relayd.control import audit
from relayd.core.actor import SYSTEM
from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.core.verification import Check, checked
from relayd.ops.config import IdentityConfig
from relayd.store import account as store_account
from relayd.store import verification as store_verification
from relayd.store.db import Database
from relayd.store.secret import derived
from relayd.wire.verification import Told

ID_PREFIX: Final = "idc_"
LABEL: Final = "identity references"
REFERENCE_DAYS: Final = 14
"""How long a verifier may take; some verdicts are made by hand."""
RETURN_PAGE: Final = "/settings/identity"
_NONCE_BYTES: Final = 12


async def begin(
    db: Database, config: IdentityConfig, account_id: str, console: str, now_ms: int,
) -> str:
    """The address of the verifier's page for this account. Raises identity_off, account_state."""
    if not config.name:
        raise RelayError("identity_off")
    async with db.reading() as transaction:
        if (await store_account.get(transaction, account_id)).state != "active":
            raise RelayError("account_state")
    query = urlencode({"reference": _reference(db, account_id, now_ms),
                       "return": console + RETURN_PAGE})
    return f"{config.page}{'&' if '?' in config.page else '?'}{query}"


async def hear(db: Database, config: IdentityConfig, told: Told, now_ms: int) -> Check | None:
    """Keep a verdict; None where it is kept already. Raises webhook_unreadable, account_state."""
    answer = checked(config.name, told.answer)
    account_id = _account_of(db, told.reference, now_ms)
    made = Check(ID_PREFIX + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), account_id,
                 config.name, answer, now_ms)
    async with db.writing() as transaction:
        if (await store_account.get(transaction, account_id)).state != "active":
            raise RelayError("account_state")
        for each in await store_verification.listing(transaction, account_id):
            if (each.provider, each.answer) == (config.name, answer):
                return None
        await store_verification.insert(transaction, made)
        await audit.append(transaction, SYSTEM, "identity.check", account_id, now_ms,
                           details={"verdict": answer.verdict, "level": answer.level})
    return made


async def listing(db: Database, account_id: str) -> list[Check]:
    """An account's checks."""
    async with db.reading() as transaction:
        return await store_verification.listing(transaction, account_id)


def _reference(db: Database, account_id: str, now_ms: int) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = f"{now_ms + REFERENCE_DAYS * DAY_MS} {account_id}".encode()
    sealed = nonce + AESGCM(derived(db.secret, LABEL)).encrypt(nonce, plain, None)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def _account_of(db: Database, reference: str, now_ms: int) -> str:
    try:
        sealed = base64.urlsafe_b64decode(reference + "=" * (-len(reference) % 4))
        plain = AESGCM(derived(db.secret, LABEL)).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
    except (binascii.Error, ValueError, InvalidTag):
        raise RelayError("webhook_unreadable") from None
    ends, _, account_id = plain.decode("ascii").partition(" ")
    if int(ends) <= now_ms:
        raise RelayError("webhook_unreadable")
    return account_id
