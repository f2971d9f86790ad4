"""Every metric of the relay: closed label sets, no account, key or address among them, and no name
that a client made up.

Law: what the relay path tells of a call is noted, and counted with that of other calls (`fold`):
of BATCH calls, of those that are stored, and of all before anything is read. A label value that is
in no closed list becomes `other` or `none`, so that clients cannot mint series. Text is made at
scrape alone (`render`).
"""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final, get_args

from relayd.core.columns import Columns, places
from relayd.core.errors import ERRORS
from relayd.core.provider import Api, Provider
from relayd.core.record import CallRecord
from relayd.core.route import Route
from relayd.core.usage import Outcome, UsageSource
from relayd.ops import clock
from relayd.ops.metrics_gauges import Gauges, gauges_text
from relayd.ops.metrics_posted import PostedMetrics
from relayd.ops.metrics_process import process_text
from relayd.ops.metrics_text import CONTENT_TYPE, Histogram, family, histograms, labels, pairs
from relayd.wire.dialect import ENDPOINTS, MODELS_PATHS

__all__ = ["ATTEMPT_RESULTS", "CONTENT_TYPE", "RETRY_KINDS", "Gauges", "Metrics"]

APIS: Final = frozenset(get_args(Api))
ENDPOINT_PATHS: Final = frozenset(e.path for e in ENDPOINTS) | MODELS_PATHS
CALL_ERRORS: Final = frozenset(ERRORS) | {"client_left"}
OUTCOMES: Final = frozenset(get_args(Outcome))
SOURCES: Final = frozenset(get_args(UsageSource))
ATTEMPT_RESULTS: Final = (
    "head", "status_4xx", "status_5xx",
    *(code for code, kind in ERRORS.items() if code.startswith("upstream_")), "other",
)
"""What became of an upstream attempt: a reply's head came (of a class that is an error, where the
caller tells), or one of the `upstream_*` errors."""

RETRY_KINDS: Final = ("next", "again", "fallback", "hedge", "other")
"""Another deployment, the same ones after a wait, another model, a second one at the same time."""

FIRST_BYTE_BOUNDS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
DURATION_BOUNDS: Final = tuple(0.01 * 2 ** n for n in range(17))
"""OpenTelemetry's bounds for gen_ai.server.*, extended: agents stream for minutes."""
GAP_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
OVERHEAD_BOUNDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)

BATCH: Final = 64
"""Calls that are counted together: in a batch that costs half."""

_PARTS: Final = ("cache_read_input", "cache_creation_input", "reasoning_output", "audio_input",
                 "audio_output")
_Key = tuple[str, str, str | None, str, int, bool, str]
_NAMES: Final = places("api", "endpoint", "provider", "outcome", "status", "stream",
                       "usage_source", "error")
_COUNTED: Final = places("input_tokens", "output_tokens", *(f"{part}_tokens" for part in _PARTS),
                         "first_byte_ms", "duration_ms")


class _Cell:
    """What is counted of calls that are alike."""

    __slots__ = ("calls", "input_tokens", "output_tokens", "parts", "first_byte", "duration")

    def __init__(self, first_byte: Histogram, duration: Histogram) -> None:
        self.calls = self.input_tokens = self.output_tokens = 0
        self.parts = [0] * len(_PARTS)
        self.first_byte = first_byte
        self.duration = duration


class Metrics:
    """The process's metrics. One per app; `gauges` may be filled in after construction.

    `posted` is what the flush job feeds.
    """

    def __init__(
        self, providers: Iterable[Provider] = (), routes: Sequence[Route] = (), *,
        version: str = "unknown",
    ) -> None:
        self.gauges = Gauges()
        self.posted = PostedMetrics()
        self._build = labels(("version", "python"), (version, platform.python_version()))
        self._started_seconds = self._config_seconds = clock.unix_ms() / 1000
        self._config_current = True
        self._providers: set[str] = set()
        self._cells: dict[_Key, _Cell] = {}
        self._latencies: dict[tuple[str, str, bool], tuple[Histogram, Histogram]] = {}
        self._errors: Counter[tuple[str, ...]] = Counter()
        self._refused: Counter[tuple[str, ...]] = Counter()
        self._attempts: Counter[tuple[str, ...]] = Counter()
        self._reloads: Counter[tuple[str, ...]] = Counter({("done",): 0, ("refused",): 0})
        self._retries: Counter[tuple[str, ...]] = Counter()
        self._overhead = Histogram(OVERHEAD_BOUNDS)
        self._answers: dict[str, Histogram] = {}
        self._gaps: dict[str, Histogram] = {}
        # what is not counted yet; each belongs to a call that settles, so that none grows on
        self._calls: list[CallRecord] = []
        self._replies: list[tuple[str, float, float | None]] = []
        self._tries: list[tuple[str, str]] = []
        self._overheads: list[float] = []
        self.know(providers, routes)

    def know(self, providers: Iterable[Provider], routes: Sequence[Route] = ()) -> None:
        """Takes names as label values and starts their series at 0, so that rates work."""
        self.fold()  # with the names that were known
        providers = list(providers)
        self.posted.know(providers, routes)
        for provider in providers:
            name = provider.name
            self._providers.add(name)
            self._answers.setdefault(name, Histogram(FIRST_BYTE_BOUNDS))
            self._gaps.setdefault(name, Histogram(GAP_BOUNDS))
            self._errors[provider.dialect, "internal"] += 0  # the first one is to be seen
            for kind in RETRY_KINDS:
                self._retries[name, kind] += 0
            for result in ATTEMPT_RESULTS:
                self._attempts[provider.name, result] += 0
            for endpoint in ENDPOINTS:
                if endpoint.api == provider.dialect:
                    self._cell((endpoint.api, endpoint.path, provider.name, "completed", 2,
                                False, "reported"))

    def reloaded(self, done: bool) -> None:
        """Counts a SIGHUP, by whether its configuration was taken."""
        self._reloads["done" if done else "refused",] += 1
        self._config_current = done
        if done:
            self._config_seconds = clock.unix_ms() / 1000

    def settled(self, record: CallRecord) -> None:
        """Counts one call, with its tokens and times. Called once for every record."""
        calls = self._calls
        calls.append(record)
        if len(calls) >= BATCH:
            self.fold()

    def settled_all(self, records: list[CallRecord]) -> None:
        """The same for calls that ended together."""
        self._calls += records
        if len(self._calls) >= BATCH:
            self.fold()

    def fold(self) -> None:
        """Counts what has been noted; whoever reads a counter calls this first."""
        calls, self._calls = self._calls, []
        if calls:
            self._count(calls)
        replies, self._replies = self._replies, []
        self._time(replies)
        tries, self._tries = self._tries, []
        for (provider, result), count in Counter(tries).items():
            self._attempts[provider if provider in self._providers else "none",
                           _closed(result, ATTEMPT_RESULTS)] += count
        overheads, self._overheads = self._overheads, []
        self._overhead.observe_all(overheads)

    def _count(self, calls: list[CallRecord]) -> None:
        for names, columns in Columns(calls).groups(_NAMES, _COUNTED):
            api, endpoint, provider, outcome, status, stream, source, error = names
            key = api, endpoint, provider, outcome, status // 100, stream, source
            cell = self._cells.get(key) or self._cell(key)
            inputs, outputs, *parts, first, whole = columns
            cell.calls += len(inputs)
            cell.input_tokens += sum(inputs)
            cell.output_tokens += sum(outputs)
            cell.parts = [was + sum(part) for was, part in zip(cell.parts, parts, strict=True)]
            cell.first_byte.observe_all([ms / 1000 for ms in first if ms is not None])
            cell.duration.observe_all([ms / 1000 for ms in whole if ms is not None])
            if error is not None:
                self._errors[_closed(api, APIS), _closed(error, CALL_ERRORS)] += len(inputs)

    def _time(self, replies: list[tuple[str, float, float | None]]) -> None:
        found: defaultdict[str, list[float]] = defaultdict(list)
        for provider, seconds, gap_seconds in replies:
            found[provider].append(seconds)
            if gap_seconds is not None and provider in self._gaps:
                self._gaps[provider].observe(gap_seconds)
        for provider, times in found.items():
            if provider in self._answers:
                self._answers[provider].observe_all(times)

    def attempt(self, provider: str, result: str) -> None:
        """Counts one upstream attempt by its result (`ATTEMPT_RESULTS`)."""
        self._tries.append((provider, result))

    def retried(self, provider: str, kind: str) -> None:
        """Counts an attempt that follows a failed one (`RETRY_KINDS`)."""
        self._retries[provider if provider in self._providers else "none",
                      _closed(kind, RETRY_KINDS)] += 1

    def answered(self, provider: str, seconds: float, gap_seconds: float | None) -> None:
        """A reply's times: what the provider took from the request to its first byte, and the
        mean time between two reads of a stream."""
        self._replies.append((provider, seconds, gap_seconds))

    def refused_before_key(self, api: str, code: str) -> None:
        """Counts a request that was refused before its key was known, so without a record."""
        self._refused[_closed(api, APIS), _closed(code, ERRORS)] += 1

    def observe_overhead(self, seconds: float) -> None:
        """What the relay took from a call's whole request to sending it."""
        self._overheads.append(seconds)

    def render(self) -> bytes:
        """Everything, as `CONTENT_TYPE`."""
        self.fold()
        return "".join((
            self._calls_text(), self._tokens_text(), self._latency_text(),
            pairs("relayd_call_errors_total", "Calls that ended with an error, by its code.",
                  ("api", "error"), self._errors),
            pairs("relayd_requests_refused_total",
                  "Requests refused before their key was known.", ("api", "error"),
                  self._refused),
            pairs("relayd_upstream_attempts_total", "Upstream attempts by result.",
                  ("provider", "result"), self._attempts),
            pairs("relayd_retries_total", "Attempts that followed a failed one, by their kind.",
                  ("provider", "kind"), self._retries),
            histograms("relayd_overhead_seconds",
                       "From a whole request to its sending, over a kept connection.",
                       [("", self._overhead)]),
            histograms("relayd_upstream_first_byte_seconds",
                       "From sending a request to the first byte of the reply's body.",
                       self._of_providers(self._answers)),
            histograms("relayd_stream_gap_seconds",
                       "The mean time between two reads of a stream, one value a stream.",
                       self._of_providers(self._gaps)),
            self.posted.text(), gauges_text(self.gauges), self._config_text(),
            process_text(self._started_seconds),
        )).encode()

    def _cell(self, key: _Key) -> _Cell:
        """The cell of a key, made on first use from closed label values alone."""
        api, endpoint, provider, outcome, status, stream, source = key
        api, endpoint = _closed(api, APIS), _closed(endpoint, ENDPOINT_PATHS)
        closed = (api, endpoint, provider if provider in self._providers else None,
                  _closed(outcome, OUTCOMES), status if 1 <= status <= 5 else 0, stream,
                  _closed(source, SOURCES))
        cell = self._cells.get(closed)
        if cell is None:
            where = (api, endpoint, stream)
            if where not in self._latencies:
                self._latencies[where] = Histogram(FIRST_BYTE_BOUNDS), Histogram(DURATION_BOUNDS)
            cell = self._cells[closed] = _Cell(*self._latencies[where])
        return cell

    def _config_text(self) -> str:
        return "".join((
            family("relayd_build_info", "gauge", "The version that runs.", [(self._build, 1)]),
            pairs("relayd_config_reloads_total", "Reloads by result.", ("result",),
                  self._reloads),
            family("relayd_config_last_reload_successful", "gauge",
                   "1 if the configuration that was loaded last is in force.",
                   [("", self._config_current)]),
            family("relayd_config_last_reload_success_timestamp_seconds", "gauge",
                   "When the configuration in force was loaded, Unix time.",
                   [("", self._config_seconds)])))

    def _calls_text(self) -> str:
        counts: Counter[tuple[str, ...]] = Counter()
        for (api, endpoint, provider, outcome, status, _, _), cell in self._cells.items():
            status_class = f"{status}xx" if status else "none"
            counts[api, endpoint, provider or "none", outcome, status_class] += cell.calls
        return pairs("relayd_calls_total", "Calls that passed authentication.",
                     ("api", "endpoint", "provider", "outcome", "status_class"), counts)

    def _tokens_text(self) -> str:
        totals: Counter[tuple[str, ...]] = Counter()
        parts: Counter[tuple[str, ...]] = Counter()
        for (api, _, provider, _, _, _, source), cell in self._cells.items():
            where = (api, provider or "none")
            if source != "none":
                totals[(*where, "input", source)] += cell.input_tokens
                totals[(*where, "output", source)] += cell.output_tokens
            for part, count in zip(_PARTS, cell.parts):
                parts[(*where, part)] += count
        return pairs(
            "relayd_tokens_total", "Tokens as billed; cached and reasoning tokens included.",
            ("api", "provider", "token_type", "usage_source"), totals,
        ) + pairs(
            "relayd_token_parts_total", "Tokens of special kinds, parts of relayd_tokens_total.",
            ("api", "provider", "part"), parts)

    @staticmethod
    def _of_providers(found: Mapping[str, Histogram]) -> list[tuple[str, Histogram]]:
        return [(labels(("provider",), (name,)), each) for name, each in sorted(found.items())
                if each.seen]

    def _latency_text(self) -> str:
        names = ("api", "endpoint", "stream")
        places = {where: labels(names, (where[0], where[1], "true" if where[2] else "false"))
                  for where, (_, duration) in self._latencies.items() if any(duration.counts)}
        return histograms(
            "relayd_call_first_byte_seconds", "From the request to the reply's first byte.",
            [(text, self._latencies[where][0]) for where, text in places.items()],
        ) + histograms(
            "relayd_call_duration_seconds", "From the request to the end of its reply.",
            [(text, self._latencies[where][1]) for where, text in places.items()])


def _closed(value: str, allowed: Container[str]) -> str:
    return value if value in allowed else "other"
