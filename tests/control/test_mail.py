"""Mail as use cases: posted with what it tells of, by class and consent, deleted once sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control import account, consent, mail
from relayd.control.mail import To
from relayd.core.actor import SHELL, Actor
from relayd.core.consent import REQUIRED
from relayd.core.errors import RelayError
from relayd.core.mail import ATTEMPTS_MIN, GIVE_UP_MS, MINUTE_MS
from relayd.store import account as store_account
from relayd.store.db import Database
from tests.fakes.editions import publish_first
from tests.fakes.erased import erase
from tests.fakes.records import START_MS

LINK = {"link": "https://relay.example/verify?t=quokka", "minutes": "30"}
NEWS = {"subject": "News", "text": "quokka"}


@pytest.fixture
async def holder(db: Database) -> Actor:
    await publish_first(db)
    made = await account.create(db, "ann@example.org", None, START_MS)
    async with db.writing() as transaction:
        await consent.register(
            transaction, made.id, REQUIRED, ("en", "console"), START_MS)
    return Actor(made.id)


async def posted(db: Database, kind: str, who: str | None, fields: dict[str, str],
                 to: str | To | None = None) -> str:
    async with db.writing() as transaction:
        return await mail.post(transaction, kind, who, fields, START_MS, to)


async def test_a_mail_goes_to_its_account_and_is_taken_once(db: Database, holder: Actor) -> None:
    made = await posted(db, "verify_email", holder.account, LINK)
    [out] = await mail.due(db, START_MS, 10)
    assert (out.mail.id, out.letter.recipient, out.letter.fields, out.unsubscribe) == (
        made, "ann@example.org", LINK, None)
    assert await mail.due(db, START_MS, 10) == []
    await mail.sent(db, out.mail, START_MS + 5)
    assert [(m.state, m.outcome, m.ended_at_ms) for m in await mail.listing(db)] == [
        ("sent", "taken", START_MS + 5)]
    assert await mail.due(db, START_MS + GIVE_UP_MS, 10) == []
    assert await mail.listing(db, waiting=True) == []
    for work in (mail.retry(db, made, START_MS), mail.show(db, SHELL, made, START_MS)):
        with pytest.raises(RelayError) as caught:
            await work
        assert caught.value.code == "mail_state"
    async with db.reading() as transaction:
        assert await transaction.rows(
            "SELECT 1 FROM audit_log WHERE action = 'mail.look'") == []


async def test_one_that_is_being_sent_is_nobody_elses_though_it_is_asked_for_again(
        db: Database, holder: Actor) -> None:
    made = await posted(db, "verify_email", holder.account, LINK)
    [out] = await mail.due(db, START_MS, 10)
    asked = await mail.retry(db, made, START_MS + 5)
    assert asked.next_at_ms == START_MS + mail.LEASE_MS
    assert await mail.due(db, START_MS + 5, 10) == []
    await mail.failed(db, out.mail, "greylisted", START_MS + 6)
    await mail.retry(db, made, START_MS + 7)
    assert len(await mail.due(db, START_MS + 7, 10)) == 1


async def test_one_that_was_not_tried_is_anybody_s_at_once(db: Database, holder: Actor) -> None:
    for _ in range(3):
        await posted(db, "verify_email", holder.account, LINK)
    taken = await mail.due(db, START_MS, 10)
    await mail.sent(db, taken[0].mail, START_MS)
    assert await mail.waiting(db) == 2 and await mail.due(db, START_MS, 10) == []
    await mail.release(db, taken[1:], START_MS)
    await mail.release(db, [], START_MS)
    assert [each.mail.id for each in await mail.due(db, START_MS, 10)] == [
        each.mail.id for each in taken[1:]]


async def test_who_has_no_address_gets_no_mail(db: Database, holder: Actor) -> None:
    async with db.writing() as transaction:
        found = await store_account.get(transaction, holder.account or "")
        await store_account.update(transaction, replace(found, email=None, state="erased"))
    with pytest.raises(RelayError) as caught:
        await posted(db, "verify_email", holder.account, LINK)
    assert caught.value.code == "account_state" and await mail.listing(db) == []


async def test_what_is_not_committed_is_not_posted(db: Database, holder: Actor) -> None:
    with pytest.raises(RuntimeError):
        async with db.writing() as transaction:
            await mail.post(transaction, "verify_email", holder.account, LINK, START_MS)
            raise RuntimeError
    assert await mail.listing(db) == []


async def test_a_mail_to_another_address(db: Database, holder: Actor) -> None:
    await posted(db, "email_change_confirm", holder.account, LINK, "new@example.org")
    await posted(db, "ticket_received", None, {"ticket": "t", "due": "2026-01-20"},
                 To("nobody@example.org", "zh"))
    first, second = await mail.due(db, START_MS, 10)
    assert first.letter.recipient == "new@example.org" and first.mail.language == "en"
    assert second.letter.recipient == "nobody@example.org" and second.mail.language == "zh"
    assert second.mail.owner == "mail:2026-01"
    with pytest.raises(AssertionError):
        await posted(db, "verify_email", None, LINK, "nobody@example.org")


@pytest.mark.parametrize("kind", ["product_update", "marketing"])
async def test_U7_without_consent_it_is_not_posted(
        db: Database, holder: Actor, kind: str) -> None:
    with pytest.raises(RelayError) as caught:
        await posted(db, kind, holder.account, NEWS)
    assert caught.value.code == "consent_missing"
    with pytest.raises(RelayError):
        await posted(db, kind, None, NEWS, To("ann@example.org", "en"))
    assert await mail.listing(db) == []


async def test_U7_consent_that_is_withdrawn_before_it_is_sent(
        db: Database, holder: Actor) -> None:
    who = holder.account or ""
    await consent.agree(db, holder, who, ["marketing"], ("en", "console"), START_MS)
    await posted(db, "marketing", who, NEWS)
    await consent.withdraw(db, holder, who, "marketing", "console", START_MS)
    assert await mail.due(db, START_MS, 10) == []
    [found] = await mail.listing(db)
    assert (found.state, found.mail_class) == ("withdrawn", "marketing")


async def test_U7_the_link_unsubscribes_without_a_sign_in(db: Database, holder: Actor) -> None:
    who = holder.account or ""
    await consent.agree(db, holder, who, ["marketing", "product"], ("en", "console"), START_MS)
    await posted(db, "marketing", who, NEWS)
    [out] = await mail.due(db, START_MS, 10)
    assert out.unsubscribe is not None
    for at in (1, 2):
        assert await mail.unsubscribe(
            db, Actor(None), out.unsubscribe, START_MS + at) == "marketing"
    async with db.reading() as transaction:
        assert not await consent.consented(transaction, who, "marketing", START_MS)
        assert await consent.consented(transaction, who, "product", START_MS)
    last = (await consent.history(db, who))[-1]
    assert (last.act, last.served.channel) == ("withdrawn", "mail")
    with pytest.raises(RelayError):
        await mail.unsubscribe(db, Actor(None), out.unsubscribe + "A", START_MS)


async def test_a_link_of_an_account_that_is_gone_says_the_same(
        db: Database, holder: Actor) -> None:
    who = holder.account or ""
    await consent.agree(db, holder, who, ["product"], ("en", "console"), START_MS)
    await posted(db, "product_update", who, NEWS)
    [out] = await mail.due(db, START_MS, 10)
    await erase(db, who, START_MS)
    before = len(await consent.history(db, who))
    assert await mail.unsubscribe(db, Actor(None), out.unsubscribe or "", START_MS) == "product"
    assert len(await consent.history(db, who)) == before


async def test_a_key_that_is_destroyed_takes_the_mail_with_it(
        db: Database, holder: Actor) -> None:
    await posted(db, "verify_email", holder.account, LINK)
    await db.keyring.destroy(holder.account or "")
    assert await mail.due(db, START_MS, 10) == []
    assert [m.state for m in await mail.listing(db)] == ["withdrawn"]


async def test_failures_wait_longer_each_time_and_end_after_three_days(
        db: Database, holder: Actor) -> None:
    await posted(db, "verify_email", holder.account, LINK)
    now_ms, waits = START_MS, []
    while True:
        [out] = await mail.due(db, now_ms, 10)
        if await mail.failed(db, out.mail, "greylisted", now_ms) == "expired":
            break
        [found] = await mail.listing(db)
        waits.append(found.next_at_ms - now_ms)
        now_ms = found.next_at_ms
    assert waits[:3] == [MINUTE_MS, 2 * MINUTE_MS, 4 * MINUTE_MS]
    assert GIVE_UP_MS * 0.9 < now_ms - START_MS <= GIVE_UP_MS
    [found] = await mail.listing(db, waiting=True)
    assert (found.state, found.outcome) == ("expired", "greylisted")
    # the operator has mended it: it goes again, with three days more
    assert (await mail.retry(db, found.id, now_ms)).state == "queued"
    assert len(await mail.due(db, now_ms, 10)) == 1


async def test_what_lay_while_the_relay_was_off_is_not_given_up_at_its_first_failure(
        db: Database, holder: Actor) -> None:
    """A start after four days, whose network or mail server comes a little later."""
    await posted(db, "verify_email", holder.account, LINK)
    now_ms, attempts = START_MS + GIVE_UP_MS * 4 // 3, 1
    [out] = await mail.due(db, now_ms, 10)
    while await mail.failed(db, out.mail, "unreachable", now_ms) == "queued":
        [found] = await mail.listing(db)
        now_ms, attempts = found.next_at_ms, attempts + 1
        [out] = await mail.due(db, now_ms, 10)
    assert attempts == ATTEMPTS_MIN
    assert now_ms - START_MS > GIVE_UP_MS * 4 // 3 + 120 * MINUTE_MS


async def test_a_refused_mail_is_kept_for_the_operator(db: Database, holder: Actor) -> None:
    await posted(db, "verify_email", holder.account, LINK)
    [out] = await mail.due(db, START_MS, 10)
    await mail.refused(db, out.mail, "refused", START_MS)
    assert await mail.counts(db) == {"refused": 1}
    shown = await mail.show(db, SHELL, out.mail.id, START_MS)
    assert shown.letter.fields == LINK
    async with db.reading() as transaction:
        events = await transaction.rows("SELECT action, target, details FROM audit_log")
    assert events[-1] == (
        "mail.look", holder.account, f'{{"kind":"verify_email","mail":"{out.mail.id}"}}')
    assert mail.view(out.mail)["state"] == "queued"
    assert "quokka" not in str(mail.view(out.mail))


async def test_a_damaged_mail_keeps_no_other_back(db: Database, holder: Actor) -> None:
    torn = await posted(db, "verify_email", holder.account, LINK)
    whole = await posted(db, "verify_email", holder.account, LINK)
    async with db.writing() as transaction:
        await transaction.run("UPDATE outbox SET fields = recipient WHERE id = ?", (torn,))
    assert [out.mail.id for out in await mail.due(db, START_MS, 10)] == [whole]
    assert {m.id: (m.state, m.outcome) for m in await mail.listing(db)} == {
        torn: ("refused", mail.UNREADABLE), whole: ("queued", None)}
