"""Consents as use cases: item by item, with the words that were served, and withdrawn at once."""

from __future__ import annotations

import pytest

from relayd.control import account, consent
from relayd.core.actor import Actor
from relayd.core.consent import ITEMS, REQUIRED, Channel
from relayd.core.errors import RelayError
from relayd.store import document as store_document
from relayd.store.db import Database
from tests.fakes.audited import audited
from tests.fakes.editions import publish, publish_first
from tests.fakes.records import START_MS

EN: tuple[str, Channel] = ("en", "console")


@pytest.fixture
async def holder(db: Database) -> Actor:
    await publish_first(db)
    made = await account.create(db, "ann@example.org", None, START_MS)
    return Actor(made.id)


async def registered(db: Database, holder: Actor, *more: str) -> str:
    assert holder.account is not None
    async with db.writing() as transaction:
        await consent.register(
            transaction, holder.account, [*REQUIRED, *more], EN, START_MS)
    return holder.account


async def test_O3_without_every_required_consent_there_is_no_account(
        db: Database, holder: Actor) -> None:
    for lacking in REQUIRED:
        with pytest.raises(RelayError) as caught:
            async with db.writing() as transaction:
                await consent.register(
                    transaction, holder.account or "", [i for i in ITEMS if i != lacking],
                    EN, START_MS)
        assert (caught.value.code, caught.value.status) == ("consent_required", 422)
        assert caught.value.param == lacking
    assert await consent.history(db, holder.account or "") == []


async def test_O3_a_consent_has_the_hash_of_the_text_served(db: Database, holder: Actor) -> None:
    account_id = await registered(db, holder, "marketing")
    rows = await consent.history(db, account_id)
    assert [row.item for row in rows] == [*REQUIRED, "marketing"]
    async with db.reading() as transaction:
        served = await store_document.get(transaction, "privacy", 1, "en")
    assert served is not None and {row.act for row in rows} == {"explicit"}
    assert consent.view(rows[1]) == {
        "item": "privacy", "act": "explicit", "document": "privacy", "version": 1,
        "sha256": served.digest, "language": "en", "channel": "console",
        "at": "2026-01-01T00:00:00.000Z"}


async def test_offers_name_every_item_and_its_words(db: Database, holder: Actor) -> None:
    async with db.reading() as transaction:
        offers = await consent.offers(transaction, "zh", START_MS)
    assert [offer.item.name for offer in offers] == list(ITEMS)
    assert {offer.edition.language for offer in offers} == {"zh"}


async def test_nothing_can_be_agreed_to_before_it_is_published(db: Database) -> None:
    async with db.reading() as transaction:
        with pytest.raises(RelayError) as caught:
            await consent.offers(transaction, "en", START_MS)
    assert caught.value.code == "document_not_found"


async def test_each_item_is_withdrawn_by_itself(db: Database, holder: Actor) -> None:
    account_id = await registered(db, holder, "marketing", "product")
    await consent.withdraw(db, holder, account_id, "marketing", "console", START_MS + 1)
    await consent.withdraw(db, holder, account_id, "marketing", "console", START_MS + 2)
    await consent.withdraw(db, holder, account_id, "improve", "console", START_MS + 3)
    async with db.reading() as transaction:
        held = {s.item.name: s.holds
                for s in await consent.standings(transaction, account_id, START_MS)}
        assert await consent.consented(transaction, account_id, "product", START_MS)
        events = await transaction.rows("SELECT action, target FROM audit_log")
    assert held == {"terms": True, "privacy": True, "processing_in_china": True,
                    "overseas_routes": False, "training_routes": False, "app_attribution": False,
                    "product": True,
                    "marketing": False, "improve": False}
    assert [row.act for row in await consent.history(db, account_id)].count("withdrawn") == 2
    assert events.count(("consent.withdraw", account_id)) == 2
    await consent.agree(db, holder, account_id, ["marketing"], ("zh", "api"), START_MS + 4)
    last = (await consent.history(db, account_id))[-1]
    assert (last.item, last.act, last.served.lang, last.served.channel) == (
        "marketing", "explicit", "zh", "api")
    [given] = await audited(db, "consent.give")
    assert given[1:3] == (account_id, account_id)


@pytest.mark.parametrize(("item", "code"), [
    *((name, "consent_required") for name in REQUIRED), ("nonsense", "invalid_value")])
async def test_what_cannot_be_withdrawn(
        db: Database, holder: Actor, item: str, code: str) -> None:
    account_id = await registered(db, holder)
    with pytest.raises(RelayError) as caught:
        await consent.withdraw(db, holder, account_id, item, "console", START_MS)
    assert caught.value.code == code
    with pytest.raises(RelayError):
        await consent.agree(db, holder, account_id, ["nonsense"], ("en", "api"), START_MS)


async def test_G2_a_gate_stands_until_its_holder_agrees(db: Database, holder: Actor) -> None:
    account_id = await registered(db, holder)
    later = START_MS + 1000
    await publish(db, version=2, gate="keys", items=("privacy",), effective_at_ms=later)
    async with db.reading() as transaction:
        assert await consent.owed(transaction, account_id, later - 1) == []
        [found] = await consent.owed(transaction, account_id, later)
        assert (found.edition.version, found.items, found.for_keys) == (2, ("privacy",), True)
        with pytest.raises(RelayError) as caught:
            await consent.check_keys(transaction, account_id, later)
    assert caught.value.code == "consent_missing"
    # use alone opens no gate
    assert await consent.note_use(db, account_id, later) == 0
    await consent.agree(db, holder, account_id, ["privacy"], ("en", "console"), later)
    async with db.reading() as transaction:
        assert await consent.owed(transaction, account_id, later) == []
        await consent.check_keys(transaction, account_id, later)


async def test_G2_what_is_asked_for_anew_is_off_until_it_is_given(
        db: Database, holder: Actor) -> None:
    who = await registered(db, holder, "marketing")
    later = START_MS + 1000
    await publish(db, version=2, gate="console", items=("marketing", "improve"),
                  effective_at_ms=later)

    async def held(now_ms: int) -> set[str]:
        async with db.reading() as transaction:
            found = {s.item.name for s in await consent.standings(transaction, who, now_ms)
                     if s.holds}
            for item in ("marketing", "improve"):
                assert await consent.consented(transaction, who, item, now_ms) == (item in found)
        return found

    assert await held(later - 1) == {*REQUIRED, "marketing", "improve"}
    assert await held(later) == set(REQUIRED)
    await consent.agree(db, holder, who, ["improve"], EN, later)
    assert await held(later) == {*REQUIRED, "improve"}


async def test_G3_acceptance_by_use_is_recorded_apart(db: Database, holder: Actor) -> None:
    account_id = await registered(db, holder)
    assert await consent.note_use(db, account_id, START_MS) == 0
    await publish(db, version=2, effective_at_ms=START_MS)
    assert await consent.note_use(db, account_id, START_MS + 5) == 1
    assert await consent.note_use(db, account_id, START_MS + 6) == 0
    rows = [row for row in await consent.history(db, account_id) if row.item == "privacy"]
    assert [(row.act, row.served.version, row.served.channel) for row in rows] == [
        ("explicit", 1, "console"), ("accepted_by_use", 2, "use")]


async def test_a_console_gate_lets_keys_be_made(db: Database, holder: Actor) -> None:
    account_id = await registered(db, holder)
    await publish(db, "terms", 2, gate="console", items=("terms",))
    async with db.reading() as transaction:
        assert len(await consent.owed(transaction, account_id, START_MS)) == 1
        await consent.check_keys(transaction, account_id, START_MS)


async def test_O3_who_never_agreed_owes_every_required_item(
        db: Database, holder: Actor) -> None:
    who = holder.account or ""
    owed = await consent.owing(db, who, START_MS)
    assert {each.edition.name: each.items for each in owed} == {
        "terms": ("terms",), "privacy": ("privacy", "processing_in_china")}
    async with db.reading() as transaction:
        with pytest.raises(RelayError):
            await consent.check_keys(transaction, who, START_MS)
    await publish(db, version=2, gate="console", items=("marketing",))
    [privacy] = [o for o in await consent.owing(db, who, START_MS) if o.edition.name == "privacy"]
    assert privacy.edition.version == 2
    assert privacy.items == ("marketing", "privacy", "processing_in_china")
    await consent.agree(db, holder, who, ITEMS, EN, START_MS)
    assert await consent.owing(db, who, START_MS) == []


async def test_before_anything_is_published_nothing_is_owed(db: Database) -> None:
    made = await account.create(db, "ann@example.org", None, START_MS)
    assert await consent.owing(db, made.id, START_MS) == []


async def test_an_item_that_is_not_in_the_table_is_the_caller_s_fault(
        db: Database, holder: Actor) -> None:
    async with db.writing() as transaction:
        offer = (await consent.offers(transaction, "en", START_MS))[0]
        with pytest.raises(AssertionError):
            await consent.record(transaction, "acct_1", "x", offer.served("api"), START_MS)
