"""The demo's prices: usable, and there for every model."""

from __future__ import annotations

from relayd.core.price import amount
from relayd.demo import models
from relayd.demo.prices import PRICES, demo_prices
from relayd.ops.pricefile import read_prices
from tests.fakes.records import call_record

FREE = {"omni-moderation-latest"}


def test_the_text_is_usable() -> None:
    assert read_prices(PRICES).faults == []


def test_every_model_has_a_price() -> None:
    book = demo_prices()
    names = {name for group in models.NAMES.values() for name in group}
    prices = {name: book.find("demo-openai", name, 0) for name in (*names, *models.PATTERNS)}
    assert None not in prices.values()
    record = call_record(images=1, audio_seconds=60)
    assert {name for name in names if not amount(record, prices[name])} == FREE


def test_small_models_cost_less() -> None:
    book, record = demo_prices(), call_record()
    small, large = (book.find("p", name, 0) for name in ("gpt-4o-mini", "gpt-4o"))
    assert small is not None and large is not None
    assert amount(record, small) < amount(record, large)
