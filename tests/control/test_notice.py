"""Notices as use cases: shown in their time, mailed to everybody, answered by holders."""

from __future__ import annotations

import pytest

from relayd.control import account, consent, mail, notice
from relayd.core.actor import SHELL, Actor
from relayd.core.consent import REQUIRED
from relayd.core.errors import RelayError
from relayd.core.notice import Notice, NoticeKind
from relayd.store.db import Database
from tests.fakes.audited import audited
from tests.fakes.editions import publish_first
from tests.fakes.records import START_MS

DAY_MS = 86_400_000
TEXTS = {"subject_en": "Work", "subject_zh": "维护", "text_en": "On Sunday.", "text_zh": "周日。"}
TRANSFER = {"recipient": "Other Co.", "contact": "dpo@other.example",
            "purpose_en": "the same service", "purpose_zh": "相同的服务"}
SPAN = (START_MS, START_MS + 20 * DAY_MS)
ORIGIN = "https://relay.example"


async def transfer(db: Database) -> Notice:
    return await notice.put_up(db, SHELL, "transfer", TRANSFER, SPAN, START_MS)


async def test_a_notice_is_shown_in_its_time(db: Database) -> None:
    later = (START_MS + 10, START_MS + 100)
    made = await notice.put_up(db, SHELL, "service", TEXTS, later, START_MS)
    assert await notice.shown(db, START_MS) == []
    assert await notice.shown(db, START_MS + 10) == [made] == await notice.listing(db)
    assert await notice.queue_batch(db, ORIGIN, START_MS + 9, 10) == 0
    await notice.take_down(db, SHELL, made.id, START_MS + 50)
    assert await notice.shown(db, START_MS + 50) == []
    assert notice.view(await notice.get(db, made.id))["ends_at"] == "2026-01-01T00:00:00.050Z"
    async with db.reading() as transaction:
        events = await transaction.rows("SELECT action FROM audit_log ORDER BY seq")
    assert [row[0] for row in events][-2:] == ["notice.publish", "notice.end"]


async def test_G2_everybody_gets_one_mail_in_their_language(db: Database) -> None:
    made = [await account.create(db, f"{n}@example.org", None, START_MS - 1) for n in range(5)]
    await notice.put_up(db, SHELL, "service", TEXTS, SPAN, START_MS)
    late = await account.create(db, "late@example.org", None, START_MS + 1)
    counts = []
    while count := await notice.queue_batch(db, ORIGIN, START_MS + 2, 2):
        counts.append(count)
    assert counts == [2, 2, 1]
    out = await mail.due(db, START_MS + 2, 50)
    assert {each.mail.account_id for each in out} == {each.id for each in made}
    assert late.id not in {each.mail.account_id for each in out}
    assert out[0].letter.fields == {"subject": "Work", "text": "On Sunday."}
    [found] = await notice.listing(db)
    assert found.mailed_at_ms == START_MS + 2
    assert await notice.queue_batch(db, ORIGIN, START_MS + 3, 2) == 0


async def test_one_that_is_taken_down_is_mailed_to_nobody_else(db: Database) -> None:
    for name in range(3):
        await account.create(db, f"{name}@example.org", None, START_MS - 1)
    early = await notice.put_up(
        db, SHELL, "service", TEXTS, (START_MS + DAY_MS, START_MS + 9 * DAY_MS), START_MS)
    await notice.take_down(db, SHELL, early.id, START_MS + 1)
    assert await notice.queue_batch(db, ORIGIN, START_MS + DAY_MS, 9) == 0
    made = await notice.put_up(db, SHELL, "service", TEXTS, SPAN, START_MS)
    assert await notice.queue_batch(db, ORIGIN, START_MS, 1) == 1
    await notice.take_down(db, SHELL, made.id, START_MS + 1)
    assert await notice.queue_batch(db, ORIGIN, START_MS + 2, 9) == 0


async def test_one_that_is_over_stays_as_it_was(db: Database) -> None:
    made = await notice.put_up(db, SHELL, "service", TEXTS, SPAN, START_MS)
    await notice.take_down(db, SHELL, made.id, SPAN[1] + DAY_MS)
    assert (await notice.get(db, made.id)).ends_at_ms == SPAN[1]


async def test_lines_as_browsers_send_them(db: Database) -> None:
    made = await notice.put_up(
        db, SHELL, "service", TEXTS | {"text_en": "One.\r\n\r\nTwo."}, SPAN, START_MS)
    assert made.fields["text_en"] == "One.\n\nTwo."
    assert (await notice.get(db, made.id)).fields == made.fields


async def test_an_account_that_can_be_read_no_more_keeps_nobody_waiting(db: Database) -> None:
    lost, kept = [await account.create(db, f"{n}@example.org", None, START_MS - 2 + n)
                  for n in range(2)]
    await db.keyring.destroy(lost.id)
    await notice.put_up(db, SHELL, "service", TEXTS, SPAN, START_MS)
    assert await notice.queue_batch(db, ORIGIN, START_MS, 9) == 2
    [out] = await mail.due(db, START_MS, 9)
    assert out.mail.account_id == kept.id


async def test_an_account_that_is_damaged_keeps_nobody_waiting(db: Database) -> None:
    torn, whole = [await account.create(db, f"{n}@example.org", None, START_MS - 2 + n)
                   for n in range(2)]
    async with db.writing() as transaction:
        await transaction.run("UPDATE accounts SET email = x'00' WHERE id = ?", (torn.id,))
    await notice.put_up(db, SHELL, "service", TEXTS, SPAN, START_MS)
    assert await notice.queue_batch(db, ORIGIN, START_MS, 9) == 2
    [out] = await mail.due(db, START_MS, 9)
    assert out.mail.account_id == whole.id


async def test_a_notice_of_a_document_links_to_what_changed(db: Database) -> None:
    await account.create(db, "ann@example.org", None, START_MS - 1)
    await notice.put_up(db, SHELL, "document", {
        "document": "privacy", "version": "2", "effective": "2026-02-01",
        "summary_en": "More.", "summary_zh": "更多。"}, SPAN, START_MS)
    await notice.queue_batch(db, ORIGIN, START_MS, 9)
    [out] = await mail.due(db, START_MS, 9)
    assert out.letter.fields == {
        "document": "privacy", "version": "2", "effective": "2026-02-01", "summary": "More.",
        "link": "https://relay.example/legal/privacy/changes"}


async def test_S5_a_transfer_names_its_recipient_and_can_be_objected_to(db: Database) -> None:
    holder = await account.create(db, "ann@example.org", None, START_MS - 1)
    made = await transfer(db)
    await notice.queue_batch(db, ORIGIN, START_MS, 9)
    [out] = await mail.due(db, START_MS, 9)
    assert out.letter.fields == {
        "recipient": "Other Co.", "contact": "dpo@other.example", "ends": "2026-01-21",
        "link": f"https://relay.example/notices/{made.id}"}
    await notice.answer(db, Actor(holder.id), made.id, "objected", START_MS + 1)
    assert await notice.answered(db, made.id, holder.id) == "objected"
    assert await audited(db, "notice.answer") == [(
        "notice.answer", holder.id, holder.id, {"notice": made.id, "answer": "objected"})]
    with pytest.raises(RelayError) as caught:
        await notice.answer(db, Actor(holder.id), made.id, "agreed", SPAN[1])
    assert caught.value.code == "notice_not_found"


@pytest.mark.parametrize("kind", ["product", "marketing"])
async def test_U7_news_go_to_who_agreed_and_stand_nowhere(db: Database, kind: NoticeKind) -> None:
    await publish_first(db)
    made = [await account.create(db, f"{n}@example.org", None, START_MS - 1) for n in range(4)]
    async with db.writing() as transaction:
        for each, items in zip(made, ((kind,), (), ("product", "marketing"), ()), strict=True):
            await consent.register(
                transaction, each.id, [*REQUIRED, *items], ("en", "console"), START_MS - 1)
    put = await notice.put_up(db, SHELL, kind, TEXTS, SPAN, START_MS)
    while await notice.queue_batch(db, ORIGIN, START_MS, 3):
        pass
    out = await mail.due(db, START_MS, 9)
    assert {each.mail.account_id for each in out} == {made[0].id, made[2].id}
    assert all(each.unsubscribe for each in out)
    assert await notice.shown(db, START_MS) == []
    with pytest.raises(RelayError):
        await notice.get(db, put.id)


@pytest.mark.parametrize(("kind", "fields", "span", "code"), [
    ("transfer", TRANSFER, (START_MS, START_MS + 14 * DAY_MS), "invalid_time"),
    ("service", TEXTS, (START_MS, START_MS), "invalid_time"),
    ("service", TEXTS | {"text_en": " "}, SPAN, "invalid_value"),
    ("service", TEXTS | {"text_zh": "x" * 4001}, SPAN, "invalid_value"),
    ("service", TEXTS | {"text_zh": "\x07"}, SPAN, "invalid_value"),
])
async def test_what_cannot_be_put_up(
        db: Database, kind: str, fields: dict[str, str], span: tuple[int, int],
        code: str) -> None:
    with pytest.raises(RelayError) as caught:
        await notice.put_up(db, SHELL, kind, fields, span, START_MS)  # type: ignore[arg-type]
    assert caught.value.code == code and await notice.listing(db) == []


async def test_faults_of_the_caller(db: Database) -> None:
    with pytest.raises(AssertionError):
        await notice.put_up(db, SHELL, "service", TRANSFER, SPAN, START_MS)
    made = await transfer(db)
    with pytest.raises(AssertionError):
        await notice.answer(db, SHELL, made.id, "agreed", START_MS)
