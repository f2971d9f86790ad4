"""What do metrics and the access log cost: on the relay path, as calls are stored, at a scrape?"""

from __future__ import annotations

import os
import time
import timeit
from collections.abc import Callable
from typing import Final

import msgspec

from bench.peers import RELAYD
from bench.result import Outcome
from bench.sample import Sample
from bench.settings import Settings
from relayd.core.columns import Columns
from relayd.core.provider import Address, Provider
from relayd.core.record import CallRecord
from relayd.core.route import Deployment, Route
from relayd.ops import clock
from relayd.ops.accesslog import AccessLog
from relayd.ops.config import LogConfig
from relayd.ops.logging import Logger
from relayd.ops.metrics import Metrics

QUESTION: Final = "metrics"
PROVIDER: Final = Provider("openai", "openai", Address("https", "h", 443, ""), ())
ROUTES: Final = tuple(Route(f"model-{n}", (Deployment("openai"),)) for n in range(30))
RECORD: Final = CallRecord(
    id="01J00000000000000000000000", started_at_ms=1, account="acct", key="key", app=None,
    api="openai", endpoint="/v1/chat/completions", model="model-1", provider="openai",
    provider_model="model-1", stream=True, status=200, outcome="completed", error=None,
    attempts=1, input_tokens=900, output_tokens=200, cache_read_input_tokens=400,
    cache_creation_input_tokens=0, reasoning_output_tokens=50, audio_input_tokens=0,
    audio_output_tokens=0, counted_input_tokens=900, counted_output_tokens=200,
    usage_source="reported", amount_nano=1000, currency="USD", first_byte_ms=312.5,
    duration_ms=4012.5)


def _each_us(work: Callable[[], object], number: int, of: int = 1) -> float:
    """The median of nine CPU times, per unit of work."""
    times = sorted(timeit.repeat(work, number=number, repeat=9, timer=time.process_time))
    return times[4] / number / of * 1e6


def _call(metrics: Metrics) -> None:
    """All that a streamed call pays for on the relay path: two clock readings are among it."""
    metrics.observe_overhead(clock.monotonic() - 1.0)
    metrics.attempt("openai", "head")
    metrics.answered("openai", 0.3, (clock.monotonic() - 1.0) / 200)
    metrics.settled(RECORD)


def _round(number: int, settings: Settings) -> Sample:
    metrics = Metrics([PROVIDER], ROUTES)
    records = [msgspec.structs.replace(RECORD, model=route.pattern, provider_model=route.pattern)
               for route in ROUTES] * 10
    count = settings.json_calls
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        access = AccessLog(Logger(stream=nowhere), LogConfig("all"))
        figures = {
            "call_us": _each_us(lambda: _call(metrics), count),
            "posted_us": _each_us(lambda: metrics.posted.posted(Columns(records)), 5,
                                  len(records)),
            "access_us": _each_us(lambda: access.posted(records), 5, len(records)),
            "scrape_ms": _each_us(metrics.render, 5) / 1000,
            "series": float(sum(not line.startswith(b"#")
                                for line in metrics.render().splitlines())),
        }
    return Sample(RELAYD, number, figures)


def run(settings: Settings) -> Outcome:
    """`call_us`: on the relay path, for each call. `posted_us`, `access_us`: in the flush job, for
    each record; the second where the access log is on. `scrape_ms`: of `series` lines."""
    return Outcome(QUESTION, [_round(number, settings) for number in range(settings.rounds)])
