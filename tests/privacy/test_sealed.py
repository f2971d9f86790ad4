"""What the inventory calls sealed is sealed: its bytes, its place, its key."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from relayd.control import account, inventory, key, network
from relayd.control.key import KeyWish
from relayd.core.errors import RelayError
from relayd.core.key import ERASED_NAME
from relayd.core.network import NetworkRecord
from relayd.store import seal
from relayd.store.db import FILE_NAME, Database

NOW = 1_763_000_000_000
MARKS = (b"zeisig@example.org", b"Zeisig Name", b"zeisig-laptop", b"203.0.113.99")


async def people(db: Database) -> tuple[str, str]:
    """Two accounts with something in each column that this step fills."""
    ids = []
    for n, email in enumerate(("zeisig@example.org", "other@example.org")):
        made = await account.create(db, email, f"Zeisig Name {n}", NOW)
        issued = await key.create(db, made.id, KeyWish(f"zeisig-laptop {n}"), NOW)
        await network.post(db, [NetworkRecord(
            NOW, made.id, issued.key.id, "203.0.113.99", 4711, "1.3", "curl/8")])
        ids.append(made.id)
    return ids[0], ids[1]


async def test_D2_sealed_columns_hold_nothing_else(db: Database) -> None:
    await people(db)
    await db.checkpoint()
    seen = set()
    with closing(sqlite3.connect(db.directory / FILE_NAME)) as raw:
        for field in inventory.read().fields:
            if field.place == "relayd.db" and field.form == "sealed":
                rows = raw.execute(f"SELECT {field.name} FROM {field.table}"
                                   f" WHERE {field.name} IS NOT NULL").fetchall()
                for (value,) in rows:
                    seen.add(field.full_name)
                    assert value[:1] == seal.VERSION and len(value) >= seal.OVERHEAD_BYTES
                assert len({row[0] for row in rows}) == len(rows)  # equal texts differ
    assert seen >= {"accounts.email", "accounts.name", "api_keys.name", "network_records.sealed"}
    for path in db.directory.rglob("*"):
        if path.is_file():
            raw_bytes = path.read_bytes()
            assert [mark for mark in MARKS if mark in raw_bytes] == [], path.name


@pytest.mark.parametrize("swap", [
    "UPDATE accounts SET email = (SELECT b.email FROM accounts b WHERE b.id <> accounts.id)",
    "UPDATE accounts SET name = email",
    "UPDATE api_keys SET name = (SELECT b.name FROM api_keys b WHERE b.id <> api_keys.id)",
    "UPDATE network_records SET sealed ="
    " (SELECT b.sealed FROM network_records b WHERE b.id <> network_records.id)",
    "UPDATE accounts SET email = CAST(substr(email, 1, length(email) - 1) || x'00' AS BLOB)",
    "UPDATE accounts SET name = x'01'",
])
async def test_D2_two_ciphertexts_that_change_places_do_not_open(db: Database, swap: str) -> None:
    both = await people(db)
    rights = [await _shown(db, one) for one in both]
    async with db.writing() as transaction:
        await transaction.run(swap)
    closed = 0
    for one, right in zip(both, rights):
        for is_there, was_there in zip(await _shown(db, one), right):
            assert is_there in (was_there, ERASED_NAME, None), "another's, or another column's"
            closed += is_there != was_there
    assert closed  # the second of a statement may have its own value again


async def _shown(db: Database, one: str) -> list[str | None]:
    """What is sealed of an account, as it opens; None where it does not."""
    found = await account.find(db, one)
    keys = await key.listing(db, one)
    try:
        records = [record.address for record in await network.own(db, one)]
    except RelayError as error:
        assert error.code == "seal_broken"
        records = [None]
    return [found.email, found.name, *(each.name for each in keys), *records]


async def test_D2_another_account_s_key_opens_nothing(db: Database) -> None:
    one, two = await people(db)
    async with db.reading() as transaction:
        row = await transaction.row("SELECT email FROM accounts WHERE id = ?", (one,))
        assert row is not None
        assert transaction.unseal(one, "accounts", "email", one, row[0]) == "zeisig@example.org"
        with pytest.raises(RelayError) as caught:
            transaction.unseal(two, "accounts", "email", one, row[0])
    assert caught.value.code == "seal_broken"
