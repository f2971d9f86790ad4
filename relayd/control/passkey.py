"""Passkeys: add, sign in with, list, remove. The checks are those of the library `webauthn`.

Law: an authenticator must have verified its user, so that a passkey is two factors by itself. A
challenge is answered once. What is added or removed is told to the owner by mail.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson
from cryptography.exceptions import UnsupportedAlgorithm

from relayd.control import audit, mail, session, sign_in
from relayd.control.door import Caller, Door, new_id
from relayd.control.session import Opened
from relayd.core.account import Account, check_label
from relayd.core.errors import RelayError
from relayd.core.network import address_of
from relayd.core.passkey import (
    CHALLENGE_MS, CREDENTIAL_BYTES_MAX, NAME_CHARS_MAX, PASSKEYS_MAX, RANDOM_BYTES, Passkey,
    challenge, fresh,
)
from relayd.core.session import Session
from relayd.core.timestamp import rfc3339, rfc3339_or_none
from relayd.ops.late import Late, ready
from relayd.store import account as store_account
from relayd.store import passkey as store_passkey
from relayd.store.db import Database
from relayd.store.secret import derived
from relayd.store.transaction import Transaction

if TYPE_CHECKING:
    import webauthn
    from webauthn.helpers import exceptions, structs
else:
    webauthn = Late("webauthn")
    exceptions = Late("webauthn.helpers.exceptions")
    structs = Late("webauthn.helpers.structs")

ID_PREFIX: Final = "pk_"
CHALLENGE_LABEL: Final = "passkey challenges"
RELAY_NAME: Final = "relayd"
LOCAL: Final = "localhost"
_SIGN_IN: Final = "sign in"
Answer = Mapping[str, Any]


def _unfit() -> tuple[type[Exception], ...]:
    """What the library raises for an answer that is not well-formed, or not right."""
    return (exceptions.WebAuthnException, UnsupportedAlgorithm, ValueError, LookupError, TypeError,
            AttributeError, RecursionError)


def _adding(account_id: str) -> str:
    return f"add {account_id}"


def _challenge(door: Door, purpose: str, now_ms: int) -> bytes:
    key = derived(door.db.secret, CHALLENGE_LABEL)
    return challenge(key, purpose, secrets.token_bytes(RANDOM_BYTES), now_ms)


def _site(door: Door) -> tuple[str, list[str]]:
    """The relying party's id, which is the console's host, and the origins that may ask.

    A site is known by a name, never by an address: a console of this machine is `localhost`.
    """
    parts = urlsplit(door.origin)
    host = parts.hostname or LOCAL
    if address_of(host) is None:
        return host, [door.origin]
    port = f":{parts.port}" if parts.port else ""
    return LOCAL, [door.origin, f"{parts.scheme}://{LOCAL}{port}"]


async def options_to_add(door: Door, account: Account, now_ms: int) -> dict[str, Any]:
    """What the browser needs to make a passkey (PublicKeyCredentialCreationOptions)."""
    known = await listing(door.db, account.id)
    if len(known) >= PASSKEYS_MAX:
        raise RelayError("account_state", param="passkey")
    await ready(webauthn)
    options = webauthn.generate_registration_options(
        rp_id=_site(door)[0], rp_name=RELAY_NAME, user_id=account.id.encode("ascii"),
        user_name=account.username or account.email or account.id,
        challenge=_challenge(door, _adding(account.id), now_ms), timeout=CHALLENGE_MS,
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            # signing in names nobody: what the authenticator does not keep is never found there
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED),
        exclude_credentials=[
            structs.PublicKeyCredentialDescriptor(id=each.credential) for each in known])
    return dict(orjson.loads(webauthn.options_to_json(options)))


async def add(
    door: Door, account_id: str, name: str, answer: Answer, by: tuple[Caller, int]
) -> Passkey:
    """Keep the passkey that a browser made. Raises `passkey_refused` or `invalid_value`."""
    caller, now_ms = by
    name = check_label(name, "name", NAME_CHARS_MAX)
    host, origins = _site(door)
    await ready(webauthn)
    try:
        given = _answered(door, _adding(account_id), answer, now_ms)
        found = webauthn.verify_registration_response(
            credential=dict(answer), expected_challenge=given, expected_rp_id=host,
            expected_origin=origins, require_user_verification=True)
    except _unfit():
        raise RelayError("passkey_refused") from None
    if len(found.credential_id) > CREDENTIAL_BYTES_MAX:
        raise RelayError("passkey_refused")
    passkey = Passkey(new_id(ID_PREFIX, now_ms), account_id, found.credential_id,
                      found.credential_public_key, name, found.sign_count, now_ms)
    async with door.db.writing() as transaction:
        await _once(transaction, given, now_ms)
        if await store_passkey.find(transaction, passkey.credential) is not None:
            raise RelayError("passkey_refused")
        if len(await store_passkey.listing(transaction, account_id)) >= PASSKEYS_MAX:
            raise RelayError("account_state", param="passkey")
        await store_passkey.insert(transaction, passkey)
        await _told(door, transaction, account_id, "passkey.add", by)
    return passkey


async def options_to_sign_in(door: Door, now_ms: int) -> dict[str, Any]:
    """What the browser needs to sign in with any passkey of this site."""
    await ready(webauthn)
    options = webauthn.generate_authentication_options(
        rp_id=_site(door)[0], challenge=_challenge(door, _SIGN_IN, now_ms), timeout=CHALLENGE_MS,
        user_verification=structs.UserVerificationRequirement.REQUIRED)
    return dict(orjson.loads(webauthn.options_to_json(options)))


async def sign_in_with(door: Door, answer: Answer, caller: Caller, now_ms: int) -> Opened:
    """A session by a passkey; it has two factors. Raises `passkey_refused`."""
    passkey, signed = await _verified(door, answer, now_ms)
    async with door.db.writing() as transaction:
        await _used(transaction, passkey, signed, now_ms)
        account = await store_account.get(transaction, passkey.account)
        if account.state in ("unverified", "erased"):
            raise RelayError("passkey_refused")
        opened = await session.start(
            transaction, account.id, "passkey", caller, now_ms, two_factors=True)
        await sign_in.complete(door, transaction, opened.session, caller, now_ms)
    return opened


async def prove(
    door: Door, current: Session, answer: Answer, now_ms: int
) -> Opened:
    """Say once more who is there, by a passkey of the same account. Raises `passkey_refused`."""
    passkey, signed = await _verified(door, answer, now_ms)
    if passkey.account != current.account:
        raise RelayError("passkey_refused")
    async with door.db.writing() as transaction:
        await _used(transaction, passkey, signed, now_ms)
        return await session.renew(
            transaction, current, now_ms, stage="open", two_factors=True)


async def _verified(
    door: Door, answer: Answer, now_ms: int
) -> tuple[Passkey, tuple[bytes, int]]:
    """The passkey that signed a challenge of ours; the challenge, and the new count."""
    await ready(webauthn)
    try:
        given = _answered(door, _SIGN_IN, answer, now_ms)
        credential = webauthn.base64url_to_bytes(answer["rawId"])
    except _unfit():
        raise RelayError("passkey_refused") from None
    async with door.db.reading() as transaction:
        passkey = await store_passkey.find(transaction, credential)
    if passkey is None:
        raise RelayError("passkey_refused")
    host, origins = _site(door)
    try:
        found = webauthn.verify_authentication_response(
            credential=dict(answer), expected_challenge=given, expected_rp_id=host,
            expected_origin=origins, credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count, require_user_verification=True)
    except _unfit():
        raise RelayError("passkey_refused") from None
    return passkey, (given, found.new_sign_count)


async def _used(
    transaction: Transaction, passkey: Passkey, signed: tuple[bytes, int], now_ms: int
) -> None:
    given, sign_count = signed
    await _once(transaction, given, now_ms)
    if not await store_passkey.used(transaction, passkey.id, sign_count, now_ms):
        raise RelayError("passkey_refused")


def _answered(door: Door, purpose: str, answer: Answer, now_ms: int) -> bytes:
    """The challenge that was answered, if it is ours and fresh. Raises what `_unfit` has."""
    data = webauthn.helpers.parse_client_data_json(
        webauthn.base64url_to_bytes(answer["response"]["clientDataJSON"]))
    if not fresh(derived(door.db.secret, CHALLENGE_LABEL), purpose, data.challenge, now_ms):
        raise ValueError("challenge")
    return data.challenge


async def _once(transaction: Transaction, given: bytes, now_ms: int) -> None:
    if not await store_passkey.answer(transaction, hashlib.sha256(given).digest(), now_ms):
        raise RelayError("passkey_refused")


async def listing(db: Database, account_id: str) -> list[Passkey]:
    """An account's passkeys, oldest first."""
    async with db.reading() as transaction:
        return await store_passkey.listing(transaction, account_id)


async def remove(
    door: Door, account_id: str, passkey_id: str, by: tuple[Caller, int]
) -> None:
    """Delete a passkey. Raises `factor_not_found`."""
    async with door.db.writing() as transaction:
        if not await store_passkey.delete(transaction, account_id, passkey_id):
            raise RelayError("factor_not_found", param="passkey")
        await _told(door, transaction, account_id, "passkey.remove", by)


async def _told(
    door: Door, transaction: Transaction, account_id: str, action: str, by: tuple[Caller, int]
) -> None:
    caller, now_ms = by
    await audit.append(transaction, caller.actor(account_id), action, account_id, now_ms)
    await mail.post(transaction, "second_factor_changed", account_id, {
        "at": rfc3339(now_ms), "change": action, "link": door.link("/settings/factors")}, now_ms)


def view(passkey: Passkey) -> dict[str, object]:
    """The passkey as JSON shows it to its owner."""
    return {
        "id": passkey.id, "name": passkey.name, "created_at": rfc3339(passkey.created_at_ms),
        "used_at": rfc3339_or_none(passkey.used_at_ms),
    }
