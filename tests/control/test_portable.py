"""What can be handed out: every table that the inventory exports has its document."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relayd.control import (
    account, audit, erasure, fapiao, inventory, invoice, key, lawful, limit, mail, network,
    passkey, portable, usage,
)
from relayd.control.erasure import Wish
from relayd.control.invoice import Draft, Seller
from relayd.control.key import KeyWish
from relayd.control.lawful import Entry, Hand
from relayd.control.portable import DOCUMENTS, SCOPES, Span
from relayd.core import portable as core_portable
from relayd.core.actor import SHELL, SYSTEM
from relayd.core.fapiao import Fapiao
from relayd.core.invoice import Line, month
from relayd.core.lawful import CONTENT
from relayd.core.lawful import SCOPES as WORDS
from relayd.core.network import NetworkRecord
from relayd.core.operator import Operator
from relayd.core.passkey import Passkey
from relayd.core.retention import Terms
from relayd.core.timestamp import rfc3339
from relayd.store import fapiao as store_fapiao
from relayd.store import passkey as store_passkey
from relayd.store.db import Database
from relayd.store.parcel import recipient
from tests.fakes.person import make_person
from tests.fakes.records import START_MS, call_record


def test_documents_and_their_schema_are_one_list() -> None:
    assert list(DOCUMENTS) == list(core_portable.DOCUMENTS)
    assert {*SCOPES, CONTENT} == set(WORDS)


OF_TABLES = {
    "accounts": "account", "holders": "account", "totp": "second_factors",
    "passkeys": "second_factors", "account_roles": "roles", "sessions": "sessions",
    "sign_ins": "sign_ins", "api_keys": "keys", "account_limits": "account", "key_limits": "keys",
    "call_records": "calls", "app_rollups": "calls", "rollups": "hours",
    "network_records": "network_records",
    "outbox": "letters", "consents": "consents", "notice_answers": "objections",
    "tickets": "tickets", "ticket_messages": "tickets", "erasures": "erasures",
    "key_exposures": "exposures", "identity_checks": "identity_checks",
    "audit_log": "access", "abuse_findings": "findings", "orders": "orders",
    "refunds": "refunds", "disputes": "disputes", "ledger_accounts": "books",
    "transfers": "books", "entries": "books", "account_use": "spending",
    "credit_lines": "credit", "account_plans": "plans", "subscriptions": "subscriptions",
    "grants": "grants", "code_uses": "codes", "balance_alerts": "alerts", "legal_vault": "orders",
    "invoices": "invoices", "invoice_lines": "invoices", "enterprises": "enterprise",
    "fapiao": "fapiao", "fapiao_orders": "fapiao", "fapiao_files": "fapiao",
}


def test_Y2_every_table_that_the_inventory_exports_has_its_document() -> None:
    exported = {each.table for each in inventory.read().fields
                if each.export and each.place == "relayd.db"}
    assert exported - set(OF_TABLES) == set()
    assert {*OF_TABLES.values(), "totals"} == set(DOCUMENTS)


@pytest.mark.parametrize("name", list(DOCUMENTS))
async def test_only_the_schema_s_fields(db: Database, name: str) -> None:
    who = await make_person(db)
    rows = [row async for row in DOCUMENTS[name](db, who, Span(0, START_MS + 9))]
    fields = set(core_portable.DOCUMENTS[name].fields)
    assert all(set(row) <= fields for row in rows)


async def test_a_span_bounds_what_has_a_time(db: Database) -> None:
    who = await make_person(db)
    for name in ("calls", "network_records", "sign_ins", "orders"):
        rows = [row async for row in DOCUMENTS[name](db, who, Span(0, START_MS))]
        assert rows == []
    assert [row async for row in portable.SCOPES["orders"](db, who, Span(START_MS, START_MS + 1))]


async def test_network_records_of_many_days_and_of_the_span_alone(db: Database) -> None:
    who = await make_person(db)
    moments = [START_MS + day * 86_400_000 + n for day in (0, 1, 1, 40) for n in range(3)]
    await network.post(db, [
        NetworkRecord(at_ms, who, "key_1", "192.0.2.7", 1, "1.3", "x/1") for at_ms in moments])
    await network.post(db, [
        NetworkRecord(START_MS, "acct_other", "key_2", "192.0.2.8", 1, "1.3", "x/1")])
    whole = Span(0, START_MS + 41 * 86_400_000)
    rows = [row async for row in DOCUMENTS["network_records"](db, who, whole)]
    assert [row["at"] for row in rows] == [rfc3339(at_ms) for at_ms in sorted(moments)]
    part = Span(START_MS + 1, START_MS + 86_400_000 + 1)
    rows = [row async for row in DOCUMENTS["network_records"](db, who, part)]
    assert len(rows) == 2 + 2


@pytest.mark.parametrize("name", list(DOCUMENTS))
async def test_no_transaction_is_open_while_a_row_is_handed_out(db: Database, name: str) -> None:
    who = await make_person(db)
    await network.post(db, [NetworkRecord(START_MS, who, "key_1", "192.0.2.7", 1, "1.3", "x/1")])
    async for _ in DOCUMENTS[name](db, who, Span(0, START_MS + 9_999)):
        async with asyncio.timeout(5), db.reading() as transaction:
            assert await transaction.row("SELECT 1") == (1,)
        async with asyncio.timeout(5), db.writing() as transaction:
            await transaction.run("UPDATE meta SET value = value")


IN_OTHER_WORDS = {
    "holders.password_at_ms": "password_set_at", "holders.dormant_steps": "reminders",
    "holders.dormant_at_ms": "reminded_at", "api_keys.account_id": "account",
    "account_limits.name": "limits", "account_limits.value": "limits",
    "key_limits.name": "limits", "key_limits.value": "limits", "totp.confirmed": "kind",
    "network_records.sealed": "address", "consents.digest": "sha256",
    "ticket_messages.author": "messages", "ticket_messages.written_at_ms": "messages",
    "ticket_messages.body": "messages", "audit_log.roles": "by", "audit_log.via": "by",
    "invoices.series": "number", "invoices.year": "number", "invoices.sequence": "number",
    "invoice_lines.reference": "lines", "invoice_lines.kind": "lines",
    "invoice_lines.calls": "lines", "invoice_lines.input_tokens": "lines",
    "invoice_lines.output_tokens": "lines", "invoice_lines.amount_nano": "lines",
    "fapiao_orders.order_id": "orders", "fapiao_orders.amount_minor": "orders",
    "fapiao_files.format": "files", "fapiao_files.content": "files",
    "transfers.number": "transfer", "ledger_accounts.kind": "account_kind",
    "app_rollups.hour_ms": "started_at",
}
"""The field of its document that says what a column holds."""
SAYS_NOTHING = {
    # the account itself, or the row that is told with it
    "account_id", "owner", "target", "ticket_id", "invoice_id", "fapiao_id", "ledger_account",
    # numbers of rows
    "sign_ins.id", "abuse_findings.id", "consents.number", "invoice_lines.position",
    "ledger_accounts.number", "audit_log.seq", "audit_log.hash", "key_limits.key_id",
    # sums of what is told row by row
    "app_rollups.calls", "ledger_accounts.balance_nano",
    # when the operator answered, and what it was before the erasure
    "tickets.first_answer_at_ms", "fapiao_files.stored_at_ms", "erasures.was",
    # theirs who have no account
    "tickets.contact",
    # has its own page, which the mail has a link to
    "erasures.certificate",
}


def test_Y2_every_column_that_the_inventory_exports_is_in_its_document() -> None:
    missing = []
    for field in inventory.read().fields:
        name = field.full_name
        column = name.partition(".")[2]
        if not field.export or field.place != "relayd.db" or {name, column} & SAYS_NOTHING:
            continue
        fields = core_portable.DOCUMENTS[OF_TABLES[field.table]].fields
        words = {column, column.removesuffix("_ms"), column.removesuffix("_id"),
                 IN_OTHER_WORDS.get(name, "")}
        if not words & set(fields):
            missing.append(name)
    assert missing == []


async def test_Y2_more_letters_than_a_page_has_are_all_in_it(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "LISTED_MAX", 2)
    who = await make_person(db)
    async with db.writing() as transaction:
        for _ in range(5):
            await mail.post(
                transaction, "erasure_cancelled", who, {"link": "https://c.example"}, START_MS)
    rows = [row async for row in DOCUMENTS["letters"](db, who, Span())]
    assert len([row for row in rows if row["kind"] == "erasure_cancelled"]) == 5


async def test_Y2_every_erasure_that_was_asked_for_is_in_it(db: Database) -> None:
    who = await make_person(db)
    for at_ms in (START_MS, START_MS + 9):
        asked = await erasure.ask(db, SHELL, who, Wish(), at_ms)
        await erasure.cancel(db, SHELL, asked, at_ms + 1)
    rows = [row async for row in DOCUMENTS["erasures"](db, who, Span())]
    assert [row["state"] for row in rows] == ["cancelled", "cancelled"]


async def test_Y2_what_is_priced_and_the_sums_by_the_hour_are_in_it(db: Database) -> None:
    who = await make_person(db)
    [call, *_] = [row async for row in DOCUMENTS["calls"](db, who, Span())]
    assert call["images"] == 0 and call["audio_seconds"] == 0
    [hour] = [row async for row in DOCUMENTS["hours"](db, who, Span())]
    assert (hour["hour_ms"], hour["calls"]) == (START_MS, 3) and hour["key_id"]


async def test_hours_come_a_few_at_a_time_and_none_twice(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable, "HOURS_AT_ONCE", 2)
    who = (await account.create(db, "zeisig@example.org", None, START_MS)).id
    await usage.post(db, [
        call_record(started_at_ms=START_MS + hour * 3_600_000, account=owner, model=model)
        for hour in (0, 1, 5, 5, 900) for owner in (who, "acct_other")
        for model in ("one", "two", None)])
    rows = [row async for row in DOCUMENTS["hours"](db, who, Span())]
    assert [((row["hour_ms"] - START_MS) // 3_600_000, row["calls"]) for row in rows] == [
        (0, 1)] * 3 + [(1, 1)] * 3 + [(5, 2)] * 3 + [(900, 1)] * 3
    assert {row["model"] for row in rows} == {"one", "two", None}
    part = Span(START_MS + 1, START_MS + 900 * 3_600_000)
    assert len([row async for row in DOCUMENTS["hours"](db, who, part)]) == 6


async def test_all_keys_are_handed_out_some_at_a_time(
    db: Database, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(portable, "KEYS_AT_ONCE", 2)
    who = (await account.create(db, "ann@example.org", None, START_MS)).id
    for count in range(5):
        rows = [row async for row in DOCUMENTS["keys"](db, who, Span())]
        assert [row["name"] for row in rows] == [f"k{number}" for number in range(count)]
        assert [row["limits"]["concurrent"] for row in rows] == [3] * count
        made = await key.create(db, who, KeyWish(f"k{count}"), START_MS + count)
        await limit.change(db, "key", made.key.id, {"concurrent": "3"}, START_MS)


async def test_the_newest_looks_are_those_of_the_document(db: Database) -> None:
    who = await make_person(db)
    for number in range(3):
        await key.create(db, who, KeyWish("k"), START_MS + number)
    rows = [row async for row in DOCUMENTS["access"](db, who, Span())]
    assert len(rows) > 3
    assert await portable.newest_looks(db, who, 1000) == rows[::-1]
    assert await portable.newest_looks(db, who, 2) == rows[:-3:-1]


async def told(db: Database, name: str, who: str, span: Span = Span()) -> list[Any]:
    return [row async for row in DOCUMENTS[name](db, who, span)]


async def test_Y2_nothing_that_others_did_with_others_is_in_it(db: Database) -> None:
    who = await make_person(db)
    before = await told(db, "access", who)
    other = (await account.create(db, "other@example.org", None, START_MS)).id
    issued = await key.create(db, other, KeyWish("theirs"), START_MS)
    await key.revoke(db, issued.key.id, START_MS)
    async with db.writing() as transaction:
        await audit.append(transaction, SYSTEM, "audit.prune", None, START_MS)
    assert await told(db, "access", who) == before
    assert await portable.newest_looks(db, who, 1000) == before[::-1]
    assert [row["action"] for row in await told(db, "access", other)] == [
        "account.create", "key.create", "key.revoke"]


async def test_Y2_what_a_court_asked_for_is_in_it_once_its_owner_may_know(db: Database) -> None:
    who = await make_person(db)
    request = await lawful.enter(db, Hand(SHELL, "x", "ann"), Entry(
        who, "court_order", "c", "r", "ab" * 32, ("profile",), 0, START_MS, "x",
        gag_until_ms=START_MS + 9), Terms(), START_MS)
    await lawful.approve(db, Hand(SHELL, "x", "bob"), request.id, START_MS)
    await lawful.produce(
        db, Hand(SHELL, "x", "ann"), request.id, recipient(None, "a long passphrase"), START_MS)

    async def seen() -> list[tuple[str, ...]]:
        newest = await portable.newest_looks(db, who, 99)
        return [tuple(row["action"] for row in rows if row["action"].startswith("request."))
                for rows in (await told(db, "access", who), newest[::-1])]

    assert await seen() == [(), ()]
    await lawful.tell(db, START_MS + 9)
    assert await seen() == [
        ("request.open", "request.approve", "request.produce", "request.tell")] * 2


async def test_Y2_passkeys_invoices_and_fapiao_are_in_it_as_they_are(db: Database) -> None:
    who = await make_person(db)
    key_ = Passkey("pk_1", who, b"id", b"key", "phone", 0, START_MS)
    blue = Fapiao("fap_1", who, "ordinary", "rejected", 100, 6, 600, START_MS + 5,
                  START_MS + 9, (), {"name": "A"})
    async with db.writing() as transaction:
        await store_passkey.insert(transaction, key_)
        await store_fapiao.insert(transaction, blue)
        made = await invoice.issue(transaction, Seller(Operator(name="S")), Draft(
            who, "use", "USD", month("2026-01"), [Line("use", "m", 10 ** 9, 1)]), START_MS + 5)
    assert await told(db, "second_factors", who) == [{"kind": "passkey", **passkey.view(key_)}]
    for name, row in (("invoices", invoice.view(made)),
                      ("fapiao", {**fapiao.view(blue), "files": {}})):
        assert await told(db, name, who) == [row]
        assert await told(db, name, who, Span(START_MS + 5, START_MS + 6)) == [row]
        for span in (Span(0, START_MS + 5), Span(START_MS + 6, START_MS + 99)):
            assert await told(db, name, who, span) == []
