"""What can be handed out: every table that the inventory exports has its document."""

from __future__ import annotations

import asyncio

import pytest

from relayd.control import inventory, network, portable
from relayd.control.portable import DOCUMENTS, SCOPES, Span
from relayd.core import portable as core_portable
from relayd.core.lawful import CONTENT
from relayd.core.lawful import SCOPES as WORDS
from relayd.core.network import NetworkRecord
from relayd.core.timestamp import rfc3339
from relayd.store.db import Database
from tests.fakes.person import make_person
from tests.fakes.records import START_MS


def test_documents_and_their_schema_are_one_list() -> None:
    assert list(DOCUMENTS) == list(core_portable.DOCUMENTS)
    assert {*SCOPES, CONTENT} == set(WORDS)


OF_TABLES = {
    "accounts": "account", "holders": "account", "totp": "second_factors",
    "passkeys": "second_factors", "account_roles": "roles", "sessions": "sessions",
    "sign_ins": "sign_ins", "api_keys": "keys", "account_limits": "account", "key_limits": "keys",
    "call_records": "calls", "app_rollups": "calls", "rollups": "totals",
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
    assert set(OF_TABLES.values()) == set(DOCUMENTS)


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
