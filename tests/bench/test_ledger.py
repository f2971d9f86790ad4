"""The question of the ledger, small: real processes, a real store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.posting_relayd import ACCOUNTS, Calls

ROOT = Path(__file__).resolve().parents[2]


def test_calls_are_in_order_and_of_few_accounts() -> None:
    calls = Calls(1000, "acct_known")
    records = [calls.next() for _ in range(1000)]
    assert records == sorted(records, key=lambda record: (record.started_at_ms, record.id))
    assert len({record.id for record in records}) == 1000
    assert 20 < len({record.account for record in records}) <= ACCOUNTS
    assert any(record.account == "acct_known" for record in records)


def test_records_are_stored_asked_for_and_swept() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "ledger", "--smoke"], cwd=ROOT,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (sample,) = json.loads((ROOT / "bench/out/smoke/ledger.json").read_text("utf-8"))["samples"]
    figures = sample["figures"]
    assert figures["swept"] > 0 and figures["calls"] > 0
    for name in ("posted_per_s", "able_per_s", "record_bytes", "usage_s", "verify_s"):
        assert figures[name] > 0, name
