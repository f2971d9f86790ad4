"""Data keys: wrap them all anew, under a fresh master key; those of pseudonyms come and go.

Law: the new master key is on disk before any data key is under it, and in the old one's place when
all are; a rotation that is cut off anywhere leaves a store that opens. One at a time: each would
take the other's key away. Data keys are in a file of their own, so the audit log cannot change
with them: who sets out is written down before, and where the mark of the master key is another one
than the log knows of, the event is made up for by whoever opens the store next.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Final, NamedTuple, cast

from relayd.control import audit
from relayd.core.actor import SYSTEM, Actor, Role, Via
from relayd.core.timestamp import DAY_MS
from relayd.store import master, meta
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.keyring import Keyring, settle
from relayd.store.secret import SECRET_BYTES
from relayd.wire.identity import epoch_of

PSEUDONYMS: Final = "pseudonyms:"
"""Begins the names of the keys that pseudonyms are derived from, a key an epoch."""
PSEUDONYMS_MS: Final = 35 * DAY_MS
"""For so long after an epoch an operator may still ask whom its pseudonyms stood for."""


class Rotated(NamedTuple):
    """How many data keys are under the new master key, and which file has that."""

    keys: int
    path: Path


def in_place(db: Database) -> bool:
    """Whether the master key is in a file that running processes read again."""
    return db.keyring.master.path is not None


async def rotate(db: Database, actor: Actor, now_ms: int, to: Path | None = None) -> Rotated:
    """Make a master key and let it wrap every data key; the old one opens nothing any more.

    `to` is a new file for the key where it does not come from a file (`in_place`). Raises
    FileExistsError; StoreError `store_busy` where another rotation is under way, or where all is
    done but the wiping of what was before.
    """
    await tell(db, now_ms)
    async with db.writing() as transaction:
        await meta.set_word(transaction, "master_rotator", _written(actor))
    # one call on its thread: whoever is cancelled here stays alone until it is over
    done = await asyncio.to_thread(_rotated, db, to)
    await tell(db, now_ms)
    await asyncio.to_thread(db.keyring.wipe)
    return done


async def tell(db: Database, now_ms: int) -> bool:
    """Let the audit log know of a rotation that it has not heard of; whether there was one."""
    if db.keyring.mark() is None:
        return False
    async with db.reading() as transaction:
        if await meta.word(transaction, "master_mark") == db.keyring.mark():
            return False
    async with db.writing() as transaction:
        known, mark = await meta.word(transaction, "master_mark"), db.keyring.mark()
        if known == mark:
            return False
        if known is not None:
            await audit.append(
                transaction, _read(await meta.word(transaction, "master_rotator")),
                "data_key.rotate", None, now_ms, details={"keys": len(db.keyring.owners())})
        await meta.set_word(transaction, "master_mark", mark)
        await meta.set_word(transaction, "master_rotator", None)
    return known is not None


def _written(actor: Actor) -> str:
    return " ".join((actor.via, actor.account or "-", *sorted(actor.roles)))


def _read(written: str | None) -> Actor:
    """Who set out; nobody knows where a restored copy of the store is older than the rotation."""
    if written is None:
        return SYSTEM
    via, account, *roles = written.split(" ")
    return Actor(None if account == "-" else account, cast("frozenset[Role]", frozenset(roles)),
                 cast(Via, via))


def _rotated(db: Database, to: Path | None) -> Rotated:
    keyring = db.keyring
    with master.alone(db.directory):
        settle(keyring)  # of who was cut off since the store was opened
        key, old = master.new_key(), keyring.master
        path = to if old.path is None else old.path
        assert path is not None
        if old.path is None:
            draft = path
            master.write(path, key, True)
        else:
            draft = old.draft(key)
        try:
            count = keyring.rewrap(key)
        except StoreError:  # nothing was changed
            draft.unlink(missing_ok=True)
            raise
        if old.path is not None:
            old.settle()
    return Rotated(count, path)


def pseudonym_secret(keyring: Keyring, epoch: int) -> bytes:
    """What the pseudonyms of an epoch are derived from, made when it is first asked for.

    Any 32 bytes where the key is destroyed or out of reach: calls go on, under other pseudonyms.
    """
    owner = f"{PSEUDONYMS}{epoch}"
    try:
        keyring.make_now(owner)
        return keyring.derived(owner, PSEUDONYMS)
    except StoreError:
        return secrets.token_bytes(SECRET_BYTES)


async def turn_pseudonyms(db: Database, now_ms: int) -> None:
    """Destroys the keys of epochs long over, and has the next one's ready where they are used."""
    kept = epoch_of(now_ms - PSEUDONYMS_MS)
    owners = await asyncio.to_thread(db.keyring.owners, prefix=PSEUDONYMS)
    epochs = {int(owner.removeprefix(PSEUDONYMS)) for owner in owners}
    if epoch_of(now_ms) in epochs:
        await db.keyring.make(f"{PSEUDONYMS}{epoch_of(now_ms) + 1}")
    for epoch in epochs:
        if epoch < kept:
            await db.keyring.destroy(f"{PSEUDONYMS}{epoch}")
