"""`[routes."MODEL"]` of a configuration: model names and patterns, each with its deployments.

Law: a route that could not be dispatched (no deployment, an unknown provider, a name that another
route has, a fallback that nothing serves) is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, cast, get_args

from relayd.core.provider import DataTerms, Provider
from relayd.core.retry import RETRY_SHARE, Reason
from relayd.core.route import QUEUE_SECONDS, Deployment, Route, Routes, Strategy
from relayd.ops.configfile_fault import nearest
from relayd.ops.configfile_section import Section
from relayd.ops.configfile_terms import own_terms
from relayd.wire.dialect import MODEL_NAME

WEIGHT_MAX: Final = 1_000_000
PRIORITY_MAX: Final = 1_000
DEPLOYMENTS_MAX: Final = 1_000
CONCURRENT_MAX: Final = 1_000_000
QUEUE_MAX: Final = 100_000
QUEUE_SECONDS_MAX: Final = 300.0
RETRIES_MAX: Final = 10
HEDGE_MS_MIN: Final = 50
HEDGE_MS_MAX: Final = 600_000
NAMES_MAX: Final = 100
"""Aliases of a route, and models that it falls back to."""

_PATTERN: Final = re.compile(r"(?=[^*]*\*)[A-Za-z0-9*._:/@+~-]{1,256}")
_REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
_STRATEGIES: Final[tuple[Strategy, ...]] = get_args(Strategy)
_ROUTE_ALIASES: Final = {
    "deployment": "deployments", "providers": "deployments", "provider": "deployments",
    "alias": "aliases", "fallbacks": "fallback", "routing": "strategy", "hedge": "hedge_ms",
    "retry": "retries", "num_retries": "retries",
}
_DEPLOYMENT_ALIASES: Final = {
    "name": "provider", "alias": "model", "concurrency": "concurrent", "draining": "drain",
    "max_parallel_requests": "concurrent",
}


def read_routes(section: Section, providers: Mapping[str, Provider]) -> tuple[Route, ...]:
    """Routes in the file's order; deployments with faults are left out."""
    routes = []
    for pattern in section.values:
        table = section.table(pattern)
        if not (MODEL_NAME.fullmatch(pattern) or _PATTERN.fullmatch(pattern)):
            section.fault(pattern, "is not a model name or a pattern",
                          "Letters, digits and ._:/@+~- ; * stands for any text")
        routes.append(_route(pattern, table, providers))
        table.done(_ROUTE_ALIASES)
    _check_aliases(section, routes)
    _check_fallbacks(section, routes)
    return tuple(routes)


def _route(pattern: str, table: Section, providers: Mapping[str, Provider]) -> Route:
    route = Route(
        pattern,
        _deployments(table, providers),
        aliases=_names(table, "aliases"),
        strategy=cast(Strategy, table.choice("strategy", _STRATEGIES, "weighted")),
        sticky=table.boolean("sticky", False),
        fallback=_names(table, "fallback"),
        fallback_on=cast(tuple[Reason, ...], table.texts(
            "fallback_on", ("unavailable",), _reason, empty=False)),
        retries=table.integer("retries", 1, 0, RETRIES_MAX),
        retry_share=table.number("retry_share", RETRY_SHARE, 0.0, 1.0),
        hedge_ms=table.integer("hedge_ms", 0, 0, HEDGE_MS_MAX),
    )
    if 0 < route.hedge_ms < HEDGE_MS_MIN:
        table.fault("hedge_ms", "is too short: most calls would be sent twice",
                    f"It takes 0 (off), or {HEDGE_MS_MIN} at least")
    if route.aliases and route.is_pattern:
        table.fault("aliases", "are names of one model, and this route is a pattern",
                    "Move them to a route that names one model")
    if route.fallback_on != ("unavailable",) and not route.fallback:
        table.warning("fallback_on", "has no effect without fallback")
    return route


def _names(table: Section, key: str) -> tuple[str, ...]:
    names = table.texts(key, (), lambda name: (
        "" if MODEL_NAME.fullmatch(name) else "is not a model name"))
    if len(names) > NAMES_MAX:
        table.fault(key, f"has more than {NAMES_MAX} items")
    if len(set(names)) < len(names):
        table.fault(key, "names one model twice")
    return names


def _reason(word: str) -> str:
    return "" if word in _REASONS else f"is not one of {', '.join(_REASONS)}"


def _check_aliases(section: Section, routes: list[Route]) -> None:
    """A name means one route."""
    owners = {route.pattern: route.pattern for route in routes}
    for route in routes:
        for alias in dict.fromkeys(route.aliases):
            if alias in owners:
                section.table(route.pattern).fault(
                    "aliases", f"{alias!r} is a name of the route {owners[alias]!r} already")
            owners[alias] = route.pattern


def _check_fallbacks(section: Section, routes: list[Route]) -> None:
    """What is fallen back to is served, by another route."""
    table = Routes.of(routes)
    for route in routes:
        for name in route.fallback:
            other = table.find(name)
            if other is None:
                section.table(route.pattern).fault(
                    "fallback", f"{name!r} is served by no route", nearest(name, table.exact))
            elif other is route and not route.is_pattern:
                section.table(route.pattern).fault(
                    "fallback", f"{name!r} is the route itself", "Name another model")


def _deployments(table: Section, providers: Mapping[str, Provider]) -> tuple[Deployment, ...]:
    items = table.tables("deployments")
    if not items and table.raw("deployments") in (None, []):
        table.fault("deployments", "names no deployment",
                    'Write deployments = [ { provider = "NAME" } ]')
    if len(items) > DEPLOYMENTS_MAX:
        table.fault("deployments", f"has more than {DEPLOYMENTS_MAX} items")
    return tuple(found for item in items if (found := _deployment(item, providers)) is not None)


def _deployment(item: Section, providers: Mapping[str, Provider]) -> Deployment | None:
    provider = item.text("provider")
    if provider is None and not item.has("provider"):
        item.fault("provider", "is missing", nearest("", providers))
    if provider is not None and provider not in providers:
        item.fault("provider", "is not one of [providers]", nearest(provider, providers))
    known = providers.get(provider or "")
    model = item.text("model")
    if model is not None and not MODEL_NAME.fullmatch(model):
        item.fault("model", "is not a model name",
                   "Letters, digits and ._:/@+~- ; no pattern here")
    found = Deployment(
        provider or "", model,
        weight=item.integer("weight", 1, 1, WEIGHT_MAX),
        priority=item.integer("priority", 1, 1, PRIORITY_MAX),
        concurrent=item.integer("concurrent", 0, 0, CONCURRENT_MAX),
        queue=item.integer("queue", 0, 0, QUEUE_MAX),
        queue_seconds=item.number("queue_seconds", QUEUE_SECONDS, 0.01, QUEUE_SECONDS_MAX),
        drain=item.boolean("drain", False),
        terms=own_terms(item, known.terms if known else DataTerms()),
    )
    if found.queue and not found.concurrent:
        item.fault("queue", "has no effect without concurrent", "Say how many calls may run")
    item.done(_DEPLOYMENT_ALIASES)
    return None if provider is None else found
