"""Data keys: wrap them all anew, under a fresh master key.

Law: the new master key is on disk before any data key is under it, and in the old one's place when
all are; a rotation that is cut off anywhere leaves a store that opens.
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
    FileExistsError; StoreError `store_busy` where all is done but the wiping of what was before.
    """
    keyring = db.keyring
    key, old = master.new_key(), keyring.master
    path = to if old.path is None else old.path
    assert path is not None
    if old.path is None:
        draft = path
        await asyncio.to_thread(master.write, path, key, True)
    else:
        draft = await asyncio.to_thread(old.draft, key)
    try:
        count = await asyncio.to_thread(keyring.rewrap, key)
    except StoreError:  # nothing was changed; where we are cancelled, it may yet be
        draft.unlink(missing_ok=True)
        raise
    if old.path is not None:
        await asyncio.to_thread(old.settle)
    async with db.writing() as transaction:
        await audit.append(transaction, actor, "data_key.rotate", None, now_ms,
                           details={"keys": count})
    await asyncio.to_thread(keyring.wipe)
    return Rotated(count, path)
