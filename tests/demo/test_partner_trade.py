"""The partners' own book: paid in time, returned once, no more than there is."""

from __future__ import annotations

from relayd.core.timestamp import DAY_MS
from relayd.demo.partner_trade import Book, Told

TOLD = Told("ord_1", "CNY", 1000, "http://x.test/w", "http://x.test/b", 2_000)


def book(now_ms: int = 1_000) -> tuple[Book, list[int]]:
    clock = [now_ms]
    return Book(lambda: clock[0]), clock


def test_an_order_is_one_trade() -> None:
    made, _ = book()
    trade = made.begin("stripe", TOLD)
    assert made.begin("stripe", TOLD) is trade and made.begin("wechat", TOLD) is not trade
    assert made.get(trade.session) is trade and made.get("other") is None
    assert made.of_order("stripe", "ord_1") is trade
    assert made.of_number(trade.number) is trade and made.of_number("pi_0") is None


def test_paying_in_time() -> None:
    made, clock = book()
    trade = made.begin("stripe", TOLD)
    assert made.pay(trade) and not made.pay(trade)
    late = made.begin("alipay", TOLD)
    clock[0] = 2_000
    assert made.get(late.session) is late and late.state == "expired"
    assert not made.pay(late)
    assert made.get(trade.session) is trade and trade.state == "paid"


def test_returning() -> None:
    made, _ = book()
    trade = made.begin("wechat", TOLD)
    assert made.refund(trade, "r", 1) is None
    made.pay(trade)
    first = made.refund(trade, "r", 400)
    assert first is not None and made.refund(trade, "r", 400) is first
    assert made.refund(trade, "r", 401) is None
    assert made.refund(trade, "s", 601) is None and made.refund(trade, "s", 0) is None
    assert made.refund(trade, "", 600) is not None and trade.left == 0


def test_disputes_and_days() -> None:
    made, clock = book()
    trade = made.begin("stripe", TOLD)
    assert made.dispute(trade) is None
    made.pay(trade)
    dispute = made.dispute(trade)
    assert dispute is not None and made.dispute(trade) is None
    dispute.state = "won"
    clock[0] += DAY_MS
    made.refund(trade, "r", 5)
    assert [line.what for line in made.day("stripe", 0)] == ["payment", "dispute", "dispute_won"]
    assert [(line.what, line.name) for line in made.day("stripe", DAY_MS)] == [("refund", "r")]
    assert made.day("wechat", 0) == []
    assert trade.fee == 29
