"""The commands on usage and the ledger."""

from __future__ import annotations

import json
import sqlite3

import msgspec
import pytest

from relayd.control import usage
from relayd.store.db import FILE_NAME
from relayd.store.journal_frame import CLOSE, frame
from relayd.store.journal_lane import claim
from tests.fakes.records import START_MS, call_record
from tests.fakes.shell import Shell, shell

__all__ = ["shell"]
EMAIL = "ann@example.org"
DAY = 86_400_000
encode = msgspec.msgpack.encode


def test_calls_are_a_list_of_records(shell: Shell) -> None:
    records = [call_record(started_at_ms=START_MS + n) for n in range(3)]
    assert shell.json("usage", "--calls") == []
    shell.post(records)
    assert shell.json("usage", "--calls") == [usage.view(record) for record in records]


def test_calls_for_people_show_names(shell: Shell) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL, "--name", "Ann")
    issued = shell.json("keys", "create", "--account", EMAIL, "--name", "laptop")
    shell.post([call_record(account=made["id"], key=issued["id"], duration_ms=12.34),
                call_record(model=None, outcome="refused", error="unknown_model")])
    head, first, second = shell("usage", "--calls").out.splitlines()
    assert head.startswith("STARTED") and all(
        each in first for each in ("Ann", "laptop", "12.3"))
    assert made["id"] not in first and EMAIL not in first
    assert "acct_1" in second and "unknown_model" in second
    assert "Ann" in shell("usage").out and "Ann" in shell("keys", "list").out


def test_totals(shell: Shell) -> None:
    shell.post([call_record(amount_nano=1_500_000_000), call_record(model="m"),
                call_record(currency="EUR", amount_nano=7)])
    document = shell.json("usage")
    assert document["calls"] == 3 and document["input_tokens"] == 300
    assert document["amounts"] == [{"currency": "EUR", "amount_nano": 7},
                                   {"currency": "USD", "amount_nano": 1_500_000_000}]
    assert [(row["model"], row["calls"]) for row in document["by_model"]] == [
        ("gpt-4o-mini", 1), ("gpt-4o-mini", 1), ("m", 1)]
    table = shell("usage").out
    assert "1.50 USD" in table and "0.000000007 EUR" in table
    assert table.splitlines()[-1].split()[:4] == ["all", "-", "3", "300"]


@pytest.mark.parametrize("words, calls", [
    ((), 4), (("--since", "2026-01-02"), 2), (("--until", "2026-01-02"), 2),
    (("--since", "2026-01-01T12:00:00Z", "--until", "2026-01-03T00:00:00Z"), 2),
    (("--since", "1d"), 0), (("--account", EMAIL), 1),
])
def test_periods_and_accounts(shell: Shell, words: tuple[str, ...], calls: int) -> None:
    made = shell.json("accounts", "create", "--email", EMAIL)
    half_days = [call_record(started_at_ms=START_MS + n * DAY // 2) for n in (0, 1, 2)]
    shell.post([*half_days, call_record(started_at_ms=START_MS + 2 * DAY, account=made["id"])])
    assert shell.json("usage", *words)["calls"] == calls
    assert len(shell.json("usage", "--calls", *words)) == calls


@pytest.mark.parametrize("words", [
    ("--since", "yesterday"), ("--account", "nobody@example.org"),
    ("--since", "2026-01-02", "--until", "2026-01-01"), ("--drift", "--calls"),
    ("--calls", "--compare", "bill.csv"), ("--provider", "openai"),
    ("--drift", "--tolerance", "0.1"),
])
def test_unusable_input_is_exit_code_2(shell: Shell, words: tuple[str, ...]) -> None:
    result = shell("usage", *words)
    assert result.code == 2 and result.err and not result.out


def test_the_ledger_is_verified(shell: Shell) -> None:
    shell.post([call_record()])
    assert shell.json("ledger", "verify") == [] and shell("ledger", "verify").code == 0
    connection = sqlite3.connect(shell.store / FILE_NAME)
    connection.execute("UPDATE rollups SET calls = 7")
    connection.commit()
    connection.close()
    table, document = shell("ledger", "verify"), shell("ledger", "verify", "--json")
    assert table.code == document.code == 1
    assert table.out.splitlines()[1].split()[-3:] == ["calls", "7", "1"]
    assert '"differs"' in document.out


def test_the_books_of_money_are_verified(shell: Shell) -> None:
    assert "books of money are right" in shell("ledger", "verify").out
    connection = sqlite3.connect(shell.store / FILE_NAME)
    connection.execute("INSERT INTO ledger_accounts (kind, owner, currency, balance_nano)"
                       " VALUES ('balance', 'acct_1', 'USD', 7)")
    connection.commit()
    connection.close()
    table, document = shell("ledger", "verify"), shell("ledger", "verify", "--json")
    assert table.code == document.code == 1 and "balance:acct_1:USD" in table.out
    assert json.loads(document.out) == [
        {"ledger": "balance", "where": "balance:acct_1:USD", "stored": 7, "computed": 0}]


def test_the_journal_is_held_against_the_records(shell: Shell) -> None:
    record = call_record()
    shell.post([record])
    (lane,) = claim(shell.store)
    lines = frame(1, CLOSE, encode(record)) + frame(2, CLOSE, encode(call_record()))
    (lane.directory / "000000000001.journal").write_bytes(lines + b"torn")
    said = shell("ledger", "verify")
    assert said.code == 0 and "2 closed calls" in said.out and "1 that wait" in said.out
    assert "4 bytes" in said.out and shell.json("ledger", "verify") == []
    (lane.directory / "000000000001.journal").write_bytes(
        frame(1, CLOSE, encode(msgspec.structs.replace(record, status=418))))
    lane.release()
    table, document = shell("ledger", "verify"), shell("ledger", "verify", "--json")
    assert table.code == document.code == 1
    assert table.out.splitlines()[1].split() == [record.id, "status", "200", "418"]
    assert f'"call": "{record.id}"' in document.out


def test_amounts_that_todays_prices_would_not_give_are_told_and_no_fault(shell: Shell) -> None:
    record = call_record(amount_nano=1_000_000)
    shell.post([record])
    prices = shell.config.parent / "prices.toml"
    prices.write_text('[[price]]\nmodel = "gpt-*"\ncall = "0.002"\n')
    result = shell("ledger", "verify")
    assert result.code == 0 and "The ledger is right" in result.out
    assert "1 calls have a price today; 1 of them were rated otherwise" in result.out
    assert result.out.splitlines()[-1].split() == [
        record.id, "gpt-4o-mini", "0.001", "USD", "0.002", "USD"]
    [document] = shell.json("ledger", "verify")
    assert document["information"] is True
    assert document["differs"]["amount_nano"] == [1_000_000, 2_000_000]
    prices.write_text('[[price]]\nmodel = "gpt-*"\ncall = "0.001"\n')
    assert shell.json("ledger", "verify") == []
