"""A person who has something in every table, and a search for them in every file."""

from __future__ import annotations

import json
from pathlib import Path

from relayd.control import account, consent, key, ticket, usage
from relayd.control.key import KeyWish
from relayd.control.ticket import Writing
from relayd.core.consent import Served
from relayd.store.db import Database
from relayd.store.transaction import Transaction
from tests.fakes.records import START_MS, call_record

EMAIL = "Zeisig.Person@example.org"
MARKS = ("zeisig", "Kanarienvogel")


async def make_person(db: Database) -> str:
    """An account with something in every table that this step knows."""
    made = await account.create(db, EMAIL, "Zeisig Name", START_MS)
    issued = await key.create(db, made.id, KeyWish(
        "zeisig-laptop", app="zeisig-app", models=("of-zeisig-*",)), START_MS)
    await usage.post(db, [
        call_record(account=made.id, key=issued.key.id, app="zeisig-app") for _ in range(3)])
    await ticket.open_ticket(db, Writing(
        "question", "Zeisig subject", "Kanarienvogel", account=made.id), START_MS)
    async with db.writing() as transaction:
        for item in ("terms", "privacy"):
            await consent.record(transaction, made.id, item, Served(
                item, 1, "ab" * 32, "en", "console"), START_MS)
        await _orders(transaction, made.id)
    return made.id


async def _orders(transaction: Transaction, account_id: str) -> None:
    for number, state in enumerate(("credited", "pending", "disputed")):
        await transaction.run(
            "INSERT INTO orders (id, account_id, partner, currency, amount_minor, state,"
            " created_at_ms, expires_at_ms, session, trade, paid_at_ms) VALUES"
            " (?, ?, 'stripe', 'USD', 500, ?, ?, ?, ?, ?, ?)",
            (f"ord_{number}", account_id, state, START_MS, START_MS + 1, f"cs_zeisig_{number}",
             f"pi_zeisig_{number}", START_MS))


def files_with(directory: Path, *texts: str) -> dict[str, str]:
    """The files below a directory that hold one of these texts, in any case or encoding."""
    found = {}
    for file in directory.rglob("*"):
        content = file.read_bytes().lower() if file.is_file() else b""
        for text in texts:
            for form in ("utf-8", "utf-16-le", "utf-16-be"):
                if text.lower().encode(form) in content:
                    found[str(file.relative_to(directory))] = text
    return found


async def said(db: Database, kind: str) -> dict[str, str]:
    """What the newest mail of a kind says."""
    async with db.reading() as transaction:
        [row] = await transaction.rows(
            "SELECT id, owner, fields FROM outbox WHERE kind = ? ORDER BY id DESC LIMIT 1",
            (kind,))
        text = transaction.unseal(row[1], "outbox", "fields", row[0], row[2])
    return json.loads(text or "{}")  # type: ignore[no-any-return]
