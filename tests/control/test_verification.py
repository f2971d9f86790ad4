"""H3: a third party's verdict is kept, and nothing of what it was shown."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from relayd.control import account, verification
from relayd.core.errors import RelayError
from relayd.core.verification import Answer
from relayd.ops.config import IdentityConfig
from relayd.store.db import Database
from relayd.store.portable import PLAIN
from relayd.wire.verification import Told
from tests.fakes.records import START_MS

CONFIG = IdentityConfig("checkers", "https://verify.example/start?lang=en", "Checkers", (b"x",))
DAY_MS = 86_400_000
YES = Answer("verified", "document", "number-0815")


async def person(db: Database) -> str:
    return (await account.create(db, "ann@example.org", None, START_MS)).id


async def reference(db: Database, who: str) -> str:
    to = await verification.begin(db, CONFIG, who, "https://console.example", START_MS)
    assert to.startswith("https://verify.example/start?lang=en&")
    query = parse_qs(urlsplit(to).query)
    assert query["return"] == ["https://console.example/settings/identity"]
    [found] = query["reference"]
    assert who not in to and "ann" not in to
    return found


async def code(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def test_H3_verdicts_are_kept_once_each(db: Database) -> None:
    who = await person(db)
    sent = await reference(db, who)
    no = Answer("refused", "face", "number-0816")
    for answer in (YES, YES, no, YES):
        await verification.hear(db, CONFIG, Told(sent, answer), START_MS + 5)
    kept = await verification.listing(db, who)
    assert {each.answer for each in kept} == {YES, no} and len(kept) == 2
    assert {each.provider for each in kept} == {"checkers"}
    async with db.reading() as transaction:
        assert await transaction.rows(
            "SELECT target, details FROM audit_log WHERE action = 'identity.check'") == [
            (who, '{"level":"document","verdict":"verified"}'),
            (who, '{"level":"face","verdict":"refused"}')]
    await db.checkpoint()
    assert not [path for path in db.directory.rglob("*")
                if path.is_file() and b"number-0815" in path.read_bytes()]


async def test_H3_a_reference_says_nothing_and_is_nobody_else_s(db: Database) -> None:
    who = await person(db)
    first, second = await reference(db, who), await reference(db, who)
    assert first != second
    bent = first[:-4] + ("AAAA" if first[-4:] != "AAAA" else "BBBB")
    for each in (bent, "", "x", "\u00e9", first[:8]):
        assert await code(verification.hear(
            db, CONFIG, Told(each, YES), START_MS)) == "webhook_unreadable"
    assert await code(verification.hear(
        db, CONFIG, Told(first, YES), START_MS + 15 * DAY_MS)) == "webhook_unreadable"
    end = START_MS + verification.REFERENCE_DAYS * DAY_MS
    assert await code(verification.hear(
        db, CONFIG, Told(first, YES), end)) == "webhook_unreadable"
    assert await verification.listing(db, who) == []
    assert await verification.hear(db, CONFIG, Told(first, YES), end - 1)


async def test_only_of_active_accounts_and_what_can_be_kept(db: Database) -> None:
    who = await person(db)
    sent = await reference(db, who)
    long = Answer("verified", "name", "x" * 129)
    assert await code(verification.hear(db, CONFIG, Told(sent, long), START_MS)) == "invalid_value"
    async with db.writing() as transaction:
        await transaction.run("UPDATE accounts SET state = 'suspended', reason = 'abuse'")
    assert await code(verification.hear(db, CONFIG, Told(sent, YES), START_MS)) == "account_state"
    assert await code(verification.begin(db, CONFIG, who, "", START_MS)) == "account_state"


async def test_a_page_may_have_no_query(db: Database) -> None:
    config = IdentityConfig("checkers", "https://verify.example/start", "Checkers", (b"x",))
    to = await verification.begin(db, config, await person(db), "", START_MS)
    assert to.startswith("https://verify.example/start?reference=")


async def test_off_by_default(db: Database) -> None:
    who = await person(db)
    assert await code(verification.begin(
        db, IdentityConfig(), who, "", START_MS)) == "identity_off"


def test_H3_its_owner_is_given_it() -> None:
    assert PLAIN["identity_checks"].columns == ("provider", "verdict", "level", "at_ms")
    assert PLAIN["exposures"].columns == ("key_id", "at_ms")
