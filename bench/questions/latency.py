"""How much later does an answer come through a relay, at 500 calls a second, open loop?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bench import payload, rounds
from bench.client import Answer, Load
from bench.peers import BUSY, DIRECT, RELAYS, Field, Ground, Peer
from bench.process import cpu_ns
from bench.result import Outcome
from bench.rounds import Foreign
from bench.sample import Sample, percentile
from bench.settings import Settings

WARM_CALLS = 64
AWAKE_SECONDS = 2.0
"""After so long without calls a relay with `busy_poll` leaves the core to the next peer."""


async def _calls(peer: Peer, settings: Settings) -> dict[str, float]:
    requests = payload.chat_requests(peer.key, stream=False)
    async with Load(peer.port, requests, settings.json_connections) as load:
        await load.closed(WARM_CALLS)
        before = cpu_ns(peer.pids)
        answers = await load.open(settings.latency_per_second, settings.latency_calls)
        spent = cpu_ns(peer.pids) - before
    late = [each.done_ns - each.intended_ns for each in answers]
    figures = _quantiles("call", late, (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)))
    if peer.pids:
        figures["paced_call_us"] = spent / len(answers) / 1e3
    return figures


async def _streams(peer: Peer, settings: Settings) -> dict[str, float]:
    requests = payload.chat_requests(peer.key, stream=True, events=settings.events)
    async with Load(peer.port, requests, settings.json_connections) as load:
        await load.closed(settings.json_connections)
        answers: Sequence[Answer] = await load.open(
            settings.latency_streams_per_second, settings.latency_streams)
    first = [each.first_ns - each.intended_ns for each in answers]
    gaps = [gap for each in answers for gap in each.gaps_ns]
    return (_quantiles("first_byte", first, (("p50", 0.5), ("p99", 0.99)))
            | _quantiles("event", gaps, (("p50", 0.5), ("p99", 0.99))))


def _quantiles(
    name: str, values_ns: Sequence[int], wanted: Sequence[tuple[str, float]]
) -> dict[str, float]:
    return {f"{name}_{label}_us": percentile(values_ns, share) / 1e3 for label, share in wanted}


async def _story(base: Ground, taking_part: Field) -> list[Sample]:
    settings = base.settings
    samples = []
    for number in range(settings.latency_rounds):
        for peer in rounds.in_turn(taking_part.peers, number):
            others = Foreign(base, taking_part)
            figures = await _calls(peer, settings) | await _streams(peer, settings)
            figures["foreign_cores"] = others.cores()
            samples.append(Sample(peer.name, number, figures))
            if peer.name == BUSY:
                await asyncio.sleep(AWAKE_SECONDS)
    return samples


def run(settings: Settings) -> Outcome:
    """Quantiles from the intended moment, in µs: of calls, first bytes and events.

    What a relay adds is its quantile less the direct one of the same round.
    """
    return rounds.conduct("latency", settings, (DIRECT, *RELAYS, BUSY), _story)
