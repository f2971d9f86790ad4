"""API keys as rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.core.account import Account
from relayd.core.key import ERASED_NAME, ApiKey
from relayd.core.snapshot import KeyGrant
from relayd.store import account, key
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.transaction import Transaction

ONE = ApiKey("key_1", "acct_1", "laptop", "sk-relayd-...abcd", "editor", ("a", "claude-*"),
             "active", 5, 99)
TWO = ApiKey("key_2", "acct_2", "server", "sk-relayd-...efgh", None, None, "active", 6, None)


async def fill(transaction: Transaction) -> None:
    await account.insert(transaction, Account("acct_1", "a@b", None, "active", 0))
    await account.insert(transaction, Account("acct_2", "c@d", None, "suspended", 0))
    await key.insert(transaction, ONE, b"1" * 32)
    await key.insert(transaction, TWO, b"2" * 32)


async def granted(transaction: Transaction) -> dict[bytes, KeyGrant]:
    found: dict[bytes, KeyGrant] = {}
    async for batch in key.grants(transaction):
        found |= batch
    return found


async def test_rows_come_back_as_they_went(db: Database) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
    async with db.reading() as transaction:
        assert await key.listing(transaction) == [ONE, TWO]
        assert await key.listing(transaction, "acct_2") == [TWO]
        assert await key.find(transaction, "key_1") == ONE
        assert await key.find(transaction, "key_3") is None
        assert await key.find_by_digest(transaction, b"2" * 32) == TWO
        assert await key.find_by_digest(transaction, b"3" * 32) is None


async def test_grants_are_what_the_relay_must_know(db: Database) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
        assert await granted(transaction) == {
            b"1" * 32: KeyGrant("key_1", "acct_1", "editor", frozenset({"a", "claude-*"}), 99,
                                suspended=False),
            b"2" * 32: KeyGrant("key_2", "acct_2", None, None, None, suspended=True),
        }
        await key.update(transaction, replace(ONE, state="revoked"))
        await account.update(transaction, Account("acct_2", None, None, "erased", 0))
        assert await granted(transaction) == {}


async def test_update_writes_what_may_change(db: Database) -> None:
    changed = replace(ONE, name="x", app=None, state="revoked", expires_at_ms=7)
    async with db.writing() as transaction:
        await fill(transaction)
        await key.update(transaction, changed)
        assert await key.find(transaction, "key_1") == changed


@pytest.mark.parametrize("wrong, digest", [
    (replace(ONE, id="key_3"), b"1" * 32), (replace(ONE, id="key_3"), b"short"),
    (replace(ONE, id="key_3", account="acct_9"), b"3" * 32),
    (replace(ONE, id="key_3", replaces="key_9"), b"3" * 32),
])
async def test_rows_that_break_a_rule_are_refused(
    db: Database, wrong: ApiKey, digest: bytes
) -> None:
    with pytest.raises(StoreError) as caught:
        async with db.writing() as transaction:
            await fill(transaction)
            await key.insert(transaction, wrong, digest)
            # references are checked at the latest when the transaction ends
    unknown = wrong.account == "acct_9"
    assert caught.value.code == ("data_key_gone" if unknown else "store_refused")


async def test_of_revoked_keys_the_newest_are_shown(db: Database) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
        for number in range(10):
            made = replace(ONE, id=f"key_3{number}", state="active" if number == 2 else "revoked")
            await key.insert(transaction, made, bytes([number]) * 32)
        shown = await key.shown(transaction, "acct_1", 3)
        assert [each.id for each in shown] == ["key_1", "key_32", "key_37", "key_38", "key_39"]
        assert shown[0] == ONE
        [found] = await key.some(transaction, "acct_1", {"key_31", "key_2"})
        assert found.id == "key_31"
        assert await key.labels(transaction, "acct_1", {"key_1", "key_2"}) == {"key_1": "editor"}
        assert [await key.count_working(transaction, "acct_1", now) for now in (98, 99)] == [2, 0]


async def test_an_erased_accounts_keys_are_emptied_all_at_once(db: Database) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
        await key.insert(transaction, replace(ONE, id="key_3", state="revoked"), b"3" * 32)
        await key.empty(transaction, "acct_1")
        assert await key.listing(transaction) == [
            replace(ONE, name=ERASED_NAME, app=None, models=None, state="revoked"), TWO,
            replace(ONE, id="key_3", name=ERASED_NAME, app=None, models=None, state="revoked")]


async def test_one_whose_account_has_no_key_does_not_hide_the_others(db: Database) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
    await db.keyring.destroy("acct_1")
    async with db.reading() as transaction:
        assert await key.page(transaction, None, "", 9) == [replace(ONE, name=ERASED_NAME), TWO]
        assert await key.page(transaction, None, "key_1", 1) == [TWO]
        assert await key.page(transaction, "acct_2", "key_2", 9) == []
        assert await key.names(transaction, {"key_1", "key_2", "key_3"}) == {
            "key_1": ERASED_NAME, "key_2": "server"}
        assert await key.find(transaction, "key_1") == replace(ONE, name=ERASED_NAME)


async def test_one_whose_name_can_be_read_no_more_ends_and_keeps_it(db: Database) -> None:
    async with db.writing() as transaction:
        await fill(transaction)
        [[sealed]] = await transaction.rows("SELECT name FROM api_keys WHERE id = 'key_1'")
        await transaction.run("UPDATE api_keys SET name = zeroblob(40) WHERE id = 'key_1'")
        found = await key.find(transaction, "key_1")
        assert found == replace(ONE, name=ERASED_NAME)
        ended = replace(ONE, state="revoked", expires_at_ms=7)
        await key.end(transaction, replace(ended, name=ERASED_NAME, app="x", models=()))
        assert await key.find(transaction, "key_1") == replace(ended, name=ERASED_NAME)
        await transaction.run("UPDATE api_keys SET name = ? WHERE id = 'key_1'", (sealed,))
        assert await key.find(transaction, "key_1") == ended
