"""Sign-ins as rows: the address goes with the key of its month."""

from __future__ import annotations

from relayd.core.holder import SignIn
from relayd.store import sign_in
from relayd.store.db import Database
from tests.fakes.holders import two
from tests.fakes.records import START_MS


async def test_kept_latest_first_and_swept(db: Database) -> None:
    mine, other = await two(db)
    rows = [SignIn(f"sign_{at}", mine, START_MS + at, "signed_in", "password", "curl", "192.0.2.7")
            for at in range(3)]
    async with db.writing() as transaction:
        assert await sign_in.known_device(transaction, mine, "curl") is None
        for row in rows:
            await sign_in.insert(transaction, row)
        assert await sign_in.latest(transaction, mine, 2) == [rows[2], rows[1]]
        assert await sign_in.latest(transaction, other, 9) == []
        assert await sign_in.known_device(transaction, mine, "curl")
        assert await sign_in.known_device(transaction, mine, "Firefox") is False
        assert await sign_in.sweep(transaction, START_MS + 2, 9) == 2
        assert await sign_in.latest(transaction, mine, 9) == [rows[2]]


async def test_I2d_without_the_month_s_key_the_address_is_gone(db: Database) -> None:
    mine, _ = await two(db)
    async with db.writing() as transaction:
        await sign_in.insert(transaction, SignIn(
            "sign_1", mine, START_MS, "wrong_password", "password", "curl", "192.0.2.7"))
    await db.keyring.destroy("month:2026-01")
    async with db.reading() as transaction:
        [found] = await sign_in.latest(transaction, mine, 9)
    assert found.address is None and found.outcome == "wrong_password"
    # a clock that is months behind lets people in all the same
    async with db.writing() as transaction:
        await sign_in.insert(transaction, SignIn(
            "sign_2", mine, START_MS + 1, "signed_in", "password", "curl", "192.0.2.7"))
        assert [each.address for each in await sign_in.latest(transaction, mine, 9)] == [None] * 2


async def test_a_month_s_key_that_is_damaged_keeps_nobody_out(db: Database) -> None:
    mine, _ = await two(db)
    async with db.writing() as transaction:
        await sign_in.insert(transaction, SignIn(
            "sign_0", mine, START_MS, "signed_in", "password", "curl", "192.0.2.7"))
    db.keyring._ciphers.clear()
    db.keyring._writer.execute(
        "UPDATE data_keys SET wrapped = zeroblob(61) WHERE owner = 'month:2026-01'")
    async with db.writing() as transaction:
        await sign_in.insert(transaction, SignIn(
            "sign_1", mine, START_MS + 1, "signed_in", "password", "curl", "192.0.2.7"))
        found = await sign_in.latest(transaction, mine, 9)
    # nor from the list of those that were before
    assert [(each.id, each.address) for each in found] == [("sign_1", None), ("sign_0", None)]


async def test_a_device_is_known_by_a_sign_in_of_this_account(db: Database) -> None:
    mine, other = await two(db)
    rows = [(mine, "wrong_password", "curl"), (other, "signed_in", "curl")]
    async with db.writing() as transaction:
        for number, (account, outcome, device) in enumerate(rows):
            await sign_in.insert(transaction, SignIn(
                f"sign_{number}", account, START_MS, outcome,  # type: ignore[arg-type]
                "password", device, "192.0.2.7"))
        assert await sign_in.known_device(transaction, mine, "curl") is None
        assert await sign_in.known_device(transaction, other, "curl") is True
        for number in (7, 9, 8):  # at one moment
            await sign_in.insert(transaction, SignIn(
                f"sign_{number}", mine, START_MS + 1, "signed_in", "password", "curl", None))
        assert [row.id for row in await sign_in.latest(transaction, mine, 9)] == [
            "sign_9", "sign_8", "sign_7", "sign_0"]
