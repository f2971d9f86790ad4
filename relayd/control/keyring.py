"""Data keys: wrap them all anew, under a fresh master key.

Law: the new master key is on disk before any data key is under it, and in the old one's place when
all are; a rotation that is cut off anywhere leaves a store that opens. One at a time: each would
take the other's key away.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from relayd.control import audit
from relayd.core.actor import Actor
from relayd.store import master
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.keyring import settle


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
    # one call on its thread: whoever is cancelled here stays alone until it is over
    done = await asyncio.to_thread(_rotated, db, to)
    async with db.writing() as transaction:
        await audit.append(transaction, actor, "data_key.rotate", None, now_ms,
                           details={"keys": done.keys})
    await asyncio.to_thread(db.keyring.wipe)
    return done


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
