"""Correction: whatever somebody told us about themselves they can change, by themselves.

`GIVEN_ONCE` are statements and copies: a statement is made anew, a copy follows its original.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relayd.console import pages
from relayd.control import enterprise, inventory, portable
from relayd.control.portable import Span
from relayd.ops.config import Config
from relayd.store.db import open_database
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.console.test_key import api

CHANGED_BY: dict[str, tuple[str, str]] = {
    "accounts.email": ("POST", "/api/v1/email"),
    "accounts.name": ("PATCH", "/api/v1/account"),
    "accounts.username": ("PATCH", "/api/v1/account"),
    "accounts.language": ("PATCH", "/api/v1/account"),
    "accounts.country": ("PATCH", "/api/v1/account"),
    "holders.password": ("PUT", "/api/v1/password"),
    "passkeys.credential": ("DELETE", "/api/v1/passkeys/{passkey}"),
    "passkeys.public_key": ("DELETE", "/api/v1/passkeys/{passkey}"),
    "passkeys.name": ("DELETE", "/api/v1/passkeys/{passkey}"),
    "mail_tokens.value": ("POST", "/api/v1/email"),
    "api_keys.name": ("PATCH", "/api/v1/keys/{key}"),
    "api_keys.app": ("PATCH", "/api/v1/keys/{key}"),
    "api_keys.models": ("PATCH", "/api/v1/keys/{key}"),
    "api_keys.expires_at_ms": ("PATCH", "/api/v1/keys/{key}"),
    "key_limits.name": ("PATCH", "/api/v1/keys/{key}"),
    "key_limits.value": ("PATCH", "/api/v1/keys/{key}"),
    "consents.item": ("DELETE", "/api/v1/consents/{item}"),
    "consents.act": ("DELETE", "/api/v1/consents/{item}"),
    "tickets.class": ("POST", "/api/v1/tickets"),
    "tickets.subject": ("POST", "/api/v1/tickets"),
    "tickets.contact": ("POST", "/api/v1/contact"),
    "tickets.language": ("POST", "/api/v1/tickets"),
    "ticket_messages.body": ("POST", "/api/v1/tickets/{ticket}"),
    "orders.partner": ("POST", "/api/v1/orders"),
    "orders.currency": ("POST", "/api/v1/orders"),
    "orders.amount_minor": ("POST", "/api/v1/orders"),
    "rd_lang": ("POST", "/preferences"),
    "rd_theme": ("POST", "/preferences"),
}
CHANGED_IN_CONTROL = {"enterprises.profile": enterprise.change}
"""Fields whose use case is there, and no route of their own yet."""
GIVEN_ONCE = frozenset({
    # what stands on a document that was issued
    "invoices.buyer", "fapiao.buyer", "fapiao.kind",
    "holders.age_stated_at_ms", "call_records.app", "app_rollups.app", "opening.app", "close.app",
    "orders.client_key", "account_limits.name", "account_limits.value", "notice_answers.answer",
    "account_plans.plan", "subscriptions.plan", "subscriptions.version",
    "subscriptions.next_plan", "balance_alerts.currency", "balance_alerts.below_nano",
})


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Console]:
    db = await open_database(tmp_path / "store")
    made = Console(db, Config(providers={}, routes=()))
    await made.start()
    yield made
    await made.stop()
    await db.close()


def test_Y1_everything_that_its_owner_says_has_a_way_to_change_it() -> None:
    said = {field.full_name for field in inventory.read().fields if field.source == "user"}
    assert said == set(CHANGED_BY) | set(CHANGED_IN_CONTROL) | GIVEN_ONCE
    served = {(route.method, route.path) for route in pages.ROUTES}
    assert set(CHANGED_BY.values()) <= served


async def exported(console: Console, who: Person, name: str) -> list[dict[str, object]]:
    return [dict(row) async for row in portable.DOCUMENTS[name](
        console.db, who.account, Span(0, NOW_MS + 1))]


@pytest.mark.parametrize(("field", "value"), [
    ("name", "Zeisig"), ("username", "zeisig"), ("country", "DE"), ("language", "zh"),
])
async def test_Y1_the_account_s_fields(console: Console, field: str, value: str) -> None:
    who = await person(console.db, NOW_MS)
    status, _ = await api(console, who, "PATCH", "/api/v1/account", {field: value})
    assert status == 200
    [found] = await exported(console, who, "account")
    assert found[field] == value


async def test_Y1_a_key_s_fields(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    status, made = await api(console, who, "POST", "/api/v1/keys", {"name": "old", "app": "old"})
    assert status == 201
    path = f"/api/v1/keys/{made['key']['id'] if 'key' in made else made['id']}"
    status, _ = await api(console, who, "PATCH", path, {"name": "new", "app": "newer"})
    assert status == 200
    [found] = await exported(console, who, "keys")
    assert (found["name"], found["app"]) == ("new", "newer")
