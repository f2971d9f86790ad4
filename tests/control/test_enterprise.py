"""Companies: marked by an operator, and only then is anything stored (I4)."""

from __future__ import annotations

import pytest

from relayd.control import enterprise
from relayd.core.actor import SHELL
from relayd.core.enterprise import Enterprise
from relayd.core.errors import RelayError
from relayd.store.db import Database
from tests.control.test_closing import people

PROFILE = Enterprise("买方公司", "9144030071526726XG", phone="010-1234567")


async def test_I4_a_person_s_account_stores_no_company(db: Database) -> None:
    [one] = await people(db, 1)
    with pytest.raises(RelayError) as caught:
        await enterprise.change(db, SHELL, one, PROFILE, 1)
    assert caught.value.code == "not_enterprise"
    assert await enterprise.find(db, one) is None
    assert enterprise.view(None) == {"marked": False, "profile": None}


async def test_marked_changed_and_unmarked(db: Database) -> None:
    [one] = await people(db, 1)
    assert await enterprise.mark(db, SHELL, one, 1) == one
    async with db.reading() as transaction:
        assert await enterprise.buyer(transaction, one) == {"name": one}
    with pytest.raises(RelayError) as caught:
        await enterprise.change(db, SHELL, one, Enterprise("x", "1"), 2)
    assert caught.value.code == "invalid_uscc"
    assert await enterprise.change(db, SHELL, one, PROFILE, 2) == PROFILE
    async with db.reading() as transaction:
        assert await enterprise.buyer(transaction, one, shown=False) == {
            "name": "买方公司", "uscc": "9144030071526726XG"}
    assert await enterprise.unmark(db, SHELL, one, 3) == one
    assert await enterprise.find(db, one) is None
