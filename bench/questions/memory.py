"""How much memory does an idle connection take, and how much an open stream that is silent?"""

from __future__ import annotations

import asyncio
import functools
from typing import Final

from bench import payload, rounds
from bench.client import Load
from bench.peers import RELAYS, Field, Ground, Peer
from bench.process import rss_bytes
from bench.result import Outcome
from bench.sample import Sample
from bench.settings import Settings

WARM_CALLS: Final = 320
STEADY_READINGS: Final = 20
STEADY_SECONDS: Final = 0.5
STEADY_BYTES: Final = 256 * 1024
QUESTION: Final = "memory"


async def _steady_rss(peer: Peer) -> int:
    """Resident memory once it has stopped growing."""
    last = rss_bytes(peer.pids)
    for _ in range(STEADY_READINGS):
        await asyncio.sleep(STEADY_SECONDS)
        now = rss_bytes(peer.pids)
        if abs(now - last) <= STEADY_BYTES:
            return now
        last = now
    return last


async def _warm(peer: Peer) -> int:
    for stream in (False, True):
        requests = payload.chat_requests(peer.key, stream=stream)
        async with Load(peer.port, requests, 16) as load:
            if stream:
                await load.hold()
            else:
                await load.closed(WARM_CALLS)
    return await _steady_rss(peer)


async def _held(base: Ground, taking_part: Field, *, stream: bool) -> list[Sample]:
    count = base.settings.held_streams if stream else base.settings.held_connections
    name = "stream" if stream else "connection"
    samples = []
    for peer in taking_part.peers:
        before = await _warm(peer)
        requests = payload.chat_requests(peer.key, stream=stream)
        async with Load(peer.port, requests, count) as load:
            await load.hold()
            after = await _steady_rss(peer)
        samples.append(Sample(peer.name, 0, {
            f"{name}_kib": (after - before) / count / 1024, f"before_{name}_mib": before / 2**20}))
    return samples


def run(settings: Settings) -> Outcome:
    """`connection_kib`, `stream_kib`: growth of resident memory, each from a fresh process.

    A connection is idle after one JSON call; a stream has had its first event (and the stream's
    figure is both its sides: the client's connection and the upstream's).
    """
    found = Outcome(QUESTION)
    for stream in (False, True):
        one = rounds.conduct(QUESTION, settings, RELAYS,
                             functools.partial(_held, stream=stream), hold=True)
        found.samples.extend(one.samples)
        found.skipped.update(one.skipped)
        found.versions.update(one.versions)
    return found
