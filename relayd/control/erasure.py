"""Erasure: ask for it, think again, carry it out, prove it.

Law: from the moment it is asked for no key and no session of the account works. What it does to
which table is in store/erasure.py; after it the account's data key is gone, so that no older copy
opens, and the files hold nothing of the person outside the legal vault. It is the same for whoever
asks: the holder, an operator for them, a report of a minor, years of silence.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import msgspec

from relayd.control import account as control_account
from relayd.control import audit, mail, vault
from relayd.core.account import Account, AccountState
from relayd.core.actor import SYSTEM, Actor
from relayd.core.erasure import (
    COOLING_MS, GOES, STAYS, Cause, Certificate, Erasure, Kept, advance, due_at_ms, signed_bytes,
)
from relayd.core.errors import RelayError
from relayd.core.retention import BY_NAME, Terms
from relayd.core.session import digest
from relayd.core.timestamp import rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.core.vault import Item, VaultKind
from relayd.store import account as store_account
from relayd.store import backup
from relayd.store import erasure as store_erasure
from relayd.store import holder as store_holder
from relayd.store import session as store_session
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.meta import bump_policy_version
from relayd.store.signing import Signer, valid
from relayd.store.transaction import Transaction

CANCEL_PATH: Final = "/privacy/erasure/cancel"
CERTIFICATE_PATH: Final = "/privacy/certificate"
SECRET_BYTES: Final = 32

Link = Callable[[str, str], str]
"""A link into the console, of a path and a token."""
_VAULT_PARTS: Final[dict[str, tuple[VaultKind, ...]]] = {
    "orders": ("order", "dispute"), "invoices": ("invoice",), "consents": ("consent",)}


@dataclass(frozen=True, slots=True)
class Summary:
    """What an erasure would do: rows that go, by part, and what stays, why and until when."""

    goes: dict[str, int]
    stays: tuple[Kept, ...]


class Wish(NamedTuple):
    """An erasure that is asked for. `at_once`: without a cooling-off."""

    cause: Cause = "holder"
    at_once: bool = False
    reason: str | None = None


class Signed(msgspec.Struct, frozen=True):
    """A certificate with its signature (Ed25519), both keys and signature in hex."""

    certificate: Certificate
    public_key: str
    signature: str


def linked(origin: str) -> Link:
    """Links into the console at this origin."""
    def link(path: str, token: str) -> str:
        return origin + path + (f"?token={token}" if token else "")

    return link


def _unlinked(path: str, token: str) -> str:
    return path


@dataclass(frozen=True, slots=True)
class Means:
    """What carrying an erasure out needs besides the store."""

    signer: Signer
    terms: Terms
    link: Link = _unlinked


async def summary(db: Database, who: str, terms: Terms, now_ms: int) -> Summary:
    """What would go and what would have to stay, were the account erased now."""
    async with db.reading() as transaction:
        account = await store_account.known(transaction, who)
        counts = await store_erasure.counts(transaction, account.id)
    goes = {part.name: counts.get(part.name, 1) for part in GOES if counts.get(part.name, 1)}
    return Summary(goes, _stays(counts, {}, terms, now_ms))


def _stays(
    counts: dict[str, int], items: dict[VaultKind, list[Item]], terms: Terms, now_ms: int,
) -> tuple[Kept, ...]:
    found = []
    for part in STAYS:
        assert part.until is not None
        copied = [item for kind in _VAULT_PARTS.get(part.name, ()) for item in items.get(kind, ())]
        # the erasure's own row is there at the end, with its certificate
        rows = len(copied) or max(counts.get(part.name, 0), int(part.name == "erasures"))
        ends = [item.until_ms for item in copied] or [now_ms + terms.ms(part.until)]
        if rows:
            found.append(Kept(part.name, rows, rfc3339(max(ends)), BY_NAME[part.until].basis))
    return tuple(found)


async def ask(
    db: Database, actor: Actor, who: str, wish: Wish, now_ms: int, link: Link = _unlinked,
) -> Erasure:
    """An account is to be erased: nothing of it works from now on, and its owner gets a mail.

    Raises `erasure_state` where one is under way, `account_state` for an erased account.
    """
    token = secrets.token_urlsafe(SECRET_BYTES)
    async with db.writing() as transaction:
        account = await store_account.known(transaction, who)
        if await store_erasure.find_cooling(transaction, account.id):
            raise RelayError("erasure_state")
        if account.state == "erased":
            raise RelayError("account_state", param="account")
        erasure = Erasure(
            id="era_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), account=account.id,
            cause=wish.cause, state="cooling", asked_at_ms=now_ms,
            due_at_ms=due_at_ms(wish.cause, now_ms, at_once=wish.at_once), was=account.state)
        await store_erasure.insert(transaction, erasure, digest(token))
        await _close(transaction, account, now_ms)
        await audit.append(transaction, actor, "account.close", account.id, now_ms,
                           reason=wish.reason, details={"cause": wish.cause})
        if account.email is not None and erasure.due_at_ms > now_ms:
            await mail.post(transaction, "erasure_asked", account.id, {
                "ends": rfc3339(erasure.due_at_ms)[:10], "link": link(CANCEL_PATH, token)}, now_ms)
    return erasure


async def _close(transaction: Transaction, account: Account, now_ms: int) -> None:
    if account.state in ("active", "suspended"):
        await store_account.set_state(
            transaction, replace(account, state="closing", state_since_ms=now_ms))
    await store_session.delete_all(transaction, account.id)
    await bump_policy_version(transaction)


async def begin_dormant(db: Database, who: str, now_ms: int, link: Link = _unlinked) -> bool:
    """Begin to erase an account that nobody has used for long; False where something is owed, and
    for one that is erased by now."""
    async with db.reading() as transaction:
        if await store_erasure.owed(transaction, who):
            return False
    try:
        await ask(db, SYSTEM, who, Wish("dormant"), now_ms, link)
    except RelayError as error:
        if error.code not in ("erasure_state", "account_state"):
            raise
        return error.code == "erasure_state"  # it is under way, maybe by another process
    return True


async def waiting(db: Database, account: str) -> Erasure | None:
    """The erasure that an account waits for."""
    async with db.reading() as transaction:
        return await store_erasure.find_cooling(transaction, account)


async def by_link(db: Database, token: str) -> Erasure:
    """The erasure that a mailed link would call off. Raises `erasure_not_found`."""
    async with db.reading() as transaction:
        return await store_erasure.find_by_digest(transaction, "cancel_digest", digest(token))


async def cancel(
    db: Database, actor: Actor, erasure: Erasure, now_ms: int, link: Link = _unlinked,
) -> Account:
    """The account is to stay; it is in the state again in which it was.

    Raises `erasure_state` once it is carried out or called off.
    """
    async with db.writing() as transaction:
        found = await store_erasure.find_cooling(transaction, erasure.account)
        if found is None or found.id != erasure.id:
            raise RelayError("erasure_state")
        ended = replace(found, state=advance(found.state, "cancel"), ended_at_ms=now_ms)
        await store_erasure.end(transaction, ended, None)
        account = await store_account.known(transaction, erasure.account)
        if account.state == "closing":
            was: AccountState = "suspended" if found.was == "suspended" else "active"
            account = replace(account, state=was, state_since_ms=now_ms)
            await store_account.set_state(transaction, account)
        # else who has had every reminder would be reminded no more
        await store_holder.seen(transaction, account.id, now_ms)
        await bump_policy_version(transaction)
        await audit.append(transaction, actor, "account.keep", account.id, now_ms)
        if account.email is not None:
            await mail.post(transaction, "erasure_cancelled", account.id,
                            {"link": link("/sign-in", "")}, now_ms)
    return account


async def due(db: Database, now_ms: int, most: int) -> list[Erasure]:
    """Erasures whose cooling-off is over."""
    async with db.reading() as transaction:
        return await store_erasure.due(transaction, now_ms, most)


async def erase(db: Database, means: Means, erasure: Erasure, now_ms: int) -> Signed:
    """Carry an erasure out; returns its certificate, which is mailed before the address goes.

    Raises `erasure_state` where it is not cooling, `store_busy` where a reader keeps the old text
    in the files: then the account is erased, and the next sweep wipes what is left.
    """
    await _empty_labels(db, erasure.account)
    token = secrets.token_urlsafe(SECRET_BYTES)
    async with db.writing() as transaction:
        found = await store_erasure.find_cooling(transaction, erasure.account)
        if found is None or found.id != erasure.id or found.due_at_ms > now_ms:
            raise RelayError("erasure_state")
        account = await store_account.known(transaction, found.account)
        counts = await store_erasure.counts(transaction, account.id)
        items = await vault.store(transaction, account.id, means.terms, now_ms)
        stays = _stays(counts, items, means.terms, now_ms)
        signed = _certificate(means.signer, found, counts, stays, now_ms)
        await store_erasure.remove(transaction, account.id)
        if account.email is not None:
            await mail.post(transaction, "erasure_done", None, _fields(
                signed, means.link(CERTIFICATE_PATH, token)), now_ms,
                to=mail.To(account.email, account.language))
        await control_account.empty(transaction, account, now_ms)
        ended = replace(found, state=advance(found.state, "erase"), ended_at_ms=now_ms,
                        certificate=msgspec.json.encode(signed).decode())
        await store_erasure.end(transaction, ended, digest(token))
        await audit.append(transaction, SYSTEM, "account.erase", account.id, now_ms,
                           details={"cause": found.cause, "erasure": found.id})
        await bump_policy_version(transaction)
    # calls that were stored meanwhile; from now on none is stored with a label
    await _empty_labels(db, found.account, now_ms - COOLING_MS)
    await _forget(db, found.account)
    if not await db.checkpoint():
        raise StoreError("store_busy")
    return signed


async def at_once(
    db: Database, means: Means, actor: Actor, who: str, now_ms: int, cause: Cause = "operator",
) -> Signed | None:
    """Ask for an erasure and carry it out, without a cooling-off.

    One that is cooling is carried out instead. An account that is erased already is only wiped
    once more where that was held up; then there is no certificate.
    """
    async with db.reading() as transaction:
        account = await store_account.known(transaction, who)
    if account.state == "erased":
        await finish(db)
        return None
    found = await waiting(db, account.id)
    if found is None:
        found = await ask(db, actor, account.id, Wish(cause, at_once=True), now_ms)
    elif found.due_at_ms > now_ms:
        found = await hasten(db, found, now_ms)
    return await erase(db, means, found, now_ms)


async def hasten(db: Database, erasure: Erasure, now_ms: int) -> Erasure:
    """End the cooling-off of an erasure."""
    async with db.writing() as transaction:
        await store_erasure.hasten(transaction, erasure.id, now_ms)
    return replace(erasure, due_at_ms=now_ms)


async def finish(db: Database) -> int:
    """Destroy the keys of erased accounts that a crash left, and wipe the files; returns how many
    keys that were. Raises `store_busy` where a reader is in the way."""
    # on a thread: there may be 100,000 of them
    owners = await asyncio.to_thread(db.keyring.owners, prefix=control_account.ID_PREFIX)
    async with db.reading() as transaction:
        left = await store_erasure.erased_of(transaction, owners)
    for account in left:
        await _empty_labels(db, account)
        await _forget(db, account)
    if not await db.checkpoint():
        raise StoreError("store_busy")
    return len(left)


async def _forget(db: Database, account: str) -> None:
    """Destroy an account's key, and the copies that need none to be read.

    The copies first: where a crash comes in between, the key that is left says that they are.
    """
    try:
        backup.remove_unsealed(db.directory, account)
    finally:
        await db.keyring.destroy(account)


async def _empty_labels(db: Database, account: str, since_ms: int = 0) -> None:
    """Application labels of calls, hour by hour: an account may have millions of calls."""
    async with db.reading() as transaction:
        hours = await store_erasure.hours(transaction, account)
    for hour_ms in (hour_ms for hour_ms in hours if hour_ms >= since_ms):
        async with db.writing() as transaction:
            await store_erasure.empty_labels(transaction, account, hour_ms)
        await db.checkpoint_if_large()


def _certificate(
    signer: Signer, erasure: Erasure, counts: dict[str, int], stays: tuple[Kept, ...], now_ms: int,
) -> Signed:
    certificate = Certificate(
        erasure=erasure.id, account=erasure.account, cause=erasure.cause,
        asked_at=rfc3339(erasure.asked_at_ms), erased_at=rfc3339(now_ms),
        erased={part.name: counts[part.name] for part in GOES if counts.get(part.name)},
        kept=stays)
    signature = signer.sign(signed_bytes(certificate))
    return Signed(certificate, signer.public.hex(), signature.hex())


def _fields(signed: Signed, link: str) -> dict[str, str]:
    kept = "/".join(f"{each.part} {each.until[:10]}" for each in signed.certificate.kept)
    return {"certificate": msgspec.json.encode(signed).decode(), "kept": kept or "-", "link": link}


def verify(text: str | bytes, public: bytes) -> Certificate:
    """The certificate in a signed text. Raises `invalid_value` where it is not this store's."""
    try:
        signed = msgspec.json.decode(text, type=Signed, strict=True)
        signature = bytes.fromhex(signed.signature)
    except ValueError:  # msgspec's errors are ValueErrors
        raise RelayError("invalid_value", param="certificate") from None
    if not valid(public, signed_bytes(signed.certificate), signature):
        raise RelayError("invalid_value", param="certificate")
    return signed.certificate


async def certificate(db: Database, token: str) -> str:
    """The signed certificate that a mailed link fetches. Raises `erasure_not_found`."""
    async with db.reading() as transaction:
        found = await store_erasure.find_by_digest(transaction, "fetch_digest", digest(token))
    if found.certificate is None:
        raise RelayError("erasure_not_found")
    return found.certificate


async def listing(db: Database, account: str) -> list[Erasure]:
    """Every erasure of an account that was asked for, the newest first."""
    async with db.reading() as transaction:
        return await store_erasure.listing(transaction, account)


async def last(db: Database, who: str) -> Erasure | None:
    """An account's last erasure, for operators."""
    async with db.reading() as transaction:
        account = await store_account.known(transaction, who)
        return await store_erasure.last(transaction, account.id)


def view(erasure: Erasure) -> dict[str, object]:
    """The erasure as JSON shows it."""
    return {
        "id": erasure.id, "account": erasure.account, "cause": erasure.cause,
        "state": erasure.state, "asked_at": rfc3339(erasure.asked_at_ms),
        "due_at": rfc3339(erasure.due_at_ms),
        "ended_at": rfc3339_or_none(erasure.ended_at_ms),
    }
