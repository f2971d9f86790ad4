"""What do a million call records cost: to store them beside calls, to keep, to ask, to delete?"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import uvloop

from bench import payload, relayd_peer
from bench.client import Load
from bench.peers import RELAYD, ground
from bench.process import NotStarted
from bench.result import Outcome
from bench.sample import Sample, percentile
from bench.settings import Settings
from relayd.control import account, retention
from relayd.store.db import FILE_NAME, open_database
from relayd.store.record import CallFilter
from relayd.store.rollup import totals

QUESTION: Final = "ledger"
RECORDS: Final = {"full": 1_000_000, "quick": 50_000, "smoke": 2000}
PER_SECOND: Final = 6000.0
CALLS_PER_SECOND: Final = 200.0
SWEPT_DAYS: Final = 81
"""Of 90: a tenth of the records goes."""
ASKED: Final[dict[str, tuple[str, ...]]] = {
    "usage_s": ("usage",),
    "usage_account_s": ("usage", "--account", relayd_peer.EMAIL),
    "usage_7d_s": ("usage", "--since", "7d"),
    "usage_drift_s": ("usage", "--drift"),
    "usage_drift_7d_s": ("usage", "--drift", "--since", "7d"),
    "calls_1d_s": ("usage", "--calls", "--since", "1d"),
    "calls_all_s": ("usage", "--calls", "--json"),
    "verify_s": ("ledger", "verify"),
}
"""Each is a process of its own; its start is in its time."""


async def _calls(port: int, key: str, out: Path, seconds_max: float) -> dict[str, float]:
    """Calls at a steady rate until `out` is there; what they took."""
    requests = payload.chat_requests(key, stream=False)
    taken: list[float] = []
    end = time.monotonic() + seconds_max
    async with Load(port, requests, 16) as load:
        while not out.exists():
            if time.monotonic() > end:
                raise TimeoutError("the records were not stored in time")
            answers = await load.open(CALLS_PER_SECOND, round(CALLS_PER_SECOND))
            taken += [(each.done_ns - each.intended_ns) / 1e6 for each in answers]
    return {"call_p50_ms": percentile(taken, 0.5), "call_p99_ms": percentile(taken, 0.99),
            "calls": float(len(taken))}


def _ask(config: Path, words: tuple[str, ...]) -> float:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "relayd", *words, "-c", str(config)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=600)
    if done.returncode not in (0, 1):  # 1: figures that differ, or an account without calls
        raise NotStarted(f"relayd {' '.join(words)}: {done.stderr.decode()[-200:]}")
    return time.monotonic() - began


async def _store(directory: Path) -> dict[str, float]:
    """Totals without a process's start, and a sweep of the oldest records."""
    db = await open_database(directory)
    try:
        found = {}
        one = await account.find(db, relayd_peer.EMAIL)
        for name, wanted in (("totals_ms", CallFilter()),
                             ("totals_account_ms", CallFilter(one.id))):
            began = time.monotonic()
            async with db.reading() as transaction:
                await totals(transaction, wanted)
            found[name] = (time.monotonic() - began) * 1000
        until_ms = retention.ends_ms(time.time_ns() // 1_000_000, SWEPT_DAYS)
        batches, deleted = [], 0
        while True:
            began = time.monotonic()
            count = await retention.sweep_batch(db, until_ms)
            batches.append((time.monotonic() - began) * 1000)
            deleted += count
            if count < retention.BATCH_RECORDS:
                break
            await db.checkpoint_if_large()
    finally:
        await db.close()
    return {**found, "swept": float(deleted), "sweep_p50_ms": percentile(batches, 0.5),
            "sweep_p99_ms": percentile(batches, 0.99), "sweep_most_ms": max(batches)}


def _run(settings: Settings) -> dict[str, float]:
    records = RECORDS[settings.name]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        base = stack.enter_context(ground(Path(folder, "run"), settings))
        home, out = base.folder / "relayd", base.folder / "posted"
        program = ("bench.posting_relayd", str(out), str(records), str(PER_SECOND))
        with relayd_peer.serving(home, base.upstream, program=program) as found:
            calls = uvloop.run(_calls(found.port, found.key, out,
                                      60 + records / 1000))
            figures = json.loads(out.read_text("utf-8")) | calls
            figures |= {name: _ask(home / "relayd.toml", words) for name, words in ASKED.items()}
        size = (home / "store" / FILE_NAME).stat().st_size
        figures["record_bytes"] = size / (records + figures["calls"])
        figures |= asyncio.run(_store(home / "store"))
    return {name: float(value) for name, value in figures.items()}


def run(settings: Settings) -> Outcome:
    """One round. `posted_per_s` is what was offered, where the flush keeps up; `able_per_s` what
    it stores while it works; `lag_*` is the event loop's, beside 200 calls a second, `quiet_lag`
    without the records. `record_bytes` is the whole database by its records, sums included.
    """
    return Outcome(QUESTION, [Sample(RELAYD, 0, _run(settings))])
