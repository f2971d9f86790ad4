"""The outbox: what it says is sealed, and gone once it is sent."""

from __future__ import annotations

import pytest

from relayd.core.account import Account
from relayd.core.errors import RelayError
from relayd.core.mail import RETRY_MOST_MS
from relayd.store import account, mail
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.mail import Letter, Mail

LETTER = Letter("quokka@example.org", {"link": "https://quokka.example/"})


def a_mail(mail_id: str = "mail_1", **changes: object) -> Mail:
    fields: dict[str, object] = dict(
        id=mail_id, owner="acct_1", account_id="acct_1", kind="verify_email",
        mail_class="service", language="en", state="queued", attempts=0, outcome=None,
        queued_at_ms=10, next_at_ms=10, ended_at_ms=None)
    return Mail(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
async def posted(db: Database) -> Mail:
    made = a_mail()
    async with db.writing() as transaction:
        await account.insert(transaction, Account("acct_1", "a@example.org", None, "active", 0))
        await mail.insert(transaction, made, LETTER)
    return made


def on_disk(db: Database) -> bytes:
    return b"".join(p.read_bytes() for p in db.directory.rglob("*") if p.is_file())


async def test_who_it_goes_to_is_sealed_and_deleted_once_sent(db: Database, posted: Mail) -> None:
    assert b"quokka" not in on_disk(db)
    async with db.writing() as transaction:
        [(found, sealed)] = await mail.claim(transaction, 10, 500, 5)
        assert found == posted and mail.letter(transaction, found, sealed) == LETTER
        assert await mail.claim(transaction, 499, 900, 5) == []
        await mail.end(transaction, posted.id, "sent", "taken", 20)
        found, sealed = await mail.get(transaction, posted.id)
        assert (found.state, found.attempts, found.ended_at_ms) == ("sent", 1, 20)
        assert sealed == (None, None) and mail.letter(transaction, found, sealed) is None
        assert not await mail.requeue(transaction, posted.id, 30, 500)


async def test_a_letter_is_in_no_repr(posted: Mail) -> None:
    assert "quokka" not in repr(LETTER) + repr(posted)


async def test_a_mail_that_failed_waits_and_one_that_expired_can_go_again(
        db: Database, posted: Mail) -> None:
    async with db.writing() as transaction:
        await mail.postpone(transaction, posted.id, "greylisted", 70)
        assert await mail.claim(transaction, 69, 900, 5) == []
        await mail.end(transaction, posted.id, "expired", "unreachable", 80)
        assert (await mail.get(transaction, posted.id))[0].attempts == 2
        assert await mail.counts(transaction) == {"expired": 1}
        assert await mail.requeue(transaction, posted.id, 90, 500)
        [(again, sealed)] = await mail.claim(transaction, 90, 900, 5)
        assert again.attempts == 0 and mail.letter(transaction, again, sealed) == LETTER


async def test_a_mail_that_is_being_sent_is_not_let_go_for_another(
        db: Database, posted: Mail) -> None:
    async with db.writing() as transaction:
        assert len(await mail.claim(transaction, 10, 500, 5)) == 1
        assert await mail.requeue(transaction, posted.id, 20, 490)
        assert await mail.claim(transaction, 499, 900, 5) == []
        assert len(await mail.claim(transaction, 500, 990, 5)) == 1  # whose it was has died
        await mail.postpone(transaction, posted.id, "greylisted", 5000)
        assert await mail.requeue(transaction, posted.id, 510, 490)
        assert len(await mail.claim(transaction, 510, 1000, 5)) == 1


async def test_a_mail_that_was_not_tried_is_anybody_s_again_but_not_another_s(
        db: Database, posted: Mail) -> None:
    async with db.writing() as transaction:
        await mail.claim(transaction, 10, 500, 5)
        await mail.release(transaction, [posted.id], 400, 20)  # of a claim that is over
        assert await mail.claim(transaction, 499, 900, 5) == []
        await mail.release(transaction, [posted.id], 500, 20)
        assert len(await mail.claim(transaction, 20, 510, 5)) == 1


async def test_a_claim_of_a_clock_that_was_ahead_keeps_nobody_waiting(
        db: Database, posted: Mail) -> None:
    later_ms = 3650 * 86_400_000
    async with db.writing() as transaction:
        assert len(await mail.claim(transaction, later_ms, later_ms + 490, 5)) == 1
        assert await mail.requeue(transaction, posted.id, 20, 490)
        assert len(await mail.claim(transaction, 20, 510, 5)) == 1


async def test_a_mail_whose_time_a_wrong_clock_has_set_goes_all_the_same(
        db: Database, posted: Mail) -> None:
    """Ten years ahead for a minute, in which it could not be sent."""
    later_ms = 3650 * 86_400_000
    async with db.writing() as transaction:
        await mail.postpone(transaction, posted.id, "unreachable", later_ms + RETRY_MOST_MS)
        assert await mail.claim(transaction, later_ms, later_ms + 400, 5) == []
        assert len(await mail.claim(transaction, 100, 500, 5)) == 1
        assert await mail.claim(transaction, 101, 501, 5) == []


async def test_columns_of_two_mails_cannot_be_swapped(db: Database, posted: Mail) -> None:
    async with db.writing() as transaction:
        await mail.insert(transaction, a_mail("mail_2"), LETTER)
        other, _ = await mail.get(transaction, "mail_2")
        _, sealed = await mail.get(transaction, posted.id)
        with pytest.raises(StoreError) as caught:
            mail.letter(transaction, other, sealed)
    assert caught.value.code == "seal_broken"


async def test_listing_forgetting_and_sweeping(db: Database, posted: Mail) -> None:
    async with db.writing() as transaction:
        await mail.insert(transaction, a_mail("mail_2", account_id=None), LETTER)
        assert [m.id for m in await mail.listing(transaction, ("queued",), 9)] == [
            "mail_2", "mail_1"]
        assert await mail.listing(transaction, ("queued",), 9, "acct_1") == [posted]
        assert await mail.forget(transaction, "acct_1") == 1
        await mail.end(transaction, "mail_2", "refused", "refused", 50)
        assert await mail.delete_before(transaction, 50, 9) == 0
        assert await mail.delete_before(transaction, 51, 9) == 1
        with pytest.raises(RelayError) as caught:
            await mail.get(transaction, "mail_2")
    assert caught.value.code == "mail_not_found"


async def test_what_becomes_of_one_mail_is_no_other_s(db: Database, posted: Mail) -> None:
    other = a_mail("mail_2", next_at_ms=12)
    async with db.writing() as transaction:
        await mail.insert(transaction, other, LETTER)
        await mail.postpone(transaction, posted.id, "greylisted", 70)
        found, _ = await mail.get(transaction, "mail_2")
        assert found == other
        await mail.end(transaction, posted.id, "sent", "taken", 80)
        found, _ = await mail.get(transaction, "mail_2")
        assert found == other and await mail.count_queued(transaction) == 1
        await mail.end(transaction, "mail_2", "expired", "unreachable", 90)
        assert await mail.requeue(transaction, "mail_2", 95, 500)
        assert (await mail.get(transaction, posted.id))[0].state == "sent"
