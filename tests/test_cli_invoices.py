"""The commands of invoices."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from relayd.control import account, closing, usage
from relayd.core.invoice import month, month_text
from relayd.core.timestamp import HOUR_MS
from relayd.store.db import open_database
from tests.fakes.records import call_record
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
OPERATOR = """
[operator]
name = "Example Ltd"
address = "1 Example Road"
contact = "hello@example.org"
court = "Example Court"
[invoices]
vat_rate = "6"
"""
EMAIL = "ann@example.org"
LAST = month_text(month(month_text(int(time.time() * 1000) - HOUR_MS)).start_ms - 1)
"""The newest month that may be closed: one that ended less than an hour ago may not."""


async def called(directory: Path) -> None:
    db = await open_database(directory)
    who = (await account.find(db, EMAIL)).id
    await usage.post(db, [call_record(
        account=who, started_at_ms=month(LAST).start_ms + 5, amount_nano=1_005_000_000)])
    await db.close()


@pytest.fixture
def used(shell: Shell) -> Shell:
    shell.json("accounts", "create", "--email", EMAIL)
    asyncio.run(called(shell.store))
    return shell


def test_a_seller_is_needed(used: Shell) -> None:
    ended = used("invoices", "close", "--month", LAST)
    assert ended.code == 2 and "[operator] lacks" in ended.err


def test_a_month_is_closed_listed_shown_and_taken_back(used: Shell) -> None:
    used.config.write_text(used.config.read_text() + OPERATOR)
    assert used.json("invoices", "close", "--month", LAST)["invoices"] == 1
    assert used("invoices", "close", "--month", LAST).out == (
        f"{LAST}: 0 invoices for 1 accounts, 0 receipts.\n")
    [listed] = used.json("invoices", "list", "--account", EMAIL, "--month", LAST)
    assert (listed["total_minor"], listed["net_minor"], listed["tax_minor"]) == (101, 95, 6)
    assert listed["number"] in used("invoices", "list").out
    shown = used.json("invoices", "show", listed["number"])
    assert shown["lines"][0]["amount_nano"] == 1_005_000_000
    assert shown["seller"]["name"] == "Example Ltd"
    assert "1.005" in used("invoices", "show", listed["id"]).out
    counter = used.json("invoices", "void", listed["id"], "--reason", "another buyer")
    assert counter["total_minor"] == -101 and counter["reverses"] == listed["id"]
    again = used("invoices", "void", listed["id"], "--reason", "twice")
    assert again.code == 2
    assert used("invoices", "settle", listed["id"]).code == 2
    assert used("invoices", "show", "INV-1970-000009").code == 2


def test_a_month_that_is_not_over(used: Shell) -> None:
    used.config.write_text(used.config.read_text() + OPERATOR)
    now = month_text(int(time.time() * 1000))
    assert used("invoices", "close", "--month", now).code == 2
    assert used("invoices", "close", "--month", "x").code == 2


async def many(directory: Path) -> int:
    """Calls of 150 accounts; what they cost in all."""
    db = await open_database(directory)
    start_ms = month(LAST).start_ms
    who = [(await account.create(db, f"a{number}@example.org", None, start_ms)).id
           for number in range(150)]
    amounts = [number * 7_654_321 % 10 ** 9 + 1 for number in range(900)]
    await usage.post(db, [call_record(
        account=who[number % 150], started_at_ms=start_ms + number, amount_nano=amount)
        for number, amount in enumerate(amounts)])
    await db.close()
    return sum(amounts)


async def said(directory: Path) -> tuple[int, list[int], int]:
    db = await open_database(directory)
    async with db.reading() as transaction:
        numbers = [row[0] for row in await transaction.rows(
            "SELECT sequence FROM invoices ORDER BY sequence")]
        row = await transaction.row("SELECT SUM(amount_nano) FROM invoice_lines")
        whose = await transaction.row("SELECT COUNT(DISTINCT account_id) FROM invoices")
    await db.close()
    assert row is not None and whose is not None
    return row[0] or 0, numbers, whose[0]


async def counted(directory: Path) -> list[tuple[int, int, bool]]:
    db = await open_database(directory)
    found = [(each.invoices, each.receipts, each.closed_ms is not None)
             for each in await closing.months(db)]
    await db.close()
    return found


def test_killed_on_its_way_and_run_again(shell: Shell) -> None:
    shell.config.write_text(shell.config.read_text() + OPERATOR)
    whole = asyncio.run(many(shell.store))
    words = [sys.executable, "-m", "relayd", "invoices", "close", "--month", LAST,
             "-c", str(shell.config)]
    broken, wait_seconds = 0, 0.3
    while True:
        running = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            assert running.wait(wait_seconds) == 0
            break
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.wait()
            broken += 1
            wait_seconds *= 1.15
            amount, numbers, whose = asyncio.run(said(shell.store))
            assert numbers == list(range(1, len(numbers) + 1)) and whose == len(numbers)
    assert broken
    assert asyncio.run(said(shell.store)) == (whole, list(range(1, 151)), 150)
    # and what is known of the month is what there is, however often it was begun
    assert asyncio.run(counted(shell.store)) == [(150, 0, True)]
