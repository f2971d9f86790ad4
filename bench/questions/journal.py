"""What does the journal cost the event loop for each call, under load: opening and close?"""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import uvloop

from bench import payload, relayd_peer
from bench.client import Load
from bench.peers import RELAYD, ground
from bench.result import Outcome
from bench.sample import Sample, percentile
from bench.settings import Settings

QUESTION: Final = "journal"


async def _load(port: int, key: str, settings: Settings) -> None:
    requests = payload.chat_requests(key, stream=False)
    async with Load(port, requests, settings.json_connections) as load:
        await load.closed(settings.json_calls)
    requests = payload.chat_requests(key, stream=True)
    async with Load(port, requests, settings.streams_at_once) as load:
        await load.closed(settings.streams)


def _round(number: int, settings: Settings) -> Sample:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        base = stack.enter_context(ground(Path(folder, "run"), settings))
        times = base.folder / "times"
        with relayd_peer.serving(
            base.folder / "relayd", base.upstream, program=("bench.timed_relayd", str(times)),
        ) as found:
            uvloop.run(_load(found.port, found.key, settings))
        taken = [(a / 1000, b / 1000) for a, b in json.loads(times.read_text("utf-8"))]
    whole = [opened + closed for opened, closed in taken]
    return Sample(RELAYD, number, {
        "journal_p50_us": percentile(whole, 0.5), "journal_p99_us": percentile(whole, 0.99),
        "open_p50_us": percentile([opened for opened, _ in taken], 0.5),
        "close_p50_us": percentile([closed for _, closed in taken], 0.5),
        "calls": float(len(taken))})


def run(settings: Settings) -> Outcome:
    """`journal_p50_us`, `journal_p99_us`: opening and close of one call together, each until the
    kernel has it; `open_p50_us`, `close_p50_us`: each alone.

    JSON calls as fast as they go, then streams; the store takes the records meanwhile, and the
    disk is synced every 50 ms. Each round is a daemon of its own.
    """
    return Outcome(QUESTION, [_round(number, settings) for number in range(settings.rounds)])
