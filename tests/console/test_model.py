"""Models are the routes of the configuration, with the prices that count now."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from relayd.console.model import Model, TermsShown, alike, models, special
from relayd.core.price import Price, PriceBook, Tier, unit_prices
from relayd.core.provider import Address, DataTerms, Provider
from relayd.core.route import Deployment, Route
from relayd.ops.config import Config, PrivacyConfig
from tests.console.conftest import NOW_MS, Console
from tests.console.people import person

UNIT = 10 ** 9
BOOK = PriceBook([
    Price("same", unit_prices({"input": UNIT, "output": 2 * UNIT})),
    Price("differs", unit_prices({"input": UNIT}), provider="one", since_ms=5),
    Price("differs", unit_prices({"input": 3 * UNIT, "audio_input": 4 * UNIT}), provider="two",
          tiers=(Tier(1000, unit_prices({"input": 6 * UNIT})),)),
    Price("differs", unit_prices({"input": 99 * UNIT}), since_ms=NOW_MS + 1),
])
BOTH = (Deployment("one"), Deployment("two"))


def provider(name: str, api: str) -> Provider:
    """A provider of this API."""
    return Provider(name, api, Address("https", name, 443, ""), ("c",))  # type: ignore[arg-type]


CONFIG = Config(
    providers={"one": provider("one", "azure"), "two": provider("two", "anthropic")},
    routes=(Route("z-*", BOTH[:1]), Route("same", BOTH, aliases=("also",)),
            Route("differs", BOTH), Route("free", BOTH[1:])), prices=BOOK)


def test_each_route_is_a_model_with_its_prices() -> None:
    found = {model.name: model for model in models(CONFIG, NOW_MS)}
    assert list(found) == ["differs", "free", "same", "z-*"]
    silent = TermsShown("one", "unknown", None, False, None, None, True)
    assert found["z-*"] == Model("z-*", True, [], ["openai"], [], "direct", [silent])
    assert found["free"].prices == []
    [one] = found["same"].prices
    assert (one.provider, one.units["input"], one.units["output"]) == ("", "1.00", "2.00")
    assert found["same"].apis == ["anthropic", "openai"] and found["same"].aliases == ["also"]
    first, second = found["differs"].prices
    assert (first.provider, first.since, first.units["input"]) == (
        "one", "1970-01-01T00:00:00.005Z", "1.00")
    assert second.tiers[0].above == 1000 and second.tiers[0].units["input"] == "6.00"


def test_only_what_differs_is_worth_a_line() -> None:
    [_, second] = {model.name: model for model in models(CONFIG, NOW_MS)}["differs"].prices
    assert special(second.units) == [("audio_input", "4.00")]


def test_models_of_whose_content_the_same_is_said_are_told_together() -> None:
    found = models(CONFIG, NOW_MS)
    assert [[model.name for model in group] for group in alike(found)] == [
        ["differs", "same"], ["free"], ["z-*"]]


async def test_the_page_and_the_api(console: Console) -> None:
    console.config = CONFIG
    who = await person(console.db, NOW_MS)
    text = await (await console.get("/models", cookies=who.cookies)).text()
    for part in ("z-*", "also", "4.00", "6.00", "1,000", "no price set"):
        assert part in text
    assert "99" not in text.split("<main")[1].split("</main")[0]
    answer = await console.get("/api/v1/models", headers=who.bearer)
    assert msgspec.json.decode(await answer.read(), type=list[Model]) == models(CONFIG, NOW_MS)


async def test_N3_what_becomes_of_content_is_shown_for_each_provider(console: Console) -> None:
    says = DataTerms("yes", 30, "us", "https://policy.example/data")
    mine = DataTerms("no", 0, "cn-south", zdr=True)
    config = replace(CONFIG, routes=(Route("both", (
        Deployment("one", terms=says), Deployment("two", terms=mine))), Route("free", BOTH[1:])))
    console.config = config
    who = await person(console.db, NOW_MS)
    text = await (await console.get("/models", cookies=who.cookies)).text()
    for part in ("may train on it", "only with your consent", "kept (days: 30)", "in us",
                 'href="https://policy.example/data"', "no training", "zero data retention",
                 "training: not known", "how long it is kept is not known",
                 "direct: nobody between you"):
        assert part in text
    lenient = replace(config, privacy=PrivacyConfig(training="lenient"))
    for each, last in ((config, True), (lenient, False)):
        assert [[terms.asks for terms in model.terms] for model in models(each, NOW_MS)] == [
            [True, False], [last]]


async def test_nothing_is_served_yet(console: Console) -> None:
    who = await person(console.db, NOW_MS)
    assert 'class="card empty"' in await (
        await console.get("/models", cookies=who.cookies)).text()
