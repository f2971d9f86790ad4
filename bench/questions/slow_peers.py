"""What do 5,000 slow streams, 2,000 idle connections and 500 slowloris cost everybody else?"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from bench import payload, process, rounds
from bench.client import Load
from bench.peers import DIRECT, RELAYD, Field, Ground, Peer
from bench.process import NotStarted, cpu_ns, rss_bytes
from bench.result import Outcome
from bench.rounds import Foreign
from bench.sample import Sample, percentile
from bench.settings import Settings

QUESTION: Final = "slow"
READY_SECONDS: Final = 120.0
WARM_CALLS: Final = 320


async def _p99_us(peer: Peer, settings: Settings) -> float:
    requests = payload.chat_requests(peer.key, stream=False)
    async with Load(peer.port, requests, settings.json_connections) as load:
        await load.closed(settings.json_connections)
        answers = await load.open(settings.slow_per_second, settings.slow_calls)
    return percentile([each.done_ns - each.intended_ns for each in answers], 0.99) / 1e3


@contextmanager
def _burden(base: Ground, peer: Peer, number: int) -> Iterator[Path]:
    """The clients that are a burden on `peer`; their log."""
    settings = base.settings
    log = base.folder / f"burden{number}.log"
    command: list[str | Path] = [
        sys.executable, "-m", "bench.slow_peers", "--port", str(peer.port), "--key", peer.key,
        "--streams", str(settings.slow_streams), "--idle", str(settings.slow_idle),
        "--tricklers", str(settings.slow_tricklers)]
    with process.running(command, log=log):
        end = time.monotonic() + READY_SECONDS
        while "ready" not in log.read_text("utf-8"):
            if time.monotonic() > end or "Error" in log.read_text("utf-8"):
                raise NotStarted(f"the burden is not there: {log.read_text('utf-8')[-300:]}")
            time.sleep(0.1)
        yield log


async def _warm_bytes(relay: Peer, settings: Settings) -> int:
    """Its memory once it has worked a little."""
    requests = payload.chat_requests(relay.key, stream=False)
    async with Load(relay.port, requests, settings.json_connections) as load:
        await load.closed(WARM_CALLS)
    return rss_bytes(relay.pids)


async def _round(
    base: Ground, taking_part: Field, number: int, before: int
) -> list[Sample]:
    settings = base.settings
    direct, relay = taking_part.peers
    calm = {peer.name: await _p99_us(peer, settings) for peer in taking_part.peers}
    others = Foreign(base, taking_part)
    with _burden(base, relay, number) as log:
        began, spent = time.monotonic(), cpu_ns(relay.pids)
        await asyncio.sleep(settings.slow_settle_seconds)
        burden_us = (cpu_ns(relay.pids) - spent) / (time.monotonic() - began) / 1e3
        late = {peer.name: await _p99_us(peer, settings) for peer in taking_part.peers}
        grown = rss_bytes(relay.pids) - before
        foreign = others.cores()
    became = json.loads(log.read_text("utf-8").splitlines()[-1])
    return [
        Sample(direct.name, number, {"calm_p99_us": calm[DIRECT], "slow_p99_us": late[DIRECT]}),
        Sample(relay.name, number, {
            "calm_p99_us": calm[RELAYD], "slow_p99_us": late[RELAYD],
            "burden_mib": grown / 2**20, "burden_cores": burden_us / 1e6,
            "lost": float(became["lost"]), "let_go": float(became["let_go"]),
            "foreign_cores": foreign})]


async def _story(base: Ground, taking_part: Field) -> list[Sample]:
    samples = []
    before = await _warm_bytes(taking_part.peers[1], base.settings)
    for number in range(base.settings.slow_rounds):
        samples += await _round(base, taking_part, number, before)
    return samples


def run(settings: Settings) -> Outcome:
    """`slow_p99_us` of calls beside the burden, `calm_p99_us` before it came, from the intended
    moment; `burden_mib`: what the relay's memory has grown by since the first round began;
    `burden_cores`: its CPU for the burden alone; `lost`: streams and idle connections that were
    ended, `let_go`: tricklers that were.
    """
    paced = replace(settings, pace_ms=settings.slow_pace_ms)
    return rounds.conduct(QUESTION, paced, (DIRECT, RELAYD), _story)
