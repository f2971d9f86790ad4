"""Models and prices: what is served over which API, and what it costs; from the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.core.money import decimal
from relayd.core.price import KINDS, Price, UnitPrices
from relayd.core.provider import Api, Trains
from relayd.core.route import Route as ModelRoute
from relayd.core.timestamp import rfc3339
from relayd.ops.config import Config
from relayd.wire.modellist import TIER

COLUMNS: Final = ("input", "cache_read", "cache_creation", "output")
"""Kinds with a column of their own; others stand below the model's name."""
_IMPLIED: Final = {
    "cache_read": "input", "cache_creation": "input", "cache_creation_1h": "cache_creation",
    "reasoning": "output", "audio_input": "input", "audio_output": "output",
    "image_input": "input", "image_output": "output",
}
"""A kind that costs what another one does is not worth a line."""


class TierShown(msgspec.Struct, frozen=True):
    """Other prices for a whole call with more input than `above`."""

    above: int
    units: dict[str, str]


class PriceShown(msgspec.Struct, frozen=True):
    """What calls at one provider cost: decimal texts by kind, for 1,000,000 tokens of it."""

    provider: str
    currency: str
    since: str | None
    units: dict[str, str]
    tiers: list[TierShown]


class TermsShown(msgspec.Struct, frozen=True):
    """What becomes of content at a provider, by its own word; null where that is not known.

    `asks`: calls go there for accounts alone that agreed to training.
    """

    provider: str
    trains: Trains
    retention_days: int | None
    zdr: bool
    region: str | None
    policy_url: str | None
    asks: bool


class Model(msgspec.Struct, frozen=True):
    """A name that clients may send; `pattern`: it stands for many. No prices: it is not priced."""

    name: str
    pattern: bool
    aliases: list[str]
    apis: list[Api]
    prices: list[PriceShown]
    tier: str = TIER
    terms: list[TermsShown] = []


def units(prices: UnitPrices) -> dict[str, str]:
    """Prices by kind, without those that are nothing."""
    return {name: decimal(value, 2) for name, value in zip(KINDS, prices, strict=True) if value}


def price_shown(price: Price, provider: str) -> PriceShown:
    """A price of the book, at a provider."""
    return PriceShown(
        provider, price.currency, rfc3339(price.since_ms) if price.since_ms else None,
        units(price.prices), [TierShown(tier.above, units(tier.prices)) for tier in price.tiers])


def special(shown: Mapping[str, str]) -> list[tuple[str, str]]:
    """Kinds without a column that cost something else than what they are a part of."""
    return [(name, value) for name, value in shown.items()
            if name not in COLUMNS and shown.get(_IMPLIED.get(name, "")) != value]


def _model(config: Config, route: ModelRoute, now_ms: int) -> Model:
    found: dict[tuple[str, Price], PriceShown] = {}
    for place in route.deployments:
        for name in (place.model, route.pattern):
            price = None if name is None or "*" in name else config.prices.find(
                place.provider, name, now_ms)
            if price is not None:
                found.setdefault((place.provider, price), price_shown(price, place.provider))
                break
    apis = dict.fromkeys(config.providers[place.provider].dialect for place in route.deployments)
    return Model(route.pattern, route.is_pattern, list(route.aliases), sorted(apis),
                 _same(list(found.values())), terms=_terms(config, route))


def _terms(config: Config, route: ModelRoute) -> list[TermsShown]:
    """What the providers of a model say, each once."""
    asked = ("yes", "unknown") if config.privacy.training == "strict" else ("yes",)
    found: dict[TermsShown, None] = {}
    for place in route.deployments:
        terms = place.terms or config.providers[place.provider].terms
        found[TermsShown(place.provider, terms.trains, terms.retention_days, terms.zdr,
                         terms.region, terms.policy_url, terms.trains in asked)] = None
    return list(found)


def _same(prices: list[PriceShown]) -> list[PriceShown]:
    """One price where all providers have the same one."""
    bare = [msgspec.structs.replace(price, provider="") for price in prices]
    return bare[:1] if len(bare) > 1 and all(price == bare[0] for price in bare) else prices


def models(config: Config, now_ms: int) -> list[Model]:
    """All models: names in order, then patterns."""
    found = [_model(config, route, now_ms) for route in config.routes]
    return sorted(found, key=lambda model: (model.pattern, model.name))


def alike(found: Sequence[Model]) -> list[list[Model]]:
    """Models of whose content the same is said, in the order of the first of each."""
    groups: dict[tuple[str, tuple[TermsShown, ...]], list[Model]] = {}
    for model in found:
        groups.setdefault((model.tier, tuple(model.terms)), []).append(model)
    return list(groups.values())


async def show(visit: Visit) -> web.Response:
    """The page."""
    found = models(visit.services.config(), visit.now_ms)
    return page(visit, "use/models.html", models=found, alike=alike(found), columns=COLUMNS,
                special=special)


async def give(visit: Visit) -> web.Response:
    """The same for programs."""
    return reply(models(visit.services.config(), visit.now_ms))


ROUTES: Final = (
    Route("GET", "/models", show, HOLDER, "Models and prices."),
    Route("GET", "/api/v1/models", give, HOLDER, "Models that are served, and their prices.",
          gives=list[Model]),
)
