"""Prices out of the common public price files: LiteLLM's, OpenRouter's and models.dev's.

Law: offline, from a file's text. Decimal digits become nano-units without passing through a binary
fraction. What a price file of relayd cannot say (by character, by pixel, by service tier, by the
hour of the day) is left out; a model of which nothing is left is skipped, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from relayd.core.money import NANO
from relayd.core.price import Price, Tier, unit_prices
from relayd.ops.pricefile import (
    INPUT_MAX, PRICE_MAX, SOURCE_CHARS_MAX, TIERS_MAX, is_model,
)

Values = Mapping[str, Any]
_MILLION: Final = Decimal(1_000_000)
_MINUTE: Final = Decimal(60)
_ONE: Final = Decimal(1)

# LiteLLM: dollars for one token, call or second
_LITELLM_TOKENS: Final = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "input_cost_per_token_cache_hit": "cache_read",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_creation",
    "cache_creation_input_token_cost_above_1hr": "cache_creation_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "input_cost_per_image_token": "image_input",
    "output_cost_per_image_token": "image_output",
}
_LITELLM_PAGE: Final = (
    "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json")
_LITELLM_CALL: Final = ("input_cost_per_request", "input_cost_per_query")
_LITELLM_ABOVE: Final = re.compile(r"(\w+?)_above_([0-9]{1,9})k_tokens")
_SIZED: Final = re.compile(r"[0-9]+-x-[0-9]+")
# models.dev: dollars for 1,000,000 tokens
_MODELS_DEV: Final = {
    "input": "input", "output": "output", "cache_read": "cache_read",
    "cache_write": "cache_creation", "reasoning": "reasoning", "input_audio": "audio_input",
    "output_audio": "audio_output",
}
# OpenRouter: dollars for one token or call, as texts
_OPENROUTER: Final = {
    "prompt": "input", "completion": "output", "input_cache_read": "cache_read",
    "input_cache_write": "cache_creation", "internal_reasoning": "reasoning",
    "audio": "audio_input",
}
_WHERE_ZERO_IS_NOTHING: Final = ("cache_read", "cache_creation", "reasoning", "audio_input")
_GROUNDED: Final = frozenset({"gemini", "vertex_ai", "vertex_ai-language-models"})
"""Whose older models charge once for a call that searched, however often it did."""
_LONG_CONTEXT: Final = 200_000


class NotPrices(Exception):
    """The text is not a file of this format; the message says what was looked for."""


@dataclass(slots=True)
class Import:
    """What came of a file: entries without a date, and the models that were skipped."""

    prices: list[Price] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Format:
    """A public price file: whose models it has by default, and how one is read."""

    read: Callable[[Any, Collection[str]], Iterator[tuple[str, Price | None]]]
    vendors: tuple[str, ...] = ()


def read_import(text: str, format_name: str, vendors: Collection[str] = ()) -> Import:
    """The prices of a file, in its own order. Raises NotPrices.

    `vendors` are those of the file whose models are wanted, as it names them; without them it is
    the makers of models, whose names for them are their own. The first of two of one name counts.
    """
    kind = FORMATS[format_name]
    try:
        values = json.loads(text, parse_float=Decimal, parse_constant=str)
    except (ValueError, ArithmeticError, RecursionError):
        raise NotPrices("this is not JSON") from None
    found = Import()
    known = set()
    for name, price in kind.read(values, vendors or kind.vendors):
        if price is None:
            found.skipped.append(name)
        elif price.model not in known:
            known.add(price.model)
            found.prices.append(price)
    if not found.prices and not found.skipped:
        raise NotPrices("no model of those vendors is in this file")
    return found


def nano_of(value: object, factor: Decimal) -> int | None:
    """value x factor in nano-units, to the nearest; None where it is no price."""
    if isinstance(value, bool) or not isinstance(value, (int, str, Decimal)):
        return None
    try:
        exact = Decimal(value) * factor
    except ArithmeticError:
        return None
    if not exact.is_finite() or not 0 <= exact <= PRICE_MAX:
        return None
    return int((exact * NANO).to_integral_value(ROUND_HALF_UP))


def _given(values: Values, names: Mapping[str, str], factor: Decimal) -> dict[str, int]:
    found = {}
    for name, kind in names.items():
        nano = nano_of(values.get(name), factor)
        if nano is not None:
            found[kind] = nano
    return found


def _price(
    model: str, given: Mapping[str, int], source: str,
    tiers: Iterable[tuple[object, Mapping[str, int]]] = (),
) -> Price | None:
    """None where nothing is given, the name is not one that a call can have, or there are more
    tiers than a price file holds."""
    if not given or not is_model(model):
        return None
    by_size = {int(above): others for above, others in tiers
               if isinstance(above, (int, Decimal)) and 1 <= above <= INPUT_MAX and others}
    if len(by_size) > TIERS_MAX:
        return None
    return Price(
        model, unit_prices(given), source=source,
        tiers=tuple(Tier(above, unit_prices({**given, **others}))
                    for above, others in sorted(by_size.items())))


def _mapping(value: object, wanted: str) -> Values:
    if not isinstance(value, dict):
        raise NotPrices(f"{wanted} is not there")
    return value


# LiteLLM's model_prices_and_context_window.json

def _litellm(values: Any, vendors: Collection[str]) -> Iterator[tuple[str, Price | None]]:
    for key, entry in _mapping(values, "an object with a model's prices by its name").items():
        if not isinstance(entry, dict):
            raise NotPrices("an object with a model's prices by its name is not there")
        vendor = entry.get("litellm_provider")
        # by size and quality, which a record does not have
        if vendor not in vendors or _SIZED.search(key):
            continue
        name = key.removeprefix(f"{vendor}/")
        # a fine-tuned model's name goes on with the owner's
        model = name + "*" if name.startswith("ft:") else name
        tiers = list(_litellm_tiers(entry))
        first = next((others for above, others in tiers if above == 0), {})
        given = {**first, **_litellm_given(entry), **_litellm_search(name, entry)}
        yield key, _price(model, given, _source(entry), tiers)


def _source(entry: Values) -> str:
    given = entry.get("source")
    if not isinstance(given, str) or not given.startswith("https://"):
        return _LITELLM_PAGE
    return given if given.isprintable() and len(given) <= SOURCE_CHARS_MAX else _LITELLM_PAGE


def _litellm_given(entry: Values) -> dict[str, int]:
    given = _given(entry, _LITELLM_TOKENS, _MILLION)
    for name in _LITELLM_CALL:
        nano = nano_of(entry.get(name), _ONE)
        if nano:
            given["call"] = nano
    if "image_output" in given:
        # where a reply does not say what its output was, it was images
        given.setdefault("output", given["image_output"])
    by_token = any(given.get(kind) for kind in ("output", "audio_input"))
    # the same thing said twice (for so many tokens, as an image or a minute) is paid once
    if entry.get("mode") in ("image_generation", "image_edit") and not by_token:
        given |= _given(entry, {"output_cost_per_image": "image"}, _ONE)
    if entry.get("mode") == "audio_transcription" and not by_token:
        given |= _given(entry, {"input_cost_per_second": "audio_minute"}, _MINUTE)
    if entry.get("mode") == "audio_speech":  # a sound file has seconds, a stream of events tokens
        given |= _given(entry, {"output_cost_per_second": "audio_minute"}, _MINUTE)
    return given


def _litellm_search(name: str, entry: Values) -> dict[str, int]:
    """The fee for searches of the web, where the size of what they bring does not decide it.

    Models that are named for it search in every call, and their replies do not say so.
    """
    sizes = entry.get("search_context_cost_per_query")
    if not isinstance(sizes, dict) or len(set(map(str, sizes.values()))) != 1:
        return {}
    nano = nano_of(next(iter(sizes.values())), _ONE)
    if not nano:
        return {}
    if "-search-" in name:
        return {"call": nano}
    per_call = (entry.get("litellm_provider") in _GROUNDED
                and entry.get("web_search_billing_unit") != "per_query")
    return {"search_call" if per_call else "search": nano}


def _litellm_tiers(entry: Values) -> Iterator[tuple[object, Mapping[str, int]]]:
    above: dict[int, dict[str, int]] = {}
    for key in entry:
        match = _LITELLM_ABOVE.fullmatch(key)
        if match and match[1] in _LITELLM_TOKENS:
            nano = nano_of(entry[key], _MILLION)
            if nano is not None:
                above.setdefault(int(match[2]) * 1000, {})[_LITELLM_TOKENS[match[1]]] = nano
    yield from above.items()
    tiers = entry.get("tiered_pricing")
    for tier in tiers if isinstance(tiers, list) else ():
        bounds = tier.get("range") if isinstance(tier, dict) else None
        if isinstance(bounds, list) and bounds:
            yield bounds[0], _given(tier, _LITELLM_TOKENS, _MILLION)


# OpenRouter's GET /api/v1/models

def _openrouter(values: Any, _: Collection[str]) -> Iterator[tuple[str, Price | None]]:
    entries = _mapping(values, "an object with a list `data`").get("data")
    if not isinstance(entries, list):
        raise NotPrices("an object with a list `data` is not there")
    for entry in entries:
        name = str(_mapping(entry, "an object for each model").get("id"))
        pricing = _mapping(entry.get("pricing", {}), "an object `pricing`")
        given = _given(pricing, _OPENROUTER, _MILLION) | _given(pricing, {"request": "call"}, _ONE)
        for kind in (*_WHERE_ZERO_IS_NOTHING, "call"):
            if not given.get(kind):
                given.pop(kind, None)
        yield name, _price(name, given, "https://openrouter.ai/api/v1/models")


# models.dev's api.json

def _models_dev(values: Any, vendors: Collection[str]) -> Iterator[tuple[str, Price | None]]:
    for vendor, entry in _mapping(values, "an object with vendors by name").items():
        if vendor not in vendors:
            continue
        models = _mapping(_mapping(entry, "a vendor's object").get("models"), "`models`")
        for name, model in models.items():
            cost = model.get("cost") if isinstance(model, dict) else None
            given = _given(cost, _MODELS_DEV, _ONE) if isinstance(cost, dict) else {}
            yield f"{vendor}/{name}", _price(
                name, given, "https://models.dev/api.json", _models_dev_tiers(cost or {}))


def _models_dev_tiers(cost: Values) -> Iterator[tuple[object, Mapping[str, int]]]:
    tiers = cost.get("tiers")
    for tier in tiers if isinstance(tiers, list) else ():
        condition = tier.get("tier") if isinstance(tier, dict) else None
        if isinstance(condition, dict):
            yield condition.get("size"), _given(tier, _MODELS_DEV, _ONE)
    long = cost.get("context_over_200k")
    if not tiers and isinstance(long, dict):
        yield _LONG_CONTEXT, _given(long, _MODELS_DEV, _ONE)


FORMATS: Final = {
    "litellm": Format(
        _litellm, ("openai", "anthropic", "gemini", "deepseek", "mistral", "xai")),
    "openrouter": Format(_openrouter),
    "models.dev": Format(
        _models_dev, ("openai", "anthropic", "google", "deepseek", "mistral", "xai")),
}
"""By the name that `relayd prices import --format` takes."""
