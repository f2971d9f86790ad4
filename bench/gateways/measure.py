"""The rounds: each peer in turn idles, answers calls, streams, then keeps a fixed rate.

Law: who is slow does less work, never other work, so that a run ends in time. A peer pays for what
it does until its records are written (`settle_seconds`), less what it burns when nobody calls.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Final

from bench import payload
from bench.client import Answer, Broken, Load
from bench.gateways.catalogue import BY_NAME, Entry
from bench.gateways.running import request
from bench.peers import DIRECT, Field, Ground, Peer
from bench.process import cpu_ns, rss_bytes
from bench.rounds import Foreign, in_turn
from bench.sample import Sample, percentile

WARM_CALLS: Final = 48
DIRECT_ENTRY: Final = Entry(DIRECT, "proxy", "no relay")


@dataclass(frozen=True, slots=True)
class Plan:
    """Work of one round, for each peer; seconds bound what a slow one does."""

    name: str = "peers"
    rounds: int = 3
    calls: int = 1600
    calls_least: int = 64
    calls_seconds: float = 2.5
    connections: int = 16
    streams: int = 24
    streams_at_once: int = 4
    events: int = 64
    per_second: float = 200.0
    paced_calls: int = 600
    paced_streams: int = 18
    streams_per_second: float = 6.0
    headroom: float = 0.8
    """Above this share of its closed-loop throughput an open loop would measure only its queue."""
    idle_seconds: float = 1.0
    settle_seconds: float = 1.3


FULL: Final = Plan()
QUICK: Final = replace(FULL, name="peers-quick", rounds=1, calls=400, streams=8, paced_calls=200,
                       paced_streams=8)


async def story(base: Ground, taking_part: Field, plan: Plan) -> list[Sample]:
    """All rounds. A peer that breaks is told in `taking_part.skipped` and asked no more."""
    samples = []
    for number in range(plan.rounds):
        for peer in in_turn([Peer(DIRECT, base.upstream_port), *taking_part.peers], number):
            if peer.name in taking_part.skipped:
                continue
            others = Foreign(base, taking_part)
            try:
                figures = await _turn(peer, plan)
            except (Broken, TimeoutError, OSError) as error:
                taking_part.skipped[peer.name] = f"it failed: {type(error).__name__} {error}"
                continue
            figures["foreign_cores"] = others.cores()
            samples.append(Sample(peer.name, number, figures))
    return samples


async def _turn(peer: Peer, plan: Plan) -> dict[str, float]:
    entry = BY_NAME.get(peer.name, DIRECT_ENTRY)
    plain = request(entry, peer.key, stream=False)
    streamed = request(entry, peer.key, stream=True, events=plan.events)
    figures: dict[str, float] = {}
    # before any call: what it writes a second after one is not idling
    idle = await _idle(peer, plan.idle_seconds)
    async with Load(peer.port, plain, plan.connections) as load:
        before_ns = time.monotonic_ns()
        await load.closed(WARM_CALLS)
        took = (time.monotonic_ns() - before_ns) / 1e9 / WARM_CALLS
    calls = affordable(plan, took)
    if peer.pids:
        figures |= {"idle_share": idle}
        figures |= await _cpu_of_calls(peer, plan, plain, calls, idle)
        figures |= await _cpu_of_streams(peer, plan, streamed, idle)
        figures["rss_mib"] = rss_bytes(peer.pids) / 2**20
    if figures.get("calls_per_second", plan.per_second / plan.headroom) >= (
            plan.per_second / plan.headroom):
        figures |= await _paced(peer, plan, plain)
    figures |= await _paced_streams(peer, plan, streamed)
    return figures


def affordable(plan: Plan, seconds_per_call: float) -> int:
    """Calls that fit into the time of a peer that takes so long for one."""
    fitting = int(plan.calls_seconds / max(seconds_per_call, 1e-9))
    return max(plan.calls_least, min(plan.calls, fitting))


async def _idle(peer: Peer, seconds: float) -> float:
    """Cores that the peer burns when nobody calls."""
    before, at = cpu_ns(peer.pids), time.monotonic_ns()
    await asyncio.sleep(seconds)
    return (cpu_ns(peer.pids) - before) / (time.monotonic_ns() - at)


async def _spent(peer: Peer, load: Load, count: int, seconds: tuple[float, float]) -> tuple[
        list[Answer], float, float]:
    """The answers, the CPU in µs beyond idling, and the seconds that the answers took.

    `seconds`: cores when idle, and how long records may take to be written.
    """
    idle, settle = seconds
    before, at = cpu_ns(peer.pids), time.monotonic_ns()
    answers = await load.closed(count)
    took = time.monotonic_ns() - at
    await asyncio.sleep(settle)
    spent = cpu_ns(peer.pids) - before - idle * (time.monotonic_ns() - at)
    return answers, spent / 1e3, took / 1e9


async def _cpu_of_calls(
    peer: Peer, plan: Plan, requests: list[bytes], calls: int, idle: float
) -> dict[str, float]:
    async with Load(peer.port, requests, plan.connections) as load:
        _, spent_us, took = await _spent(peer, load, calls, (idle, plan.settle_seconds))
    return {"call_us": spent_us / calls, "calls": calls, "calls_per_second": calls / took}


async def _cpu_of_streams(
    peer: Peer, plan: Plan, requests: list[bytes], idle: float
) -> dict[str, float]:
    async with Load(peer.port, requests, plan.streams_at_once) as load:
        answers, spent_us, _ = await _spent(peer, load, plan.streams,
                                            (idle, plan.settle_seconds))
    if min(answer.events for answer in answers) < plan.events:
        raise Broken(f"a stream had fewer than its {plan.events} text events")
    # the upstream's events: gateways that write anew may join or drop one
    return {"event_us": spent_us / (len(answers) * (plan.events + payload.EVENTS_AROUND))}


async def _paced(peer: Peer, plan: Plan, requests: list[bytes]) -> dict[str, float]:
    async with Load(peer.port, requests, plan.connections) as load:
        await load.closed(WARM_CALLS)
        answers = await load.open(plan.per_second, plan.paced_calls)
    late = [each.done_ns - each.intended_ns for each in answers]
    return {"call_p50_us": percentile(late, 0.5) / 1e3,
            "call_p99_us": percentile(late, 0.99) / 1e3}


async def _paced_streams(peer: Peer, plan: Plan, requests: list[bytes]) -> dict[str, float]:
    """First bytes, and events by the upstream's stamp where the peer passes it on."""
    async with Load(peer.port, requests, plan.connections) as load:
        await load.closed(plan.streams_at_once)
        answers = await load.open(plan.streams_per_second, plan.paced_streams)
    first = [each.first_ns - each.intended_ns for each in answers]
    figures = {"first_byte_p50_us": percentile(first, 0.5) / 1e3}
    gaps = [gap for each in answers for gap in each.gaps_ns]
    if gaps:
        figures["event_p50_us"] = percentile(gaps, 0.5) / 1e3
        figures["event_p99_us"] = percentile(gaps, 0.99) / 1e3
    return figures
