"""The whole run, small: real processes, real sockets; nginx is left out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("question", "figure"), [("json", "call_us"), ("sse", "event_us")])
def test_a_question_is_answered(question: str, figure: str) -> None:
    done = subprocess.run([sys.executable, "-m", "bench", question, "--smoke"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "| bar |" in done.stdout
    kept = json.loads((ROOT / "bench/out/smoke" / f"{question}.json").read_text("utf-8"))
    figures = {each["peer"]: each["figures"] for each in kept["samples"]}
    assert kept["skipped"] == {"nginx": "left out"}
    assert figures["relayd"][figure] > 0 and figures["plain aiohttp"][figure] > 0


def test_the_journal_is_timed() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "journal", "--smoke"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kept = json.loads((ROOT / "bench/out/smoke/journal.json").read_text("utf-8"))
    (sample,) = kept["samples"]
    figures = sample["figures"]
    assert figures["calls"] >= 64 + 4
    assert 0 < figures["open_p50_us"] < figures["journal_p50_us"] <= figures["journal_p99_us"]


def test_metrics_are_timed() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "metrics", "--smoke"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (sample,) = json.loads((ROOT / "bench/out/smoke/metrics.json").read_text("utf-8"))["samples"]
    assert all(value > 0 for value in sample["figures"].values())


def test_an_idle_relay_is_watched() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "idle", "--smoke"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kept = json.loads((ROOT / "bench/out/smoke/idle.json").read_text("utf-8"))
    figures = {each["peer"]: each["figures"] for each in kept["samples"]}
    assert 0 < figures["relayd"]["idle_ms_per_s"] < 500
    assert 1 < figures["relayd"]["wakeups_per_s"] < 500
    assert "| relayd |" in done.stdout


def test_slow_peers_are_a_burden() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "slow", "--smoke"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kept = json.loads((ROOT / "bench/out/smoke/slow.json").read_text("utf-8"))
    figures = {each["peer"]: each["figures"] for each in kept["samples"]}
    assert figures["relayd"]["slow_p99_us"] > 0 and figures["direct"]["slow_p99_us"] > 0
    assert figures["relayd"]["lost"] == 0


def test_an_unknown_question_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "beauty"], cwd=ROOT,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "beauty" in done.stderr
