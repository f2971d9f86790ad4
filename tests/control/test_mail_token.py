"""Mailed tokens: looking does not use them, using does, and a new one ends the last."""

from __future__ import annotations

import pytest

from relayd.control import mail_token
from relayd.control.door import Door
from relayd.core.errors import RelayError
from tests.fakes.door import registered
from tests.fakes.records import START_MS


async def test_looking_and_using(door: Door) -> None:
    account_id = (await registered(door)).session.account
    async with door.db.writing() as transaction:
        text = await mail_token.issue(transaction, account_id, "reset", START_MS, "what it does")
    for _ in range(2):
        found = await mail_token.look(door.db, text, "reset", START_MS)
        assert (found.account, found.value) == (account_id, "what it does")
    with pytest.raises(RelayError):
        await mail_token.look(door.db, text, "verify", START_MS)
    async with door.db.writing() as transaction:
        await mail_token.use(transaction, text, "reset", START_MS)
        with pytest.raises(RelayError) as caught:
            await mail_token.use(transaction, text, "reset", START_MS)
    assert caught.value.code == "token_not_usable"


async def test_a_new_one_ends_the_last(door: Door) -> None:
    account_id = (await registered(door)).session.account
    async with door.db.writing() as transaction:
        first = await mail_token.issue(transaction, account_id, "reset", START_MS)
        second = await mail_token.issue(transaction, account_id, "reset", START_MS)
    with pytest.raises(RelayError):
        await mail_token.look(door.db, first, "reset", START_MS)
    assert (await mail_token.look(door.db, second, "reset", START_MS)).account == account_id
    assert mail_token.minutes("reset") == "30" and mail_token.minutes("sign_in") == "15"
