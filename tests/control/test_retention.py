"""Retention: whole hours go, the oldest first; their sums stay, and the checks know of it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest

from relayd.control import (
    account, audit, consent, erasure, journal, keyring, lawful, ledger, mail, mail_token,
    network, retention, ticket, usage, vault,
)
from relayd.control.lawful import Entry, Hand
from relayd.control.ticket import Writing
from relayd.core.account import Account
from relayd.core.actor import SHELL
from relayd.core.consent import Served
from relayd.core.fapiao import Fapiao
from relayd.core.holder import SignIn
from relayd.core.network import NetworkRecord
from relayd.core.partner import PartnerEvent
from relayd.core.retention import BY_NAME, CATEGORIES, Terms, year_end_ms
from relayd.core.timestamp import DAY_MS, HOUR_MS
from relayd.core.vault import Item
from relayd.jobs.retention import Retention
from relayd.store import account as store_account
from relayd.store import backup
from relayd.store import fapiao as store_fapiao
from relayd.store import partner as store_partner
from relayd.store import sign_in as store_sign_in
from relayd.store import vault as store_vault
from relayd.store.applied import Applied
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from relayd.store.journal import JournalWriter
from relayd.store.journal_lane import claim
from relayd.store.record import CallFilter
from relayd.wire.identity import epoch_of
from tests.fakes.erased import erase
from tests.fakes.person import make_person
from tests.fakes.records import START_MS, call_record


def test_the_end_is_the_start_of_an_hour() -> None:
    now_ms = START_MS + 5 * DAY_MS + HOUR_MS - 1
    assert retention.ends_ms(now_ms, 5) == START_MS
    assert retention.ends_ms(now_ms + 1, 5) == START_MS + HOUR_MS
    assert retention.ends_ms(now_ms, 36_500) == 0


async def test_I2b_the_oldest_go_first_and_the_sums_stay(db: Database) -> None:
    moments = [START_MS + 5, START_MS + HOUR_MS - 1, START_MS + HOUR_MS, START_MS + 3 * HOUR_MS]
    records = [call_record(started_at_ms=moment) for moment in moments]
    await usage.post(db, list(reversed(records)))
    before = await usage.totals(db, CallFilter())
    end = START_MS + 2 * HOUR_MS
    assert await retention.kept_from_ms(db) == 0
    assert await retention.sweep_batch(db, end, 2) == 2
    assert [each async for each in usage.calls(db, CallFilter())] == records[2:]
    assert await retention.kept_from_ms(db) == end
    assert await retention.sweep_batch(db, end, 2) == 1
    assert await retention.sweep_batch(db, end, 2) == 0
    assert [each async for each in usage.calls(db, CallFilter())] == records[3:]
    assert await usage.totals(db, CallFilter()) == before


async def test_nothing_to_delete_changes_nothing(db: Database) -> None:
    await usage.post(db, [call_record()])
    assert await retention.sweep_batch(db, START_MS) == 0
    assert await retention.kept_from_ms(db) == 0


async def test_days_that_grow_again_bring_nothing_back(db: Database) -> None:
    await usage.post(db, [call_record(started_at_ms=START_MS + n * HOUR_MS) for n in range(3)])
    await retention.sweep_batch(db, START_MS + 2 * HOUR_MS)
    await usage.post(db, [call_record(started_at_ms=START_MS - 5)])
    assert await retention.sweep_batch(db, START_MS) == 1
    assert await retention.kept_from_ms(db) == START_MS + 2 * HOUR_MS


async def test_the_ledger_is_held_against_what_is_kept(db: Database) -> None:
    await usage.post(db, [call_record(started_at_ms=START_MS + n * HOUR_MS) for n in range(3)])
    await retention.sweep_batch(db, START_MS + HOUR_MS)
    assert await ledger.verify(db) == []
    async with db.writing() as transaction:
        await transaction.run("UPDATE rollups SET calls = 7")
    assert [each.key.hour_ms for each in await ledger.verify(db)] == [
        START_MS + HOUR_MS, START_MS + 2 * HOUR_MS]


async def test_a_call_of_the_journal_that_was_swept_is_not_lost(db: Database) -> None:
    (lane,) = claim(db.directory)
    writer = JournalWriter(lane.directory)
    await writer.start()
    swept, missing = call_record(), call_record(started_at_ms=START_MS + HOUR_MS)
    assert swept.started_at_ms < START_MS + HOUR_MS
    for record in (swept, missing):
        writer.close(record)
    await usage.post(db, [swept], applied=Applied(0, 2))
    await retention.sweep_batch(db, START_MS + HOUR_MS)
    found = await journal.verify(db)
    assert [each.logged for each in found.mismatches] == [missing]
    await writer.stop(stored=True)
    lane.release()


# The time machine: each category is there until its floor, and gone a day after its term.


async def sessions(db: Database, who: str) -> None:
    async with db.writing() as transaction:
        await transaction.run(
            "INSERT INTO sessions (id, digest, account_id, stage, method, two_factors, device,"
            " created_at_ms, used_at_ms, proved_at_ms)"
            " VALUES ('s', zeroblob(32), ?, 'open', 'link', 0, 'x', ?, ?, ?)",
            (who, START_MS, START_MS + 30 * DAY_MS - 1, START_MS))


async def mail_links(db: Database, who: str) -> None:
    async with db.writing() as transaction:
        await mail_token.issue(transaction, who, "reset", START_MS)


async def sign_ins(db: Database, who: str) -> None:
    async with db.writing() as transaction:
        await store_sign_in.insert(transaction, SignIn(
            "si_1", who, START_MS, "signed_in", "link", "x", "192.0.2.7"))


async def network_records(db: Database, who: str) -> None:
    await network.post(db, [NetworkRecord(START_MS, who, "key_1", "192.0.2.7", 5, "1.3", "x/1")])


async def call_records(db: Database, who: str) -> None:
    await usage.post(db, [call_record(account=who, started_at_ms=START_MS)])


async def totals(db: Database, who: str) -> None:
    await call_records(db, who)
    await erase(db, who, START_MS)


async def letters(db: Database, who: str) -> None:
    async with db.writing() as transaction:
        await mail.post(transaction, "email_known", who, {"link": "-"}, START_MS)
        await transaction.run(
            "UPDATE outbox SET state = 'sent', recipient = NULL, fields = NULL, ended_at_ms = ?",
            (START_MS,))


async def tickets(db: Database, who: str) -> None:
    made = await ticket.open_ticket(db, Writing("question", "s", "b", account=who), START_MS)
    await ticket.close(db, SHELL, made.id, START_MS)


async def orders(db: Database, who: str) -> None:
    async with db.writing() as transaction:
        await transaction.run(
            "INSERT INTO orders (id, account_id, partner, currency, amount_minor, state, trade,"
            " created_at_ms, expires_at_ms, paid_at_ms) VALUES ('o', ?, 'stripe', 'USD', 5,"
            " 'credited', 'pi_1', ?, ?, ?)", (who, START_MS, START_MS, START_MS))


async def invoices(db: Database, who: str) -> None:
    terms = Terms()
    async with db.writing() as transaction:
        await store_vault.insert(transaction, Item(
            "vlt_1", who, "invoice", START_MS + terms.ms("invoices"), START_MS, {"id": "i"}))


async def consents(db: Database, who: str) -> None:
    async with db.writing() as transaction:
        await consent.record(transaction, who, "terms", Served(
            "terms", 1, "ab" * 32, "en", "console"), START_MS)
        found = await store_account.get(transaction, who)
        await account.empty(transaction, found, START_MS)


async def erasures(db: Database, who: str) -> None:
    await erase(db, who, START_MS)


async def entered(db: Database, who: str) -> str:
    return (await lawful.enter(db, Hand(SHELL, "x", "ann"), Entry(
        who, "court_order", "c", "r", "ab" * 32, ("profile",), 0, START_MS, "x"), Terms(),
        START_MS)).id


async def legal_requests(db: Database, who: str) -> None:
    await lawful.refuse(db, Hand(SHELL, "x", "bob"), await entered(db, who), START_MS)


async def backups(db: Database, who: str) -> None:
    path = backup.save_before_migration(db.directory, 7, "20260101T000000Z")
    os.utime(path, (START_MS / 1000, START_MS / 1000))


CASES: dict[str, tuple[Callable[[Database, str], Awaitable[None]], str]] = {
    "mail_links": (mail_links, "SELECT COUNT(*) FROM mail_tokens"),
    "sessions": (sessions, "SELECT COUNT(*) FROM sessions"),
    "sign_ins": (sign_ins, "SELECT COUNT(*) FROM sign_ins"),
    "network_records": (network_records, "SELECT COUNT(*) FROM network_records"),
    "call_records": (call_records, "SELECT COUNT(*) FROM call_records"),
    "totals": (totals, "SELECT COUNT(*) FROM rollups WHERE account_id <> ''"),
    "letters": (letters, "SELECT COUNT(*) FROM outbox"),
    "tickets": (tickets, "SELECT COUNT(*) FROM tickets"),
    "orders": (orders, "SELECT COUNT(*) FROM orders WHERE trade IS NOT NULL"),
    "invoices": (invoices, "SELECT COUNT(*) FROM legal_vault"),
    "consents": (consents, "SELECT COUNT(*) FROM consents"),
    "erasures": (erasures, "SELECT COUNT(*) FROM erasures"),
    "legal_requests": (legal_requests, "SELECT COUNT(*) FROM legal_requests"),
}


async def sweep_all(db: Database, terms: Terms, now_ms: int) -> None:
    await Retention(db, lambda: terms, now_ms=lambda: now_ms).look()


async def there(db: Database, name: str) -> int:
    async with db.reading() as transaction:
        row = await transaction.row(CASES[name][1])
    return 0 if row is None else int(row[0])


def term_ms(name: str, terms: Terms) -> int:
    # sums lead to an erased account as long as its call records are kept
    return terms.ms("call_records" if name == "totals" else name)


@pytest.mark.parametrize("name", list(CASES))
async def test_R1_there_until_its_term_and_gone_a_day_after(db: Database, name: str) -> None:
    who = (await account.create(db, "zeisig@example.org", None, START_MS)).id
    await CASES[name][0](db, who)
    terms = Terms()
    assert await there(db, name) == 1
    early_ms = 60_000 if name == "mail_links" else HOUR_MS
    await sweep_all(db, terms, START_MS + term_ms(name, terms) - early_ms)
    assert await there(db, name) == 1, "gone before its term"
    await sweep_all(db, terms, START_MS + term_ms(name, terms) + DAY_MS)
    assert await there(db, name) == 0, "there after its term"


# not the vault's: its end is fixed when something is put in
@pytest.mark.parametrize(
    "name", [name for name in CASES if BY_NAME[name].option and name != "invoices"])
async def test_R1_never_before_its_floor(db: Database, name: str) -> None:
    who = (await account.create(db, "zeisig@example.org", None, START_MS)).id
    await CASES[name][0](db, who)
    category = BY_NAME[name]
    terms = Terms({name: category.floor})
    floor_ms = START_MS + terms.ms(name)
    await sweep_all(db, terms, floor_ms - HOUR_MS)
    assert await there(db, name) == 1
    await sweep_all(db, terms, floor_ms + DAY_MS)
    assert await there(db, name) == 0


async def test_R1_an_unverified_registration_is_gone_after_a_day(db: Database) -> None:
    async with db.writing() as transaction:
        await store_account.insert(transaction, Account(
            "acct_1", "zeisig@example.org", None, "unverified", START_MS))
    await sweep_all(db, Terms(), START_MS + DAY_MS - HOUR_MS)
    assert (await account.find(db, "acct_1")).email == "zeisig@example.org"
    await sweep_all(db, Terms(), START_MS + DAY_MS + HOUR_MS)
    assert (await account.find(db, "acct_1")).email is None
    assert "acct_1" in db.keyring.owners(destroyed=True)


async def test_R1_messages_of_partners_go_with_what_an_order_has_of_them(db: Database) -> None:
    async with db.writing() as transaction:
        for number, at_ms in enumerate((START_MS, START_MS, START_MS + 9 * DAY_MS)):
            await store_partner.insert(transaction, PartnerEvent(
                "stripe", f"evt_{number}", "paid", "o"), "credited", at_ms)
    term_ms = Terms().ms("orders")

    async def left() -> list[str]:
        async with db.reading() as transaction:
            return [row[0] for row in await transaction.rows(
                "SELECT event FROM partner_events ORDER BY event")]

    await sweep_all(db, Terms(), START_MS + term_ms)
    assert await left() == ["evt_0", "evt_1", "evt_2"]
    assert await retention.SWEEPERS["orders"](db, Terms(), START_MS + term_ms + 1, 1) == 1
    await sweep_all(db, Terms(), START_MS + term_ms + 1)
    assert await left() == ["evt_2"]


async def test_R1_a_letter_that_nobody_could_send_goes_too(db: Database) -> None:
    who = (await account.create(db, "zeisig@example.org", None, START_MS)).id
    async with db.writing() as transaction:
        await mail.post(transaction, "email_known", who, {"link": "-"}, START_MS)
    await sweep_all(db, Terms(), START_MS + 190 * DAY_MS)
    assert len(await mail.listing(db)) == 1
    await sweep_all(db, Terms(), START_MS + 190 * DAY_MS + 1)
    assert await mail.listing(db) == []


async def test_R1_copies_before_migrations_go_after_35_days(db: Database) -> None:
    await backups(db, "")
    folder = db.directory / "backups"
    await sweep_all(db, Terms(), START_MS + 35 * DAY_MS)
    assert len(list(folder.iterdir())) == 1
    await sweep_all(db, Terms(), START_MS + 36 * DAY_MS)
    assert list(folder.iterdir()) == []


async def test_R2_what_a_killed_restore_left_goes_after_a_day(db: Database) -> None:
    draft = db.directory / backup.DRAFT_NAME
    draft.mkdir()
    os.utime(draft, (START_MS / 1000, START_MS / 1000))
    await sweep_all(db, Terms(), START_MS + DAY_MS - HOUR_MS)
    assert draft.exists()
    await sweep_all(db, Terms(), START_MS + DAY_MS + HOUR_MS)
    assert not draft.exists()


async def test_R2_keys_go_with_what_they_sealed(db: Database) -> None:
    who = (await account.create(db, "zeisig@example.org", None, START_MS)).id
    await network_records(db, who)
    await invoices(db, who)
    async with db.writing() as transaction:
        await mail.post(transaction, "email_known", None, {"link": "-"}, START_MS,
                        to=mail.To("stieglitz@example.org", "en"))
    year = f"vault:{2055 + (START_MS + Terms().ms('invoices') >= year_end_ms(2055))}"
    stood = f"{keyring.PSEUDONYMS}{epoch_of(START_MS)}"
    keyring.pseudonym_secret(db.keyring, epoch_of(START_MS))
    assert {"month:2026-01", "mail:2026-01", year, stood} <= set(db.keyring.owners())
    await sweep_all(db, Terms(), START_MS + 223 * DAY_MS)
    assert not {"month:2026-01", "mail:2026-01", stood} & set(db.keyring.owners())
    await sweep_all(db, Terms(), year_end_ms(int(year[6:])))
    assert year in db.keyring.owners(destroyed=True)
    events = [entry.event.action async for entry in audit.listing(db)]
    assert "vault.destroy" in events


async def test_R2_no_key_goes_before_what_it_sealed(db: Database) -> None:
    """Keys are of months: what is of the last moment of one is there as long as its own term."""
    who = (await account.create(db, "zeisig@example.org", None, START_MS)).id
    last_ms, terms = START_MS + 31 * DAY_MS - 1, Terms({"network_records": 200, "sign_ins": 190})
    await network.post(db, [NetworkRecord(last_ms, who, "key_1", "192.0.2.7", 4711, "1.3", "c")])
    async with db.writing() as transaction:
        await mail.post(transaction, "email_known", None, {"link": "-"}, last_ms,
                        to=mail.To("stieglitz@example.org", "en"))
    for since, now_ms in (("mail", last_ms + terms.ms("letters")),
                          ("month", last_ms + 200 * DAY_MS)):
        await sweep_all(db, terms, now_ms - HOUR_MS)
        assert f"{since}:2026-01" in db.keyring.owners()
        await sweep_all(db, terms, now_ms + 1)
        assert f"{since}:2026-01" in db.keyring.owners(destroyed=True)


async def test_R2_a_key_that_a_crash_left_goes_with_the_next_sweep(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = (await account.create(db, "zeisig@example.org", None, START_MS)).id
    async with db.writing() as transaction:
        await account.empty(transaction, await store_account.get(transaction, who), START_MS)
    await retention.SWEEPERS["erasures"](db, Terms(), START_MS, 9)
    assert who in db.keyring.owners(destroyed=True)

    async def fails(_: Database) -> int:
        raise StoreError(code)

    monkeypatch.setattr(erasure, "finish", fails)
    code = "store_busy"  # a reader is in the way
    assert await retention.SWEEPERS["erasures"](db, Terms(), START_MS, 9) == 0
    code = "store_failed"
    with pytest.raises(StoreError):
        await retention.SWEEPERS["erasures"](db, Terms(), START_MS, 9)


async def test_what_ends_by_itself_ends_with_a_sweep(db: Database) -> None:
    who = await make_person(db)
    await entered(db, who)
    await erase(db, who, START_MS)
    async with db.writing() as transaction:
        await transaction.run("UPDATE orders SET state = 'refunded' WHERE id = 'ord_1'")
    await sweep_all(db, Terms(), START_MS + lawful.EXPIRES_DAYS * DAY_MS)
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT state FROM legal_requests") == [("expired",)]
    # the order had not ended when its account was erased
    assert {item.content["id"] for item in await vault.look(db, SHELL, who, "x", START_MS)
            if item.kind == "order"} == {"ord_0", "ord_1"}


async def test_a_reader_does_not_make_a_sweep_fail(db: Database) -> None:
    await call_records(db, "acct_1")
    job = Retention(db, Terms, now_ms=lambda: START_MS)
    async with db.reading() as transaction:
        await transaction.rows("SELECT * FROM accounts")
        assert await retention.SWEEPERS["backups"](db, Terms(), START_MS, 9) == 0
    other = await open_database(db.directory, busy_ms=100)
    async with other.reading() as transaction:
        await transaction.rows("SELECT * FROM accounts")
        await job.look()
    await other.close()
    assert job.failures == 0 and set(job.noted) >= set(retention.SWEEPERS)


async def test_totals_of_the_erased_lead_to_nobody_and_still_add_up(db: Database) -> None:
    people = [(await account.create(db, f"{n}@example.org", None, START_MS)).id for n in range(3)]
    for who in people:
        await usage.post(db, [call_record(account=who, started_at_ms=START_MS, amount_nano=5)])
    before = sum(each.sums.calls for each in await usage.totals(db, CallFilter()))
    for who in people[:2]:
        await erase(db, who, START_MS)
    await sweep_all(db, Terms(), START_MS + 191 * DAY_MS)
    async with db.reading() as transaction:
        rows = await transaction.rows("SELECT account_id, key_id, calls FROM rollups ORDER BY 1")
    assert rows == [("", "", 2), (people[2], "key_1", 1)]
    assert sum(each.sums.calls for each in await usage.totals(db, CallFilter())) == before
    assert await ledger.verify(db) == []


async def test_the_schedule_shows_terms_and_the_last_sweep(db: Database) -> None:
    await call_records(db, "acct_1")
    await sign_ins(db, (await account.create(db, "zeisig@example.org", None, START_MS)).id)
    await sweep_all(db, Terms({"tickets": 9}), START_MS + 200 * DAY_MS)
    shown = await retention.schedule(db, Terms({"tickets": 9}))
    found = {each["category"]: each for each in shown}
    assert list(found) == [each.name for each in CATEGORIES]
    assert found["call_records"]["last_sweep"] == {
        "at": "2026-07-20T00:00:00.000Z", "rows": 1, "all_rows": 1}
    assert found["tickets"]["term"] == 9 and found["content"]["last_sweep"] is None
    assert found["sign_ins"]["last_sweep"] == {
        "at": "2026-07-20T00:00:00.000Z", "rows": 1, "all_rows": 1}
    # every category that can be swept says when it was
    swept = {name for name, each in found.items() if each["last_sweep"]}
    assert swept == set(found) - {"content", "audit"}


@pytest.mark.parametrize("most", [1, 2, 3, 99])
async def test_copies_and_fapiao_end_with_the_invoices_so_many_at_once(
    db: Database, most: int
) -> None:
    async with db.writing() as transaction:
        await store_account.insert(
            transaction, Account("acct_1", "a@example.org", None, "active", 0))
        for name in ("vlt_1", "vlt_2"):
            await store_vault.insert(transaction, Item(
                name, "acct_1", "invoice", START_MS, 5, {"id": "i"}))
        for name, until_ms in (("fap_1", START_MS), ("fap_2", START_MS), ("fap_3", START_MS + 1)):
            await store_fapiao.insert(transaction, Fapiao(
                name, "acct_1", "ordinary", "rejected", 100, 6, 600, 5, until_ms, (),
                {"name": "A"}))
    done = []
    while rows := await retention.SWEEPERS["invoices"](db, Terms(), START_MS, most):
        done.append(rows)
    assert sum(done) == 4 and max(done) <= most
    async with db.reading() as transaction:
        assert await transaction.rows("SELECT 1 FROM legal_vault") == []
        assert await transaction.rows("SELECT id FROM fapiao") == [("fap_3",)]
