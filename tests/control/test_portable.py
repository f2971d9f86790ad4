"""What can be handed out: every table that the inventory exports has its document."""

from __future__ import annotations

import pytest

from relayd.control import inventory, portable
from relayd.control.portable import DOCUMENTS, SCOPES, Span
from relayd.core import portable as core_portable
from relayd.core.lawful import CONTENT
from relayd.core.lawful import SCOPES as WORDS
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
    "call_records": "calls", "rollups": "totals", "network_records": "network_records",
    "outbox": "letters", "consents": "consents", "notice_answers": "objections",
    "tickets": "tickets", "ticket_messages": "tickets", "erasures": "erasures",
    "audit_log": "access", "abuse_findings": "findings", "orders": "orders",
    "refunds": "refunds", "disputes": "disputes", "ledger_accounts": "books",
    "transfers": "books", "entries": "books", "account_use": "spending",
    "credit_lines": "credit", "account_plans": "plans", "subscriptions": "subscriptions",
    "grants": "grants", "code_uses": "codes", "balance_alerts": "alerts", "legal_vault": "orders",
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
