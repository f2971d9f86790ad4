"""How long does it take to close a month of a million calls of a thousand accounts into invoices,
and do the invoices say what the records say?"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
import zlib
from pathlib import Path
from typing import Final

import uvloop

from bench.peers import RELAYD
from bench.process import NotStarted
from bench.result import Outcome
from bench.sample import Sample, percentile
from bench.settings import Settings
from relayd.control import account, closing, invoice, usage, wallet
from relayd.control.invoice import Seller
from relayd.core.invoice import month
from relayd.core.operator import Operator
from relayd.core.record import CallRecord
from relayd.core.timestamp import HOUR_MS
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.core.vat import Vat
from relayd.store.db import Database, open_database

QUESTION: Final = "closing"
RECORDS: Final = {"full": 1_000_000, "quick": 50_000, "smoke": 2000}
ACCOUNTS: Final = {"full": 1000, "quick": 100, "smoke": 20}
BATCH: Final = 5000
MONTH: Final = "2026-10"
MONTH_HOURS: Final = 744
ACTIVE_HOURS: Final = 40
"""In which an account calls. Calls are stored account by account: this asks for the closing, and
not for what storing costs (`ledger` does)."""
MODELS: Final = ("gpt-4o-mini", "gpt-4.1", "o4-mini", "claude-sonnet-4-5", None)
SELLER: Final = Seller(Operator(name="Example Ltd", address="1 Road"), Vat(600))
_SAID: Final = (
    "SELECT i.account_id, i.currency, l.reference, SUM(l.amount_nano), SUM(l.calls),"
    " SUM(l.input_tokens), SUM(l.output_tokens) FROM invoice_lines AS l"
    " JOIN invoices AS i ON i.id = l.invoice_id WHERE l.kind = 'use' GROUP BY 1, 2, 3")
_RECORDED: Final = (
    "SELECT account_id, currency, COALESCE(model, ''), SUM(amount_nano), COUNT(*),"
    " SUM(input_tokens), SUM(output_tokens) FROM call_records"
    " WHERE started_at_ms >= ? AND started_at_ms < ? GROUP BY 1, 2, 3")


def _record(number: int, who: str, dice: random.Random) -> CallRecord:
    hour = zlib.crc32(f"{who}{dice.randrange(ACTIVE_HOURS)}".encode()) % MONTH_HOURS
    at_ms = month(MONTH).start_ms + hour * HOUR_MS + dice.randrange(HOUR_MS)
    model = dice.choice(MODELS)
    return CallRecord(
        id=ulid(at_ms, number.to_bytes(RANDOM_BYTES, "big")), started_at_ms=at_ms,
        account=who, key="key_1", app=None, api="openai",
        endpoint="/v1/chat/completions", model=model, provider="p", provider_model=model,
        stream=True, status=200, outcome="completed", error=None, attempts=1,
        input_tokens=dice.randrange(5000), output_tokens=dice.randrange(900),
        cache_read_input_tokens=0, cache_creation_input_tokens=0, reasoning_output_tokens=0,
        audio_input_tokens=0, audio_output_tokens=0, counted_input_tokens=None,
        counted_output_tokens=None, usage_source="reported",
        amount_nano=dice.randrange(10 ** 8), currency=dice.choice(("USD", "USD", "USD", "CNY")),
        first_byte_ms=None, duration_ms=None)


async def _fill(db: Database, settings: Settings) -> None:
    dice = random.Random(7)
    at_ms = month(MONTH).start_ms
    accounts = [(await account.create(db, f"a{number}@example.org", None, at_ms)).id
                for number in range(ACCOUNTS[settings.name])]
    records = RECORDS[settings.name]
    for start in range(0, records, BATCH):
        await usage.post(db, [
            _record(number, accounts[number * len(accounts) // records], dice)
            for number in range(start, min(start + BATCH, records))])
        await db.checkpoint_if_large()
    for who in accounts:
        async with db.writing() as transaction:
            await wallet.charge_account(transaction, who, month(MONTH).end_ms - 1)
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
            async for closed in closing.steps(db, SELLER, MONTH, now_ms):
                batches.append((time.monotonic() - last) * 1000)
                last = time.monotonic()
            close_seconds = last - began
            again = await closing.close(db, SELLER, MONTH, now_ms)
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
