"""What does a relay take that has nothing to do, with clients that stay connected?"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from bench import payload, rounds
from bench.client import Load
from bench.peers import RELAYS, Field, Ground, Peer
from bench.process import cpu_ns, wakeups
from bench.result import Outcome
from bench.rounds import Foreign
from bench.sample import Sample
from bench.settings import Settings

QUESTION: Final = "idle"


async def _idle(base: Ground, taking_part: Field) -> list[Sample]:
    """All peers at the same time: nobody does anything that could be in another's way."""
    settings, samples = base.settings, []
    async with AsyncExitStack() as stack:
        for peer in taking_part.peers:
            requests = payload.chat_requests(peer.key, stream=False)
            load = await stack.enter_async_context(
                Load(peer.port, requests, settings.idle_connections))
            await load.hold()
        await asyncio.sleep(settings.idle_settle_seconds)
        for number in range(settings.idle_rounds):
            others = Foreign(base, taking_part)
            before = [_read(peer) for peer in taking_part.peers]
            await asyncio.sleep(settings.idle_seconds)
            after = [_read(peer) for peer in taking_part.peers]
            foreign = others.cores()
            for peer, (cpu, woken), (cpu_then, woken_then) in zip(
                    taking_part.peers, before, after, strict=True):
                samples.append(Sample(peer.name, number, {
                    "idle_ms_per_s": (cpu_then - cpu) / 1e6 / settings.idle_seconds,
                    "wakeups_per_s": (woken_then - woken) / settings.idle_seconds,
                    "foreign_cores": foreign}))
    return samples


def _read(peer: Peer) -> tuple[int, int]:
    return cpu_ns(peer.pids), wakeups(peer.pids)


def run(settings: Settings) -> Outcome:
    """`idle_ms_per_s`: milliseconds of CPU a second; `wakeups_per_s`: how often a thread of it
    that slept was woken. Each connection has had one JSON call."""
    return rounds.conduct(QUESTION, settings, RELAYS, _idle)
