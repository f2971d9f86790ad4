"""API keys: create, list, change, rotate, revoke.

Law: a key's text leaves here once, in `Issued`, and is nowhere else. Every change bumps the
policy version in its own transaction. `who` is an account's id or e-mail address; `ref` is a key's
id, or its text, so that a key found lying about can be revoked.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from typing import Final

from relayd.control import audit, consent
from relayd.core.account import check_label
from relayd.core.actor import SHELL, Actor
from relayd.core.errors import RelayError
from relayd.core.key import (
    APP_CHARS_MAX, MODEL_CHARS_MAX, MODELS_MAX, NAME_CHARS_MAX, RANDOM_BYTES, ApiKey, advance,
    digest, hint, looks_valid, mint,
)
from relayd.core.timestamp import rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES as ID_BYTES
from relayd.core.ulid import ulid
from relayd.store import account as store_account
from relayd.store import key as store_key
from relayd.store import limit as store_limit
from relayd.store.db import Database
from relayd.store.meta import bump_policy_version
from relayd.store.secret import pepper
from relayd.store.transaction import BATCH_ROWS, Transaction

ID_PREFIX: Final = "key_"
KEYS_MAX: Final = 1000
"""Keys of one account that are not revoked."""
ENDED_SHOWN: Final = 200
"""Revoked keys that are listed to their holder, the newest: there may be any number of them."""


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a new key shall be. `models` None allows every route; an entry may hold `*`."""

    name: str = field(repr=False)
    app: str | None = field(default=None, repr=False)
    models: tuple[str, ...] | None = None
    expires_at_ms: int | None = None

    def checked(self) -> KeyWish:
        """The same with clean texts. Raises RelayError `invalid_value`."""
        models = self.models
        if models is not None:
            if not 0 < len(models) <= MODELS_MAX:
                raise RelayError("invalid_value", param="models")
            models = tuple(check_label(model, "models", MODEL_CHARS_MAX) for model in models)
        app = None if self.app is None else check_label(self.app, "app", APP_CHARS_MAX)
        return KeyWish(check_label(self.name, "name", NAME_CHARS_MAX), app, models,
                       self.expires_at_ms)


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key and its text, which is shown once."""

    key: ApiKey
    text: str = field(repr=False)


async def _issue(
    db: Database, transaction: Transaction, account_id: str, wish: KeyWish, now_ms: int,
    replaces: str | None = None,
) -> Issued:
    text = mint(secrets.token_bytes(RANDOM_BYTES))
    key = ApiKey(
        id=ID_PREFIX + ulid(now_ms, secrets.token_bytes(ID_BYTES)),
        account=account_id, name=wish.name, hint=hint(text), app=wish.app, models=wish.models,
        state="active", created_at_ms=now_ms, expires_at_ms=wish.expires_at_ms, replaces=replaces,
    )
    await store_key.insert(transaction, key, digest(pepper(db.secret), text.encode("ascii")))
    return Issued(key, text)


async def create(
    db: Database, who: str, wish: KeyWish, now_ms: int, actor: Actor = SHELL,
) -> Issued:
    """A new key of an account. Raises `account_not_found`, `account_state`, `invalid_value` or
    `too_many_keys`; for a holder who has not agreed to what is in force `consent_missing`."""
    wish = wish.checked()
    async with db.writing() as transaction:
        account = await store_account.get(transaction, who)
        if account.state == "erased":
            raise RelayError("account_state", param="account")
        if actor.via in ("console", "api") and not actor.roles:
            await consent.check_keys(transaction, account.id, now_ms)
        if await store_key.count(transaction, account.id) >= KEYS_MAX:
            raise RelayError("too_many_keys")
        issued = await _issue(db, transaction, account.id, wish, now_ms)
        await audit.append(transaction, actor, "key.create", account.id, now_ms,
                           details={"key": issued.key.id})
        await bump_policy_version(transaction)
    return issued


async def each(db: Database, who: str | None = None) -> AsyncIterator[ApiKey]:
    """All keys, or those of one account, oldest first, revoked ones included; read a page at a
    time, so that nobody waits."""
    account_id, after = None, ""
    if who is not None:
        async with db.reading() as transaction:
            account_id = (await store_account.known(transaction, who)).id
    while True:
        async with db.reading() as transaction:
            page = await store_key.page(transaction, account_id, after, BATCH_ROWS)
        for one in page:
            yield one
        if len(page) < BATCH_ROWS:
            return
        after = page[-1].id


async def listing(db: Database, who: str | None = None) -> list[ApiKey]:
    """The same, at once."""
    return [one async for one in each(db, who)]


async def names(db: Database, ids: Collection[str]) -> dict[str, str]:
    """The names of those of these keys that there are, by id."""
    async with db.reading() as transaction:
        return await store_key.names(transaction, ids)


async def shown(db: Database, account_id: str) -> list[ApiKey]:
    """What lists of an account's keys show: those that are not revoked, and the newest of those
    that are, oldest first."""
    async with db.reading() as transaction:
        return await store_key.shown(transaction, account_id, ENDED_SHOWN)


async def some(db: Database, account_id: str, ids: Collection[str]) -> list[ApiKey]:
    """Those of these keys that are the account's."""
    async with db.reading() as transaction:
        return await store_key.some(transaction, account_id, ids)


async def count_working(db: Database, account_id: str, now_ms: int) -> int:
    """How many keys of an account work now."""
    async with db.reading() as transaction:
        return await store_key.count_working(transaction, account_id, now_ms)


async def owned(db: Database, account_id: str, key_id: str) -> ApiKey:
    """The account's key with this id; another's is `key_not_found` as well."""
    async with db.reading() as transaction:
        found = await store_key.find(transaction, key_id)
    if found is None or found.account != account_id:
        raise RelayError("key_not_found", param="key")
    return found


async def change(
    db: Database, ref: str, wish: KeyWish, now_ms: int, actor: Actor = SHELL,
) -> ApiKey:
    """Give a key another name, label, models or expiry.

    Raises `key_not_found`, `key_state` for a revoked key, `invalid_value`.
    """
    wish = wish.checked()
    async with db.writing() as transaction:
        old = await find(db, transaction, ref)
        if old.state != "active":
            raise RelayError("key_state", param="key")
        changed = replace(old, name=wish.name, app=wish.app, models=wish.models,
                          expires_at_ms=wish.expires_at_ms)
        await store_key.update(transaction, changed)
        await audit.append(transaction, actor, "key.change", old.account, now_ms,
                           details={"key": old.id})
        await bump_policy_version(transaction)
    return changed


async def find(db: Database, transaction: Transaction, ref: str) -> ApiKey:
    """The key that `ref` names; raises `key_not_found`."""
    ref = ref.strip()
    if looks_valid(ref):
        hashed = digest(pepper(db.secret), ref.encode("ascii"))
        found = await store_key.find_by_digest(transaction, hashed)
    else:
        found = await store_key.find(transaction, ref)
    if found is None:
        raise RelayError("key_not_found", param="key")
    return found


async def rotate(
    db: Database, ref: str, grace_ms: int, now_ms: int, actor: Actor = SHELL,
) -> Issued:
    """A new key with the same rights and limits; the old one works for `grace_ms`, then expires.

    Without grace the old key is revoked at once. Raises `key_not_found`, `key_state` where the key
    is revoked or has expired, as the new one would have, or `too_many_keys`: with grace there is
    one more.
    """
    async with db.writing() as transaction:
        old = await find(db, transaction, ref)
        if state_shown(old, now_ms) != "active":
            raise RelayError("key_state", param="key")
        if grace_ms > 0 and await store_key.count(transaction, old.account) >= KEYS_MAX:
            raise RelayError("too_many_keys")
        wish = KeyWish(old.name, old.app, old.models, old.expires_at_ms)
        issued = await _issue(db, transaction, old.account, wish, now_ms, replaces=old.id)
        limits = await store_limit.get(transaction, "key", old.id)
        await store_limit.put(transaction, "key", issued.key.id, limits)
        await store_key.end(transaction, _ended(old, grace_ms, now_ms))
        await audit.append(transaction, actor, "key.rotate", old.account, now_ms,
                           details={"key": issued.key.id, "old": old.id, "grace_ms": grace_ms})
        await bump_policy_version(transaction)
    return issued


def _ended(old: ApiKey, grace_ms: int, now_ms: int) -> ApiKey:
    """The old key after its rotation; grace never lengthens its life."""
    if grace_ms <= 0:
        return replace(old, state=advance(old.state, "revoke"))
    end_ms = now_ms + grace_ms
    if old.expires_at_ms is not None:
        end_ms = min(end_ms, old.expires_at_ms)
    return replace(old, expires_at_ms=end_ms)


async def revoke(db: Database, ref: str, now_ms: int, actor: Actor = SHELL) -> ApiKey:
    """End a key. Revoking it again changes nothing."""
    async with db.writing() as transaction:
        old = await find(db, transaction, ref)
        revoked = replace(old, state=advance(old.state, "revoke"))
        await store_key.end(transaction, revoked)
        if revoked.state != old.state:
            await audit.append(transaction, actor, "key.revoke", old.account, now_ms,
                               details={"key": old.id})
        await bump_policy_version(transaction)
    return revoked


def state_shown(key: ApiKey, now_ms: int) -> str:
    """`active`, `revoked` or `expired`."""
    if key.state == "active" and key.expires_at_ms is not None and key.expires_at_ms <= now_ms:
        return "expired"
    return key.state


def view(key: ApiKey, now_ms: int) -> dict[str, object]:
    """The key as JSON shows it in lists: without its text, which nobody has."""
    return {
        "id": key.id,
        "account": key.account,
        "name": key.name,
        "hint": key.hint,
        "app": key.app,
        "models": None if key.models is None else list(key.models),
        "state": state_shown(key, now_ms),
        "created_at": rfc3339(key.created_at_ms),
        "expires_at": rfc3339_or_none(key.expires_at_ms),
        "replaces": key.replaces,
    }
