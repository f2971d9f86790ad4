"""Public price files: small ones of each format, in the shapes that the real ones have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.price import Price, Tier, unit_prices
from relayd.ops.pricefile import TIERS_MAX, read_prices
from relayd.ops.priceimport import FORMATS, NotPrices, nano_of, read_import
from relayd.ops.pricetext import entries_text

PAGE = "https://example.org/prices"
ONE = Decimal(1)


def cents(**values: int) -> dict[str, int]:
    """Prices in hundredths of a unit."""
    return {name: value * 10 ** 7 for name, value in values.items()}


def imported(values: object, name: str, *vendors: str) -> tuple[dict[str, Price], list[str]]:
    found = read_import(json.dumps(values), name, vendors)
    return {price.model: price for price in found.prices}, found.skipped


def litellm(**entry: object) -> Price:
    """The one price of an entry of LiteLLM's table."""
    entry = {"litellm_provider": "openai", "source": PAGE, **entry}
    prices, skipped = imported({"m": entry}, "litellm")
    assert not skipped
    return prices["m"]


def test_litellm() -> None:
    price = litellm(
        mode="chat", input_cost_per_token=2.5e-06, output_cost_per_token=1e-05,
        cache_read_input_token_cost=1.25e-06, input_cost_per_token_batches=1.25e-06,
        input_cost_per_token_priority=4.25e-06, max_input_tokens=128000)
    assert price == Price("m", unit_prices(cents(input=250, output=1000, cache_read=125)),
                          source=PAGE)


def test_litellm_caches_and_tiers() -> None:
    price = litellm(
        input_cost_per_token=1e-7, output_cost_per_token=5e-7, cache_read_input_token_cost=1e-8,
        cache_creation_input_token_cost=1.25e-7, cache_creation_input_token_cost_above_1hr=2e-7,
        input_cost_per_token_above_100k_tokens=5e-7,
        output_cost_per_token_above_100k_tokens=2.5e-6,
        cache_creation_input_token_cost_above_1hr_above_100k_tokens=1e-6,
        input_cost_per_token_above_100k_tokens_batches=9e-7)
    base = {"input": 100_000_000, "output": 500_000_000, "cache_read": 10_000_000,
            "cache_creation": 125_000_000, "cache_creation_1h": 200_000_000}
    assert price.prices == unit_prices(base)
    assert price.tiers == (Tier(100_000, unit_prices({
        **base, "input": 500_000_000, "output": 2_500_000_000,
        "cache_creation_1h": 1_000_000_000})),)


def test_litellm_ranges() -> None:
    price = litellm(tiered_pricing=[
        {"range": [0, 32000.0], "input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6},
        {"range": [32000.0, 1e6], "input_cost_per_token": 3e-6, "output_cost_per_token": 4e-6},
    ])
    assert price.prices == unit_prices(cents(input=100, output=200))
    assert price.tiers == (Tier(32_000, unit_prices(cents(input=300, output=400))),)


@pytest.mark.parametrize(("entry", "given"), [
    ({"mode": "audio_transcription", "input_cost_per_second": 0.0001,
      "output_cost_per_second": 0.0001}, {"audio_minute": 6_000_000}),
    # tokens and seconds are the same thing said twice
    ({"mode": "audio_transcription", "input_cost_per_second": 0.0001, "input_cost_per_token": 1e-6,
      "output_cost_per_token": 1e-5}, cents(input=100, output=1000)),
    # of speech a sound file has seconds alone, and a stream tokens alone
    ({"mode": "audio_speech", "output_cost_per_second": 0.00025, "input_cost_per_token": 6e-7,
      "output_cost_per_audio_token": 1.2e-5},
     cents(input=60, audio_output=1200) | {"audio_minute": 15_000_000}),
    ({"mode": "image_generation", "output_cost_per_image": 0.04}, cents(image=4)),
    ({"mode": "image_generation", "output_cost_per_image": 0.04, "output_cost_per_image_token":
      4e-5, "input_cost_per_token": 5e-6}, cents(input=500, output=4000, image_output=4000)),
    ({"mode": "chat", "output_cost_per_image": 0.04, "input_cost_per_token": 1e-6},
     cents(input=100)),
    ({"mode": "rerank", "input_cost_per_query": 0.002, "input_cost_per_token": 0.0},
     {"input": 0, "call": 2_000_000}),
    ({"input_cost_per_token": 0.0, "output_cost_per_token": 0.0}, cents(input=0, output=0)),
])
def test_litellm_units(entry: dict[str, object], given: dict[str, int]) -> None:
    assert litellm(**entry).prices == unit_prices(given)


@pytest.mark.parametrize(("name", "more", "sizes", "given"), [
    ("x", {}, [0.01, 0.01, 0.01], {"search": 10_000_000}),
    ("x", {}, [0.01], {"search": 10_000_000}),
    ("x", {}, [0.006, 0.01, 0.014], {}),
    ("x", {}, [0, 0, 0], {}),
    ("x", {}, [], {}),
    ("x", {}, None, {}),
    ("gpt-search-preview", {}, [0.025, 0.025], {"call": 25_000_000}),
    ("gemini/x", {"litellm_provider": "gemini"}, [0.035], {"search_call": 35_000_000}),
    ("gemini/x", {"litellm_provider": "gemini", "web_search_billing_unit": "per_query"}, [0.014],
     {"search": 14_000_000}),
])
def test_litellm_searches(
    name: str, more: dict[str, str], sizes: list[float] | None, given: dict[str, int],
) -> None:
    costs = sizes and {f"search_context_size_{place}": each for place, each in enumerate(sizes)}
    entry = {"litellm_provider": "openai", "input_cost_per_token": 1e-6, **more,
             "search_context_cost_per_query": costs}
    [price] = imported({name: entry}, "litellm")[0].values()
    assert price.prices == unit_prices({**cents(input=100), **given})


def test_litellm_names_and_vendors() -> None:
    entry = {"input_cost_per_token": 1e-6}
    prices, skipped = imported({
        "sample_spec": {"litellm_provider": "one of https://docs.litellm.ai"},
        "gemini/gemini-x": {**entry, "litellm_provider": "gemini"},
        "gemini-x": {**entry, "litellm_provider": "vertex_ai-language-models"},
        "ft:gpt-x": {**entry, "litellm_provider": "openai", "source": "javascript:"},
        "1024-x-1024/dall-e-2": {**entry, "litellm_provider": "openai"},
        "groq/openai/gpt-oss": {**entry, "litellm_provider": "groq"},
        "tts-1": {"litellm_provider": "openai", "input_cost_per_character": 1.5e-5},
        "a b": {**entry, "litellm_provider": "openai"},
    }, "litellm")
    assert list(prices) == ["gemini-x", "ft:gpt-x*"] and skipped == ["tts-1", "a b"]
    assert (prices["ft:gpt-x*"].source or "").startswith("https://github.com/")
    assert list(imported({
        "groq/openai/gpt-oss": {**entry, "litellm_provider": "groq"}}, "litellm", "groq")[0]) == [
            "openai/gpt-oss"]


def test_openrouter() -> None:
    prices, skipped = imported({"data": [
        {"id": "openai/gpt-x", "pricing": {
            "prompt": "0.0000025", "completion": "0.00001", "request": "0", "image": "0.003613",
            "web_search": "0", "internal_reasoning": "0", "input_cache_read": "0.00000125",
            "input_cache_write": "0"}},
        {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
        {"id": "x/free:free", "pricing": {"prompt": "0", "completion": "0"}},
        {"id": "x/search", "pricing": {"prompt": "0.000001", "request": "0.005"}},
    ]}, "openrouter")
    assert skipped == ["openrouter/auto"]
    assert {name: price.prices for name, price in prices.items()} == {
        "openai/gpt-x": unit_prices(cents(input=250, output=1000, cache_read=125)),
        "x/free:free": unit_prices(cents(input=0, output=0)),
        "x/search": unit_prices({"input": 10 ** 9, "call": 5_000_000}),
    }


def test_models_dev() -> None:
    prices, skipped = imported({
        "openai": {"id": "openai", "models": {
            "gpt-x": {"cost": {
                "input": 5, "output": 30.5, "cache_read": 0.5, "input_audio": 40,
                "tiers": [{"tier": {"type": "context", "size": 272000}, "input": 10}],
                "context_over_200k": {"input": 10}}},
            "open": {"limit": {}}}},
        "google": {"models": {"gemini-x": {"cost": {
            "input": 1.25, "output": 10, "context_over_200k": {"input": 2.5, "output": 15}}}}},
        "reseller": {"models": {"gpt-x": {"cost": {"input": 99}}}},
    }, "models.dev")
    assert skipped == ["openai/open"]
    given = cents(input=500, output=3050, cache_read=50, audio_input=4000)
    assert prices["gpt-x"].prices == unit_prices(given)
    assert prices["gpt-x"].tiers == (Tier(272_000, unit_prices({**given, "input": 10 ** 10})),)
    assert prices["gemini-x"].tiers == (Tier(200_000, unit_prices(cents(input=250, output=1500))),)


@pytest.mark.parametrize("name", sorted(FORMATS))
@pytest.mark.parametrize("text", [
    "", "[]", "3", "{}", '{"data": 1}', '{"data": [1]}', '{"m": 1}', '{"openai": 1}',
    '{"openai": {"models": []}}', "{" * 100_000, '{"a": 1e999999999999999999999}', "null",
])
def test_what_is_no_such_file(name: str, text: str) -> None:
    with pytest.raises(NotPrices):
        read_import(text, name)


@pytest.mark.parametrize(("value", "nano"), [
    (Decimal("1.25e-06"), 1), ("0.5", 5 * 10 ** 8), (3, 3 * 10 ** 9), (0, 0),
    (Decimal("0.00000000149999"), 1), (Decimal("0.0000000015"), 2),
    (True, None), (None, None), ("-1", None), ("x", None), ("NaN", None), ("Infinity", None),
    ("1e9999999999", None), (10 ** 12, None), ([], None),
])
def test_prices_that_are_read(value: object, nano: int | None) -> None:
    factor = Decimal("0.001") if value == Decimal("1.25e-06") else ONE
    assert nano_of(value, factor) == nano


@given(st.integers(0, 10 ** 15))
def test_what_json_prints_comes_back_exactly(nano: int) -> None:
    """Prices for a token, as such files print them: shortest decimal texts of binary fractions."""
    text = f"{Decimal(nano) / 10 ** 15:f}"
    assert nano_of(json.loads(text, parse_float=Decimal), Decimal(1_000_000)) == nano
    shortest = json.dumps(float(Decimal(nano) / 10 ** 15))
    assert nano_of(json.loads(shortest, parse_float=Decimal), Decimal(1_000_000)) == nano


WHOLE: dict[str, Any] = {
    "litellm": {"gpt-x": {
        "litellm_provider": "openai", "input_cost_per_token": 1e-6, "mode": "chat",
        "input_cost_per_token_above_128k_tokens": 3e-6, "source": "https://example.org",
        "tiered_pricing": [{"range": [0, 9], "output_cost_per_token": 1e-6},
                           {"range": [9, 99], "output_cost_per_token": 2e-6}]}},
    "openrouter": {"data": [{"id": "o/x", "pricing": {"prompt": "0.1e-6", "request": "0"}}]},
    "models.dev": {"openai": {"models": {"gpt-x": {"cost": {
        "input": 5, "tiers": [{"tier": {"type": "context", "size": 9}, "input": 10}],
        "context_over_200k": {"input": 10}}}}}},
}
STRANGE = st.sampled_from([
    None, True, 0, -1, 7, 1.5, 1e300, 2 ** 70, "", "free", "a*b*c*d*e", "https://\u00e9", [], [1],
    [[]], {}, {"a": 1}, [{"range": [1e300], "input_cost_per_token": 1}]])


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(
        value if isinstance(value, list) else ())
    for key, inner in pairs:
        yield from places(inner, *path, key)


def changed(value: Any, path: tuple[Any, ...], to: object) -> Any:
    if not path:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], to)
    return copy


@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_whatever_a_file_holds_what_is_read_can_be_written(name: str, data: st.DataObject) -> None:
    values = WHOLE[name]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(list(places(values))))
        values = changed(values, path, data.draw(STRANGE))
    try:
        prices = read_import(json.dumps(values), name).prices
    except NotPrices:
        return
    reading = read_prices(entries_text("Imported", prices) or "price = []")
    assert reading.faults == [] and list(reading.book.prices) == prices or not prices


@pytest.mark.parametrize(("count", "skipped"), [(TIERS_MAX, []), (TIERS_MAX + 1, ["gpt-x"])])
def test_more_tiers_than_a_price_file_holds(count: int, skipped: list[str]) -> None:
    tiers = [{"range": [size], "input_cost_per_token": 1e-6} for size in range(count + 1)]
    assert imported({"gpt-x": {"litellm_provider": "openai", "tiered_pricing": tiers}},
                    "litellm")[1] == skipped
