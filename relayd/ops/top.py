"""What `relayd top` shows: rates and times between two readings of a daemon's metrics.

Law: pure. A counter that went back began anew (the daemon was restarted): all of it is new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from relayd.ops.scrape import Sample

FAILED: Final = frozenset({"provider_error", "provider_truncated", "interrupted"})
SLOWEST_MAX: Final = 8

Labels = tuple[tuple[str, str], ...]
Reading = Mapping[tuple[str, Labels], float]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """One provider. Times are of requests since the reading before, None without any."""

    name: str
    up: bool
    attempts_per_second: float
    failed_per_second: float
    first_byte_p50_ms: float | None
    first_byte_p95_ms: float | None
    connections: int
    ill_deployments: int


@dataclass(frozen=True, slots=True)
class SlowLine:
    """One kind of calls: `what` is an endpoint or a model, `of` its API or provider."""

    what: str
    of: str
    per_second: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Top:
    """One picture. Rates are of the `seconds` between the two readings."""

    seconds: float
    ready: bool
    calls_per_second: float
    failed_per_second: float
    refused_per_second: float
    input_tokens_per_second: float
    output_tokens_per_second: float
    in_flight: int
    connections: int
    cpu_percent: float
    memory_bytes: int
    lag_ms: float
    unflushed_records: int
    journal_bytes: int
    providers: list[ProviderLine]
    endpoints: list[SlowLine]
    models: list[SlowLine]


def reading(samples: Iterable[Sample]) -> dict[tuple[str, Labels], float]:
    """A page's samples by name and labels."""
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for each in samples}


class Change:
    """Two readings, `seconds` apart."""

    def __init__(self, before: Reading, after: Reading, seconds: float) -> None:
        self.after = after
        self.seconds = max(seconds, 0.001)
        self._before = before

    def _grown(self, key: tuple[str, Labels], value: float) -> float:
        grown = value - self._before.get(key, 0.0)
        return value if grown < 0 else grown

    def rate(self, name: str, wanted: Callable[[dict[str, str]], bool] = lambda _: True) -> float:
        """What the counters of this name grew by in a second."""
        return sum(self._grown(key, value) for key, value in self.after.items()
                   if key[0] == name and wanted(dict(key[1]))) / self.seconds

    def gauge(self, name: str, wanted: Callable[[dict[str, str]], bool] = lambda _: True) -> float:
        """The sum of the gauges of this name as they are now."""
        return sum(value for key, value in self.after.items()
                   if key[0] == name and wanted(dict(key[1])))

    def values(self, name: str, label: str) -> list[str]:
        """The values that a label has."""
        return sorted({dict(labels).get(label, "") for known, labels in self.after
                       if known == name})

    def histograms(self, name: str, by: Key) -> dict[Key, dict[float, float]]:
        """Of each group of labels: what the buckets (upper bound, cumulative) grew by."""
        found: dict[Key, dict[float, float]] = defaultdict(lambda: defaultdict(float))
        for key, value in self.after.items():
            if key[0] == f"{name}_bucket":
                labels = dict(key[1])
                group = tuple(labels.get(label, "") for label in by)
                found[group][float(labels["le"])] += self._grown(key, value)
        return found


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """As Prometheus' histogram_quantile: linear inside a bucket; None where all is empty."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    low, below = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= share * total:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (share * total - below) / (buckets[bound] - below)
        low, below = bound, buckets[bound]
    return low


def top(before: Reading, after: Reading, seconds: float) -> Top:
    """The picture of two readings."""
    change = Change(before, after, seconds)
    return Top(
        seconds=round(seconds, 3),
        ready=change.gauge("relayd_ready") == 1,
        calls_per_second=change.rate("relayd_calls_total"),
        failed_per_second=change.rate(
            "relayd_calls_total", lambda labels: labels["outcome"] in FAILED),
        refused_per_second=change.rate("relayd_requests_refused_total") + change.rate(
            "relayd_calls_total", lambda labels: labels["outcome"] == "refused"),
        input_tokens_per_second=_tokens(change, "input"),
        output_tokens_per_second=_tokens(change, "output"),
        in_flight=int(change.gauge("relayd_calls_in_flight")),
        connections=int(change.gauge("relayd_client_connections")),
        cpu_percent=100 * change.rate("process_cpu_seconds_total"),
        memory_bytes=int(change.gauge("process_resident_memory_bytes")),
        lag_ms=1000 * change.gauge("relayd_event_loop_lag_seconds"),
        unflushed_records=int(change.gauge("relayd_unflushed_records")),
        journal_bytes=int(change.gauge("relayd_journal_bytes")),
        providers=_providers(change),
        endpoints=_slowest(change, "relayd_call_duration_seconds", ("endpoint", "api")),
        models=_slowest(change, "gen_ai_server_request_duration_seconds",
                        ("gen_ai_request_model", "gen_ai_provider_name")),
    )


def _tokens(change: Change, kind: str) -> float:
    return change.rate("relayd_tokens_total", lambda labels: labels["token_type"] == kind)


def _providers(change: Change) -> list[ProviderLine]:
    times = change.histograms("relayd_upstream_first_byte_seconds", ("provider",))
    return [_provider(change, name, times.get((name,), {}))
            for name in change.values("relayd_provider_up", "provider")]


def _provider(change: Change, name: str, times: Mapping[float, float]) -> ProviderLine:
    def mine(labels: dict[str, str]) -> bool:
        return labels.get("provider") == name

    attempts = "relayd_upstream_attempts_total"
    return ProviderLine(
        name=name,
        up=change.gauge("relayd_provider_up", mine) == 1,
        attempts_per_second=change.rate(attempts, mine),
        failed_per_second=change.rate(
            attempts, lambda labels: mine(labels) and labels["result"] != "head"),
        first_byte_p50_ms=_ms(quantile(0.5, times)),
        first_byte_p95_ms=_ms(quantile(0.95, times)),
        connections=int(change.gauge("relayd_upstream_connections", mine)),
        ill_deployments=int(change.gauge(
            "relayd_deployments",
            lambda labels: mine(labels) and labels["state"] in ("cooling", "down"))),
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _slowest(change: Change, name: str, by: Key) -> list[SlowLine]:
    found = []
    for (what, of), buckets in change.histograms(name, by).items():
        middle, high = quantile(0.5, buckets), quantile(0.95, buckets)
        if middle is not None and high is not None:
            found.append(SlowLine(what, of, buckets[float("inf")] / change.seconds,
                                  round(middle * 1000, 1), round(high * 1000, 1)))
    return sorted(found, key=lambda line: (-line.p95_ms, line.what))[:SLOWEST_MAX]
