"""The question of a month's closing, small: invoices say what the records say, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_totals_equal_the_records() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "closing", "--smoke"], cwd=ROOT,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (sample,) = json.loads((ROOT / "bench/out/smoke/closing.json").read_text("utf-8"))["samples"]
    figures = sample["figures"]
    assert figures["accounts"] == 20 and figures["invoices"] >= 20
    assert figures["differences"] == figures["gaps"] == figures["issued_again"] == 0
    assert 0 < figures["close_s"]
