"""What does counting inline cost: events, an agent's next turn, the loop beside 1 MB prompts?"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import uvloop

from bench import payload, relayd_peer, rounds
from bench.client import Load
from bench.peers import AUDIT, RELAYD, Peer, ground
from bench.questions.sse_event import streams
from bench.result import Outcome
from bench.rounds import Job
from bench.sample import Sample
from bench.settings import Settings

QUESTION: Final = "counting"
MODES: Final = {AUDIT: "audit", RELAYD: "inline"}
PAUSE_SECONDS: Final = 0.7
"""Between two prompts: longer than the slowest of them takes its thread."""
_seeds: Final = itertools.count()


async def turns(peer: Peer, settings: Settings) -> int:
    """One more turn of conversations that were seen before; no two of them are the same."""
    requests = payload.agent_turns(peer.key, next(_seeds), settings.agent_calls)
    async with Load(peer.port, requests, settings.agent_connections) as load:
        return len(await load.closed(settings.agent_calls))


def run(settings: Settings) -> Outcome:
    """`event_us`, `turn_us`: CPU, inline beside audit. `stall_SHAPE_ms`: the loop's worst lag
    while a prompt of 1 MB is served and counted; `stall_idle_ms` while nothing is: the machine's
    own noise. `stall_ms` is the worst of those shapes that JSON is read fast of.
    """
    outcome = rounds.ask(QUESTION, settings, (AUDIT, RELAYD),
                         [Job("event_us", streams), Job("turn_us", turns)])
    figures = {name: _stalls(mode, settings) for name, mode in MODES.items()}
    for number in range(settings.rounds):
        for name, found in figures.items():
            outcome.samples.append(Sample(name, number, found[number]))
    return outcome


def _stalls(mode: str, settings: Settings) -> list[dict[str, float]]:
    """The worst lag of each round, by the shape of the prompt; one daemon for all."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        base = stack.enter_context(ground(Path(folder, "run"), settings))
        out = base.folder / "lags"
        with relayd_peer.serving(
            base.folder / "relayd", base.upstream, mode=mode,
            program=("bench.probed_relayd", str(out)),
        ) as found:
            times = uvloop.run(_prompts(found.port, found.key, settings))
        lags: list[tuple[int, int]] = json.loads(out.read_text("utf-8"))
    rounds_found = []
    for each in times:
        worst = {f"stall_{shape}_ms": max((lag for at, lag in lags if begun <= at - lag <= ended),
                                          default=0) / 1e6
                 for shape, (begun, ended) in each.items()}
        worst["stall_ms"] = max(worst[f"stall_{shape}_ms"] for shape in payload.BIG_SHAPES[:3])
        rounds_found.append(worst)
    return rounds_found


async def _prompts(
    port: int, key: str, settings: Settings
) -> list[dict[str, tuple[int, int]]]:
    """Of each round, when each shape of prompt was sent and surely counted."""
    await asyncio.sleep(2 * PAUSE_SECONDS)
    found = []
    for _ in range(settings.rounds):
        times = {}
        for shape in ("idle", *payload.BIG_SHAPES):
            begun = time.monotonic_ns()
            if shape != "idle":
                requests = [payload.big_request(key, shape, next(_seeds))]
                begun = time.monotonic_ns()
                async with Load(port, requests, 1) as load:
                    await load.closed(1)
            await asyncio.sleep(PAUSE_SECONDS)
            times[shape] = (begun, time.monotonic_ns())
        found.append(times)
    return found
