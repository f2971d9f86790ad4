"""The bars that relayd is held to, and whether a run met them. Pure.

Law: a comparison is judged by the median of its rounds, each against the peer of the same round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bench import sample
from bench.peers import AUDIT, BUSY, DIRECT, NGINX, PLAIN, RELAYD
from bench.sample import Sample, Spread

Kind = Literal["ratio", "added", "value", "below"]


@dataclass(frozen=True, slots=True)
class Bar:
    """`figure` of `peer` against `to`: at most `limit`, which is in `unit`."""

    question: str
    text: str
    figure: str
    kind: Kind
    limit: float
    peer: str = RELAYD
    to: str = NGINX
    aim: float | None = None
    unit: str = "x"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`found` None: not measured. `met` is then None too."""

    bar: Bar
    found: Spread | None
    met: bool | None


BARS: Final = (
    Bar("json", "CPU per JSON call, 16 connections, to nginx", "call_us", "ratio", 3.0, aim=2.5),
    Bar("json", "the same, to the plain aiohttp relay", "call_us", "ratio", 0.25, to=PLAIN),
    Bar("sse", "CPU per SSE event, counted inline, to nginx", "event_us", "ratio", 2.0, aim=1.6),
    Bar("agent", "CPU per 80 KB agent request, audit mode, to nginx", "call_us", "ratio", 4.0,
        peer=AUDIT),
    Bar("agent", "the same, its worst to the best of the plain aiohttp relay", "call_us", "below",
        1.0, peer=AUDIT, to=PLAIN),
    Bar("tls", "CPU per JSON call, TLS upstream, to nginx", "call_us", "ratio", 2.5),
    Bar("tls", "CPU per SSE event, TLS upstream, to nginx", "event_us", "ratio", 1.6),
    Bar("latency", "added p50 at 500 calls/s, open loop", "call_p50_us", "added", 150.0,
        to=DIRECT, unit="µs"),
    Bar("latency", "the same with `busy_poll`, which takes a core", "call_p50_us", "added", 150.0,
        peer=BUSY, to=DIRECT, unit="µs"),
    Bar("latency", "added p99 at 500 calls/s, open loop", "call_p99_us", "added", 1500.0,
        to=DIRECT, unit="µs"),
    Bar("journal", "the journal on the event loop, per call under load, median", "journal_p50_us",
        "value", 8.0, unit="µs"),
    Bar("metrics", "metrics on the relay path, per call", "call_us", "value", 3.0, unit="µs"),
    Bar("counting", "CPU per SSE event, inline beyond audit mode", "event_us", "added", 2.5,
        to=AUDIT, unit="µs"),
    Bar("counting", "CPU of an 80 KB agent's next turn, inline to audit mode", "turn_us", "ratio",
        1.5, to=AUDIT),
    Bar("counting", "the event loop's worst stall beside prompts of 1 MB", "stall_ms", "value",
        5.0, unit="ms"),
    Bar("slow", "added p99 of calls beside 5,000 slow streams, 2,000 idle connections and 500"
        " slowloris", "slow_p99_us", "added", 20_000.0, to=DIRECT, unit="µs"),
    Bar("slow", "memory that these take", "burden_mib", "value", 160.0, unit="MiB"),
    Bar("memory", "memory per open idle stream, both sides", "stream_kib", "value", 40.0,
        unit="KiB"),
)


def judge(bar: Bar, samples: Sequence[Sample]) -> Verdict:
    """What was found for a bar."""
    found = _found(bar, samples)
    if found is None:
        return Verdict(bar, None, None)
    met = found.middle < bar.limit if bar.kind == "below" else found.middle <= bar.limit
    return Verdict(bar, found, met)


def judge_all(samples: Mapping[str, Sequence[Sample]]) -> list[Verdict]:
    """Every bar, by the samples of its question."""
    return [judge(bar, samples.get(bar.question, ())) for bar in BARS]


def _found(bar: Bar, samples: Sequence[Sample]) -> Spread | None:
    if bar.kind == "ratio":
        return sample.ratio(samples, bar.figure, bar.peer, bar.to)
    if bar.kind == "added":
        return sample.added(samples, bar.figure, bar.peer, bar.to)
    ours = sample.of_peer(samples, bar.peer, bar.figure)
    theirs = sample.of_peer(samples, bar.to, bar.figure)
    if bar.kind == "value" or ours is None or theirs is None:
        return ours if bar.kind == "value" else None
    worst = ours.most / theirs.least
    return Spread(worst, worst, worst)
