"""Checkpoints of a real store: signed when due, verified, pruned; bent files are found out."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from relayd.control import audit, checkpoint
from relayd.control.checkpoint import AGE_DUE_MS, EVENTS_DUE, Verdict
from relayd.core import merkle
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.store.db import FILE_NAME, Database
from relayd.store.signing import Signer, open_signer, valid
from tests.fakes.records import START_MS


async def add(db: Database, count: int, at_ms: int = START_MS) -> None:
    async with db.writing() as transaction:
        for number in range(count):
            await audit.append(transaction, SHELL, "key.revoke", f"acct_{number}", at_ms)


async def verdict(db: Database, seen: tuple[int, bytes] | None = None) -> Verdict:
    return await checkpoint.verify(db, {open_signer(db.directory).public}, seen)


def bend(db: Database, *statements: str) -> None:
    """What somebody with the file does: triggers are no hindrance to them."""
    with closing(sqlite3.connect(db.directory / FILE_NAME)) as connection:
        for trigger in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger[0]}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def test_enough_or_old_enough_is_due(db: Database) -> None:
    signer = open_signer(db.directory)
    assert not await checkpoint.due(db, START_MS)
    assert await checkpoint.sign(db, signer, START_MS) is None
    await add(db, 1)
    assert not await checkpoint.due(db, START_MS + AGE_DUE_MS - 1)
    assert await checkpoint.due(db, START_MS + AGE_DUE_MS)
    made = await checkpoint.sign(db, signer, START_MS + AGE_DUE_MS)
    assert made is not None and made.seq == 2  # the key's own event is one
    assert not await checkpoint.due(db, START_MS + 9 * AGE_DUE_MS)
    await add(db, EVENTS_DUE - 1)
    assert not await checkpoint.due(db, START_MS)
    await add(db, 1)
    assert await checkpoint.due(db, START_MS)
    assert await checkpoint.sign(db, signer, START_MS) is not None
    found = await verdict(db)
    assert (found.broken, found.events, found.checkpoints, found.unsigned) == (
        None, EVENTS_DUE + 2, 2, 0)


@pytest.mark.parametrize(("count", "checkpoints"), [(7, 2), (8, 3), (11, 3), (12, 4)])
async def test_many_are_signed_some_at_a_time(
    db: Database, monkeypatch: pytest.MonkeyPatch, count: int, checkpoints: int
) -> None:
    monkeypatch.setattr(checkpoint, "EVENTS_AT_ONCE", 4)
    signer = open_signer(db.directory)
    await add(db, count)
    made = await checkpoint.sign(db, signer, START_MS)
    assert made is not None and made.seq == count + 1  # the key's own event is the last
    found = await verdict(db)
    assert (found.broken, found.events, found.checkpoints, found.unsigned) == (
        None, count + 1, checkpoints, 0)
    await add(db, 6)
    assert await checkpoint.prune(db, signer, START_MS + 1, START_MS + 1) == count + 1
    found = await verdict(db)
    assert (found.broken, found.checkpoints, found.unsigned) == (None, 2, 0)


async def test_events_of_a_clock_that_was_ahead_are_signed_too(db: Database) -> None:
    years_ms = 3650 * 24 * 3_600_000
    await add(db, 1, START_MS + years_ms)
    await checkpoint.sign(db, open_signer(db.directory), START_MS + years_ms)
    await add(db, 1, START_MS + years_ms)
    assert not await checkpoint.due(db, START_MS + years_ms)
    assert await checkpoint.due(db, START_MS)


@pytest.mark.parametrize("statement", [
    "UPDATE audit_log SET target = 'acct_9' WHERE seq = 3",
    "UPDATE audit_log SET reason = x'00' WHERE seq = 3",
    "DELETE FROM audit_log WHERE seq = 3",
    "DELETE FROM audit_log WHERE seq >= 3",
    "UPDATE audit_log SET seq = 99 WHERE seq = 3",
    "UPDATE audit_log SET hash = zeroblob(32) WHERE seq = 3",
    "UPDATE audit_checkpoints SET at_ms = at_ms + 1",
    "UPDATE audit_checkpoints SET signature = zeroblob(64)",
    "DELETE FROM audit_checkpoints WHERE seq < 6",
])
async def test_a_bent_file_is_found_out(db: Database, statement: str) -> None:
    signer = open_signer(db.directory)
    await add(db, 4)
    await checkpoint.sign(db, signer, START_MS)
    await add(db, 4)
    await checkpoint.sign(db, signer, START_MS)
    assert (await verdict(db)).broken is None
    bend(db, statement)
    assert (await verdict(db)).broken is not None


async def test_a_log_cut_off_with_its_checkpoint_is_found_by_who_has_seen_it(db: Database) -> None:
    signer = open_signer(db.directory)
    await add(db, 3)
    await checkpoint.sign(db, signer, START_MS)
    await add(db, 3)
    made = await checkpoint.sign(db, signer, START_MS)
    assert made is not None
    seen = made.seq, made.hash
    assert (await verdict(db, seen)).broken is None
    assert (await verdict(db, (made.seq, bytes(32)))).broken is not None
    bend(db, "DELETE FROM audit_log WHERE seq > 4", "DELETE FROM audit_checkpoints WHERE seq > 4")
    assert (await verdict(db)).broken is None
    broken = (await verdict(db, seen)).broken
    assert broken is not None and broken.seq == 5


async def test_a_checkpoint_of_another_key_is_not_believed(db: Database) -> None:
    await add(db, 3)
    other = Signer(bytes(32))
    await checkpoint.sign(db, other, START_MS)
    assert (await verdict(db)).broken is not None
    assert (await checkpoint.verify(db, {other.public})).broken is None
    await add(db, 1)
    await checkpoint.sign(db, open_signer(db.directory), START_MS)
    keys = [each.event async for each in audit.listing(db) if each.event.action == "audit.key"]
    assert len(keys) == 2
    both = {other.public, open_signer(db.directory).public}
    assert (await checkpoint.verify(db, both)).broken is None


async def test_pruning_leaves_a_chain_that_goes_on(db: Database) -> None:
    signer = open_signer(db.directory)
    for day in range(4):
        await add(db, 2, START_MS + day)
        await checkpoint.sign(db, signer, START_MS + day)
    assert await checkpoint.prune(db, signer, START_MS, START_MS + 9) == 0
    assert await checkpoint.prune(db, signer, START_MS + 2, START_MS + 9) == 5
    [event] = [entry.event async for entry in audit.listing(db)
               if entry.event.action == "audit.prune"]
    assert event.details == '{"events":5,"until":5}'
    found = await verdict(db)
    assert (found.broken, found.first_seq, found.last_seq, found.unsigned) == (None, 6, 10, 0)
    assert await checkpoint.prune(db, signer, START_MS + 2, START_MS + 9) == 0
    assert await checkpoint.prune(db, signer, START_MS + 3, START_MS + 10) == 2
    await add(db, 3)
    found = await verdict(db)
    assert (found.broken, found.first_seq, found.unsigned) == (None, 8, 3)
    bend(db, "DELETE FROM audit_log WHERE seq = 8")
    broken = (await verdict(db)).broken
    assert broken is not None and broken.seq == 8


async def test_a_clock_that_was_behind_for_a_while_prunes_no_young_event(db: Database) -> None:
    signer = open_signer(db.directory)
    year_ms = 365 * 86_400_000
    await add(db, 1, START_MS - 3 * year_ms)
    await checkpoint.sign(db, signer, START_MS - 3 * year_ms)
    await add(db, 3)
    await checkpoint.sign(db, signer, START_MS)
    # the machine starts in another year, and is set right
    await add(db, EVENTS_DUE, START_MS - 5 * year_ms)
    await checkpoint.sign(db, signer, START_MS - 5 * year_ms)
    before_ms = START_MS - 2 * year_ms
    assert await checkpoint.prune(db, signer, before_ms, START_MS + 1) == 2
    assert await checkpoint.prune(db, signer, before_ms, START_MS + 1) == 0
    found = await verdict(db)
    assert (found.broken, found.first_seq) == (None, 3)
    assert await checkpoint.prune(db, signer, START_MS + 1, START_MS + 2) == EVENTS_DUE + 3


async def test_proofs(db: Database) -> None:
    signer = open_signer(db.directory)
    for _ in range(3):
        await add(db, 5)
        await checkpoint.sign(db, signer, START_MS)
    await add(db, 1)
    for seq in range(1, 17):
        proof = await checkpoint.prove(db, seq)
        assert proof.event.seq == seq
        root = merkle.root_of(proof.leaf, proof.index, proof.count, proof.path)
        assert root == proof.checkpoint.root
        assert valid(signer.public, proof.checkpoint.body(), proof.checkpoint.signature)
    for seq, code in ((17, "event_unsigned"), (18, "event_not_found"), (0, "event_not_found")):
        with pytest.raises(RelayError) as caught:
            await checkpoint.prove(db, seq)
        assert caught.value.code == code
