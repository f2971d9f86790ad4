"""Rounds of CPU measurements: every peer does the same work in turn, then all are read.

Law: a peer is charged with everything its processes did from its first call to the end of the
round, so that records that are written a second later are in the figure too. One round before the
first warms up and is not kept.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import uvloop

from bench import machine, nginx, payload
from bench.client import Load
from bench.peers import DIRECT, NGINX, Field, Ground, Peer, ground, start
from bench.process import NotStarted, cpu_ns
from bench.result import Outcome
from bench.sample import Sample, percentile
from bench.settings import Settings

GAUGE_CALLS: Final = 200
Work = Callable[[Peer, Settings], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Job:
    """What a peer does in a round; `work` returns the units that `figure` is counted in."""

    figure: str
    work: Work


@dataclass(slots=True)
class Foreign:
    """What the machine did that was not this run's doing."""

    base: Ground
    taking_part: Field
    at: float = field(default_factory=time.monotonic)
    busy: float = field(default_factory=machine.busy_seconds)
    own: float = 0.0

    def __post_init__(self) -> None:
        self.own = self._own()

    def _own(self) -> float:
        pids = [self.base.upstream_pid]
        for peer in self.taking_part.peers:
            pids += peer.pids
        return cpu_ns(pids) / 1e9 + time.process_time()

    def cores(self) -> float:
        """Cores that others kept busy since the start, about."""
        busy = machine.busy_seconds() - self.busy
        return max(0.0, (busy - (self._own() - self.own)) / (time.monotonic() - self.at))


def ask(
    question: str, settings: Settings, names: Sequence[str], jobs: Sequence[Job],
    *, tls: bool = False,
) -> Outcome:
    """Starts the peers, runs the rounds, ends the peers."""
    async def story(base: Ground, taking_part: Field) -> list[Sample]:
        return [each for number in range(-1, settings.rounds)
                for each in await _round(base, taking_part, jobs, number) if number >= 0]

    return conduct(question, settings, names, story, tls=tls)


Story = Callable[[Ground, Field], Coroutine[Any, Any, list[Sample]]]


def conduct(
    question: str, settings: Settings, names: Sequence[str], story: Story,
    *, tls: bool = False, hold: bool = False,
) -> Outcome:
    """Runs `story` on one loop before a fresh upstream and fresh peers."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        # nginx's worker is another user, and the way to its folder leads through this one
        Path(folder).chmod(0o755)
        base = stack.enter_context(ground(Path(folder, "run"), settings, tls=tls, hold=hold))
        taking_part = start(stack, base, names)
        samples = uvloop.run(story(base, taking_part))
    return Outcome(question, samples, taking_part.skipped, _versions(settings, taking_part))


def _versions(settings: Settings, taking_part: Field) -> dict[str, str]:
    if not any(peer.name == NGINX for peer in taking_part.peers):
        return {}
    try:
        return {"nginx": nginx.version(nginx.binary(settings.cache))}
    except NotStarted:
        return {}


def in_turn(peers: Sequence[Peer], number: int) -> list[Peer]:
    """Nobody is always first."""
    shift = number % len(peers) if peers else 0
    return [*peers[shift:], *peers[:shift]]


async def _round(
    base: Ground, taking_part: Field, jobs: Sequence[Job], number: int
) -> list[Sample]:
    figures: dict[str, dict[str, float]] = {peer.name: {} for peer in taking_part.peers}
    others = Foreign(base, taking_part)
    for job in jobs:
        read = []
        for peer in in_turn(taking_part.peers, number):
            before = cpu_ns(peer.pids)
            read.append((peer, before, await job.work(peer, base.settings)))
        await asyncio.sleep(base.settings.settle_seconds)
        for peer, before, units in read:
            figures[peer.name][job.figure] = (cpu_ns(peer.pids) - before) / units / 1e3
    foreign = others.cores()
    samples = [Sample(name, number, {**found, "foreign_cores": foreign})
               for name, found in figures.items()]
    if not base.tls:
        samples.append(Sample(DIRECT, number, {"p50_us": await _gauge(base)}))
    return samples


async def _gauge(base: Ground) -> float:
    """The round trip without a relay, one at a time: tells a quiet round from a noisy one."""
    requests = payload.chat_requests("sk-bench", stream=False)
    async with Load(base.upstream_port, requests, 1) as load:
        answers = await load.closed(GAUGE_CALLS)
    return percentile([each.done_ns - each.intended_ns for each in answers], 0.5) / 1e3
