"""What is measured of calls as they are stored: drift, amounts, routes, and times by model.

Fed by the flush job, about a second after a call has ended, so that nothing here is paid for on
the relay path. Names of families and labels are OpenTelemetry's where it has them
(docs/decisions/0020).

Law: a label value is a name from the configuration: a model or a route that is not in it is
`other`, a call without one `none`, and so are models beyond MODELS_MAX. What is kept for calls
that are alike is found by names as clients sent them, and that memory is bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import add
from typing import Final

from relayd.core.columns import Column, Columns, places
from relayd.core.drift import NO_FIGURES, Compared, Figures, compared, ratio
from relayd.core.provider import Provider
from relayd.core.route import Route, Routes
from relayd.ops.metrics_text import Histogram, family, histograms, labels, pairs
from relayd.wire.dialect import ENDPOINTS

MODELS_MAX: Final = 100
"""Pairs of provider and model with series of their own: about ten each."""
TIMED_MODELS_MAX: Final = 16
"""Of these, so many with histograms (60 series each), the first ones that are called."""
ALIKE_MAX: Final = 4096

FIRST_TOKEN_BOUNDS: Final = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
REQUEST_BOUNDS: Final = tuple(0.01 * 2 ** n for n in range(17))
PER_TOKEN_BOUNDS: Final = (
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
"""OpenTelemetry's bounds of gen_ai.server.*; the first two extended."""

OPERATIONS: Final = {
    "chat": "chat", "messages": "chat", "responses": "chat", "completions": "text_completion",
    "embeddings": "embeddings", "generate": "generate_content",
    "stream_generate": "generate_content",
}
"""`gen_ai.operation.name` of a dialect's operation; those that it has no word for are `other`."""
_OPERATION_OF: Final = {
    endpoint.path: OPERATIONS.get(endpoint.operation, "other") for endpoint in ENDPOINTS}
_MODEL_LABELS: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_NAMES: Final = places(
    "endpoint", "provider", "provider_model", "model", "outcome", "currency")
_COUNTED: Final = places(
    *Compared._fields, "amount_nano", "stream", "input_tokens", "output_tokens", "first_byte_ms",
    "duration_ms")
_AMOUNT: Final = len(Compared._fields)
_TIMED: Final = slice(_AMOUNT + 1, None)
_Pair = tuple[str, str]


class _Times:
    """Times and tokens of completed calls of one operation of one model."""

    __slots__ = ("request", "first_token", "per_token", "calls", "input_tokens", "output_tokens")

    def __init__(self) -> None:
        self.request = Histogram(REQUEST_BOUNDS)
        self.first_token = Histogram(FIRST_TOKEN_BOUNDS)
        self.per_token = Histogram(PER_TOKEN_BOUNDS)
        self.calls = self.input_tokens = self.output_tokens = 0

    def add(self, streams: Column, given: Column, made: Column, firsts: Column,
            wholes: Column) -> None:
        """Calls, a column for each field."""
        self.calls += len(made)
        self.input_tokens += sum(given)
        self.output_tokens += sum(made)
        if None in firsts or None in wholes:
            rows = [row for row in zip(streams, made, firsts, wholes) if None not in row]
            if not rows:
                return
            streams, made, firsts, wholes = zip(*rows)
        self.first_token.observe_all([first / 1000 for first in firsts])
        self.request.observe_all([whole / 1000 for whole in wholes])
        if True in streams:
            self.per_token.observe_all([
                (whole - first) / (1000 * (tokens - 1))
                for stream, tokens, first, whole in zip(streams, made, firsts, wholes)
                if stream and tokens > 1])


class _Alike:
    """Where a call is counted: calls with the same names share these."""

    __slots__ = ("route", "money", "drift", "times", "completed")

    def __init__(self, route: tuple[str, str], money: tuple[str, ...], drift: _Pair,
                 times: _Times | None) -> None:
        self.route = route
        self.money = money
        self.drift = drift
        self.times = times
        self.completed = route[1] == "completed"


class PostedMetrics:
    """One per process. `know` names what may be a label, `posted` counts what was stored."""

    def __init__(self) -> None:
        self._providers: set[str] = set()
        self._models: set[_Pair] = set()
        self._routes = Routes.of(())
        self._alike: dict[Column, _Alike] = {}
        self._calls: Counter[tuple[str, ...]] = Counter()
        self._nano: Counter[tuple[str, ...]] = Counter()
        self._drifts: dict[_Pair, Figures] = {}
        self._times: dict[tuple[str, str, str], _Times] = {}

    def know(self, providers: Iterable[Provider], routes: Sequence[Route]) -> None:
        """Takes the names of a configuration; those of earlier ones keep their series."""
        self._providers.update(provider.name for provider in providers)
        self._routes = Routes.of(routes)
        for route in routes:
            self._calls[route.pattern, "completed"] += 0
            for deployment in route.deployments:
                model = deployment.model or (None if route.is_pattern else route.pattern)
                if model is not None and len(self._models) < MODELS_MAX:
                    self._models.add((deployment.provider, model))
        self._alike.clear()

    def posted(self, part: Columns) -> None:
        """Counts records that were rated and stored; each of them once."""
        for names, columns in part.groups(_NAMES, _COUNTED):
            place = self._alike.get(names) or self._place(names)
            self._calls[place.route] += len(columns[0])
            nano = sum(columns[_AMOUNT])
            if nano:
                self._nano[place.money] += nano
            if not place.completed:
                continue
            figures = compared(Compared(*columns[:len(Compared._fields)]))
            if figures.calls:
                known = self._drifts.get(place.drift, NO_FIGURES)
                self._drifts[place.drift] = Figures(*map(add, known, figures))
            if place.times is not None:
                place.times.add(*columns[_TIMED])

    def _place(self, names: Column) -> _Alike:
        endpoint, provider, provider_model, model, outcome, currency = names
        if len(self._alike) >= ALIKE_MAX:
            self._alike.clear()
        provider = provider if provider in self._providers else "none"
        pair = provider, self._model(provider, provider_model)
        route = None if model is None else self._routes.find(model)
        place = self._alike[names] = _Alike(
            ("none" if route is None else route.pattern, outcome), (provider, currency),
            pair,
            self._times_of(endpoint, pair) if outcome == "completed" and provider_model else None)
        return place

    def _model(self, provider: str, model: str | None) -> str:
        if model is None:
            return "none"
        return model if (provider, model) in self._models else "other"

    def _times_of(self, endpoint: str, pair: _Pair) -> _Times:
        operation = _OPERATION_OF.get(endpoint, "other")
        key = operation, *pair
        if key not in self._times and len(self._times) >= TIMED_MODELS_MAX:
            key = operation, pair[0], "other"
        return self._times.setdefault(key, _Times())

    def text(self) -> str:
        """All of its families."""
        return "".join((
            pairs("relayd_route_calls_total", "Calls by the route of their model, as stored.",
                  ("route", "outcome"), self._calls),
            family("relayd_amount_total", "counter",
                   "What calls cost by the price book, in units of the currency.",
                   [(labels(("provider", "currency"), where), nano / 1_000_000_000)
                    for where, nano in sorted(self._nano.items())]),
            self._drift_text(), self._times_text()))

    def _drift_text(self) -> str:
        found = sorted(self._drifts.items())
        calls: dict[tuple[str, ...], int] = {pair: each.calls for pair, each in found}
        tokens: dict[tuple[str, ...], int] = {}
        ratios = []
        for pair, each in found:
            for token_type, at in (("input", 1), ("output", 3)):
                reported, counted = each[at:at + 2]
                tokens[(*pair, token_type, "reported")] = reported
                tokens[(*pair, token_type, "counted")] = counted
                drift = ratio(reported, counted)
                if drift is not None:
                    ratios.append((labels(("provider", "model", "token_type"),
                                          (*pair, token_type)), drift))
        return "".join((
            pairs("relayd_drift_calls_total",
                  "Completed calls whose report and own count can be compared.",
                  ("provider", "model"), calls),
            pairs("relayd_drift_tokens_total",
                  "Tokens of these calls, as the provider reports and as the relay counts them.",
                  ("provider", "model", "token_type", "usage_source"), tokens),
            family("relayd_drift_ratio", "gauge",
                   "Reported over counted tokens since the start: 1 is agreement.", ratios)))

    def _times_text(self) -> str:
        found = [(labels(_MODEL_LABELS, key), each) for key, each in sorted(self._times.items())]
        usage = [
            (f'{where},gen_ai_token_type="{kind}"', each.calls, tokens)
            for where, each in found
            for kind, tokens in (("input", each.input_tokens), ("output", each.output_tokens))]
        return "".join((
            histograms("gen_ai_server_request_duration_seconds",
                       "From the request to the end of its reply; completed calls.",
                       [(where, each.request) for where, each in found]),
            histograms("gen_ai_server_time_to_first_token_seconds",
                       "From the request to the reply's first byte; completed calls.",
                       [(where, each.first_token) for where, each in found]),
            histograms("gen_ai_server_time_per_output_token_seconds",
                       "After the first byte, per output token; completed streams.",
                       [(where, each.per_token) for where, each in found if each.per_token.seen]),
            _summary("gen_ai_client_token_usage", "Tokens of completed calls, as billed.", usage),
        ))


def _summary(name: str, about: str, samples: Iterable[tuple[str, int, int]]) -> str:
    """A family of sums and counts, without quantiles; a sample is its labels, count and sum."""
    lines = [f"# HELP {name} {about}", f"# TYPE {name} summary"]
    for where, count, total in samples:
        lines += [f"{name}_sum{{{where}}} {total}", f"{name}_count{{{where}}} {count}"]
    return "\n".join(lines) + "\n"
