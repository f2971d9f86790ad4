"""H3: a third party's verdict is kept, and nothing of what it was shown."""

from __future__ import annotations

import pytest

from relayd.control import account, verification
from relayd.control.verification import IdentityProvider
from relayd.core.actor import SHELL, Actor
from relayd.core.errors import RelayError
from relayd.core.verification import Answer
from relayd.store.db import Database
from relayd.store.portable import PLAIN
from tests.fakes.records import START_MS
from tests.privacy.canary import CONTENT, found_below

DOCUMENT = b"\x89PNG " + f"{CONTENT}passport".encode() * 50


class FakeProvider:
    """Says yes to whoever shows the document."""

    name = "fake"

    async def check(self, shown: bytes) -> Answer:
        return Answer("verified" if shown == DOCUMENT else "refused", "document", "number-0815")


async def test_H3_the_verdict_is_kept_and_the_document_is_not(db: Database) -> None:
    owner = await account.create(db, "ann@example.org", None, START_MS)
    fake: IdentityProvider = FakeProvider()
    made = await verification.verify(db, fake, Actor(owner.id), owner.id, DOCUMENT, START_MS)
    await verification.verify(db, fake, Actor(owner.id), owner.id, b"other", START_MS + 1)
    kept = await verification.listing(db, owner.id)
    assert kept[0] == made and [each.answer.verdict for each in kept] == ["verified", "refused"]
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT count(*) FROM audit_log WHERE action ="
                                      " 'identity.check'") == [(2,)]
    await db.checkpoint()
    assert found_below(db.directory) == {}
    assert not [path for path in db.directory.rglob("*")
                if path.is_file() and b"number-0815" in path.read_bytes()]


async def test_only_of_active_accounts(db: Database) -> None:
    owner = await account.create(db, "ann@example.org", None, START_MS)
    async with db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = 'suspended', reason = 'abuse'")
    with pytest.raises(RelayError) as caught:
        await verification.verify(db, FakeProvider(), SHELL, owner.id, DOCUMENT, START_MS)
    assert caught.value.code == "account_state"


def test_H3_its_owner_is_given_it() -> None:
    assert PLAIN["identity_checks"].columns == ("provider", "verdict", "level", "at_ms")
    assert PLAIN["exposures"].columns == ("key_id", "at_ms")
