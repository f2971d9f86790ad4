"""How long does it take to close a month of a million calls of a thousand accounts into invoices,
and do the invoices say what the records say?"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from bench.peers import RELAYD
from bench.process import NotStarted
from bench.result import Outcome
from bench.sample import Sample, percentile
from bench.settings import Settings
from relayd.control import account, closing, invoice, wallet
from relayd.control.invoice import Seller
from relayd.core.actor import SHELL
from relayd.core.invoice import month
from relayd.core.operator import Operator
from relayd.core.rollup import Sums
from relayd.core.vat import Vat
from relayd.store.db import Database, open_database

QUESTION: Final = "closing"
RECORDS: Final = {"full": 1_000_000, "quick": 50_000, "smoke": 2000}
ACCOUNTS: Final = {"full": 1000, "quick": 100, "smoke": 20}
MONTH: Final = "2026-10"
SELLER: Final = Seller(Operator(name="Example Ltd", address="1 Road"), Vat(600))
_PLAIN: Final = {
    "key_id": "'key_1'", "api": "'openai'", "endpoint": "'/v1/chat/completions'", "stream": "1",
    "provider": "'p'", "status": "200", "outcome": "'completed'", "attempts": "1",
    "usage_source": "'reported'", "cache_read_input_tokens": "0",
    "cache_creation_input_tokens": "0", "reasoning_output_tokens": "0",
    "audio_input_tokens": "0", "audio_output_tokens": "0",
    "id": "printf('call_%06d_%09d', ?3, i)", "account_id": "?2",
    "started_at_ms": "?4 + ((?3 * 37 + i % 40 * 17) % 744) * 3600000"
                     " + abs(random()) % 3600000",
    "model": "CASE abs(random()) % 4 WHEN 0 THEN 'gpt-4o-mini' WHEN 1 THEN 'gpt-4.1'"
             " WHEN 2 THEN 'claude-sonnet-4-5' END",
    "currency": "CASE abs(random()) % 4 WHEN 0 THEN 'CNY' ELSE 'USD' END",
    "input_tokens": "abs(random()) % 5000", "output_tokens": "abs(random()) % 900",
    "amount_nano": "abs(random()) % 100000000"}
"""A record's columns, of the account that is the ?3rd; others are null. An account calls in 40
hours of the month. The store makes them: this asks for the closing, and not what storing costs
(`ledger` does)."""
_CALLS: Final = (
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)"
    f" INSERT INTO call_records ({', '.join(_PLAIN)}) SELECT {', '.join(_PLAIN.values())} FROM n")
_ROLLUPS: Final = (
    f"INSERT INTO rollups (hour_ms, account_id, key_id, model, provider, currency,"
    f" {', '.join(Sums._fields)}) SELECT started_at_ms - started_at_ms % 3600000, account_id,"
    " key_id, COALESCE(model, ''), provider, currency, COUNT(*),"
    f" {', '.join(f'SUM({name})' for name in Sums._fields[1:])}"
    " FROM call_records GROUP BY 1, 2, 3, 4, 5, 6")
_SAID: Final = (
    "SELECT i.account_id, i.currency, l.reference, SUM(l.amount_nano), SUM(l.calls),"
    " SUM(l.input_tokens), SUM(l.output_tokens) FROM invoice_lines AS l"
    " JOIN invoices AS i ON i.id = l.invoice_id WHERE l.kind = 'use' GROUP BY 1, 2, 3")
_RECORDED: Final = (
    "SELECT account_id, currency, COALESCE(model, ''), SUM(amount_nano), COUNT(*),"
    " SUM(input_tokens), SUM(output_tokens) FROM call_records"
    " WHERE started_at_ms >= ? AND started_at_ms < ? GROUP BY 1, 2, 3")


async def _fill(db: Database, settings: Settings) -> None:
    period = month(MONTH)
    accounts = [(await account.create(db, f"a{number}@example.org", None, period.start_ms)).id
                for number in range(ACCOUNTS[settings.name])]
    each = RECORDS[settings.name] // len(accounts)
    for number, who in enumerate(accounts):
        async with db.writing() as transaction:
            await transaction.run(_CALLS, (each, who, number, period.start_ms))
        await db.checkpoint_if_large()
    async with db.writing() as transaction:
        await transaction.run(_ROLLUPS)
    for who in accounts:
        async with db.writing() as transaction:
            await wallet.charge_account(transaction, who, period.end_ms - 1)
    await db.checkpoint()


async def _differences(db: Database) -> int:
    """Sums by account, currency and model that invoices and records do not share."""
    async with db.reading() as transaction:
        said = set(await transaction.rows(_SAID))
        recorded = set(await transaction.rows(_RECORDED, tuple(month(MONTH))))
    if not recorded:
        raise NotStarted("there are no records")
    return len(said ^ recorded)


async def _run(settings: Settings) -> dict[str, float]:
    now_ms = month(MONTH).end_ms + 2 * closing.SETTLED_MS
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        db = await open_database(Path(folder) / "store")
        try:
            await _fill(db, settings)
            batches, began = [], time.monotonic()
            last = began
            async for closed in closing.steps(db, SHELL, SELLER, MONTH, now_ms):
                batches.append((time.monotonic() - last) * 1000)
                last = time.monotonic()
            close_seconds = last - began
            again = await closing.close(db, SHELL, SELLER, MONTH, now_ms)
            again_seconds = time.monotonic() - last
            differences, gaps = await _differences(db), await invoice.gaps(db)
        finally:
            await db.close()
    return {
        "records": float(RECORDS[settings.name]), "accounts": float(closed.accounts),
        "invoices": float(closed.invoices), "close_s": close_seconds,
        "batch_p50_ms": percentile(batches, 0.5), "batch_most_ms": max(batches),
        "again_s": again_seconds, "issued_again": float(again.invoices + again.receipts),
        "differences": float(differences), "gaps": float(len(gaps))}


def run(settings: Settings) -> Outcome:
    """One round. `differences` are sums by account, currency and model that are not the records',
    to the nano-unit; `batch_*` is how long the store is held at a time; `again_s` is a second run,
    which issues nothing.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return Outcome(QUESTION, [Sample(RELAYD, 0, runner.run(_run(settings)))])
