"""Reservations: nobody spends what is not there."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relayd.core.errors import RelayError
from relayd.core.money import NANO
from relayd.core.price import Price, Tier, unit_prices
from relayd.core.reservation import Demand, Hold, Quantity, Wallet, cost

SMALL = st.integers(0, 10**6)


def wallet(nano: int, credit: int = 0) -> Wallet:
    made = Wallet("USD")
    made.install(nano, credit, ())
    return made


def refused(of: Wallet, demand: Demand) -> RelayError:
    before = of.available, of.reserved
    with pytest.raises(RelayError) as caught:
        of.reserve(demand)
    assert (of.available, of.reserved) == before
    return caught.value


def test_what_is_set_aside_is_not_there_for_others() -> None:
    made = wallet(100)
    hold = made.reserve(Demand(60, 60))
    assert made.available == 40
    assert refused(made, Demand(60, 60)).code == "balance_held"
    assert refused(made, Demand(101, 101)).code == "balance_short"
    hold.settle("a", 1, 50)
    assert (made.available, made.reserved, made.unposted) == (50, 0, {"a": (1, 50)})
    made.install(50, 0, {"a"})
    assert made.available == 50 and made.idle


def test_a_void_costs_nothing_and_repeats_do_nothing() -> None:
    made = wallet(100)
    hold = made.reserve(Demand(60, 60))
    hold.void()
    hold.void()
    hold.settle("a", 1, 50)
    assert made.available == 100 and made.idle


def test_without_a_bound_one_call_takes_what_is_left() -> None:
    made = wallet(100)
    hold = made.reserve(Demand(10, 1000))
    assert made.available == 0
    assert refused(made, Demand(10, 1000)).code == "balance_held"
    assert refused(made, Demand(1, 1)).code == "balance_held"
    # a call takes seconds: who was told to try again in one gave up before it had ended
    assert refused(made, Demand(10, 1000)).retry_after_ms == 5000
    hold.settle("a", 1, 130)
    assert made.available == -30
    error = refused(made, Demand(1, 1))
    assert error.code == "balance_short" and error.retry_after_ms is None


def test_only_one_call_without_a_bound_is_under_way_even_where_money_came_in_since() -> None:
    made = wallet(100)
    first = made.reserve(Demand(10, 1000))
    made.install(300, 0, ())
    assert refused(made, Demand(10, 1000)).code == "balance_held"
    bounded = made.reserve(Demand(150, 150))
    bounded.void()  # another's end changes nothing
    assert refused(made, Demand(10, 1000)).code == "balance_held"
    first.settle("a", 1, 90)
    second = made.reserve(Demand(10, 1000))
    assert (second.nano, made.available) == (210, 0)
    second.void()
    assert made.reserve(Demand(10, 1000)).nano == 210


def test_a_call_without_a_bound_holds_something_even_where_nothing_is_left() -> None:
    made = wallet(0)
    hold = made.reserve(Demand(0, 1000))
    assert (hold.nano, made.idle) == (1, False)
    assert refused(made, Demand(0, 1000)).code == "balance_held"
    hold.void()
    assert made.idle


def test_a_new_wallet_is_empty_and_a_call_for_nothing_leaves_it_idle() -> None:
    made = Wallet("USD")
    assert (made.available, made.idle, dict(made.unposted)) == (0, True, {})
    made.reserve(Demand(0, 0)).settle("a", 1, 0)
    assert made.idle


@pytest.mark.parametrize(("left", "said"), [
    (0, "This call may cost 1.25 USD; 0.00 is left. Ask for less output, or top up."),
    (-NANO, "This call may cost 1.25 USD; 0.00 is left. Ask for less output, or top up."),
    (NANO // 4, "This call may cost 1.25 USD; 0.25 is left. Ask for less output, or top up."),
])
def test_a_refusal_says_what_it_may_cost_and_what_is_left(left: int, said: str) -> None:
    assert refused(wallet(left), Demand(5 * NANO // 4, 2 * NANO)).detail == said


def test_a_held_balance_is_asked_for_again_in_a_second() -> None:
    made = wallet(100)
    made.reserve(Demand(60, 60))
    assert refused(made, Demand(60, 60)).retry_after_ms == 1000


def test_what_is_free_is_served_whatever_is_left() -> None:
    assert wallet(0).reserve(Demand(0, 0)).nano == 0
    assert wallet(-5).reserve(Demand(0, 0)).nano == 0
    assert refused(wallet(-5), Demand(1, 1)).code == "balance_short"


def test_a_credit_line_is_spent_too() -> None:
    made = wallet(0, credit=50)
    made.reserve(Demand(50, 50)).settle("a", 1, 50)
    assert refused(made, Demand(1, 1)).code == "balance_short"


def test_each_response_of_a_session_that_has_not_ended_holds_what_one_may_cost() -> None:
    purse = Wallet("USD")
    purse.install(100, 0, ())
    hold = purse.reserve(Demand(10, 10))
    for responses, used, held in ((1, 0, 10), (2, 0, 20), (5, 0, 50), (4, 8, 48), (1, 32, 32),
                                  (0, 32, 32), (3, 32, 62), (1, 32, 32)):
        hold.expect(responses)
        hold.grow(used)
        assert (hold.nano, purse.reserved, hold.responses) == (held, held, responses)
    hold.settle("call", 1, 32)
    hold.expect(9)
    assert (purse.reserved, purse.available) == (0, 68)


def test_a_session_holds_more_as_it_uses_more() -> None:
    made = wallet(100)
    hold = made.reserve(Demand(10, 10))
    hold.grow(5)
    assert made.available == 90
    hold.grow(70)
    assert made.available == 30
    hold.settle("a", 1, 60)
    assert made.available == 40


@given(st.builds(Quantity, SMALL, SMALL, st.integers(0, 10), st.integers(0, 7200),
                 st.integers(0, 9)),
       st.dictionaries(st.sampled_from(["input", "output", "audio_input", "call", "image",
                                        "audio_minute", "reasoning", "search",
                                        "search_call"]), SMALL))
def test_a_cost_is_never_below_what_is_paid(
    quantity: Quantity, given_prices: dict[str, int],
) -> None:
    unit = unit_prices(given_prices)
    price = Price("m", unit, tiers=(Tier(10**9, unit),))
    paid = (Decimal(quantity.input_tokens) * unit.input / 10**6
            + Decimal(quantity.output_tokens) * unit.output / 10**6
            + Decimal(quantity.audio_seconds) * unit.audio_minute / 60
            + unit.call + quantity.images * unit.image
            + quantity.searches * unit.search + min(quantity.searches, 1) * unit.search_call)
    assert cost(quantity, price) >= paid.to_integral_value(ROUND_CEILING)


@pytest.mark.parametrize(("quantity", "nano"), [
    (Quantity(), 7), (Quantity(3), 7 + 30), (Quantity(0, 3), 7 + 60), (Quantity(0, 0, 3), 7 + 15),
    (Quantity(0, 0, 0, 60), 7 + 601), (Quantity(0, 0, 0, 1), 7 + 11),
    (Quantity(searches=3), 7 + 39 + 17),
    (Quantity(3, 3, 3, 120), 7 + 30 + 60 + 15 + 1202),
])
def test_a_cost_is_no_more_than_the_dearest_of_each(quantity: Quantity, nano: int) -> None:
    prices = unit_prices({
        "input": 9_000_000, "cache_creation": 10_000_000, "output": 19_000_000,
        "reasoning": 20_000_000, "call": 7, "image": 5, "audio_minute": 601,
        "search": 13, "search_call": 17})
    assert cost(quantity, Price("m", prices)) == nano


def test_the_tier_of_the_input_counts() -> None:
    price = Price("m", unit_prices({"input": 10**6}), tiers=(
        Tier(100, unit_prices({"input": 2 * 10**6})),))
    assert cost(Quantity(100), price) == 100 and cost(Quantity(101), price) == 202


def test_an_hour_in_a_cache_is_set_aside_where_it_is_asked_for() -> None:
    price = Price("*", unit_prices({"input": 4_000_000, "cache_creation": 5_000_000,
                                    "cache_creation_1h": 8_000_000}))
    assert (cost(Quantity(10), price), cost(Quantity(10), price, True)) == (50, 80)


class Spending(RuleBasedStateMachine):
    """Calls with and without bounds, deposits and stores in any order, against a plain model."""

    def __init__(self) -> None:
        super().__init__()
        self.wallet = wallet(0)
        self.paid_in = 0
        self.spent = 0
        self.beyond = 0
        self.running: list[tuple[Hold, Demand, bool]] = []
        self.numbers = 0

    @rule(nano=st.integers(1, 1000))
    def deposit(self, nano: int) -> None:
        self.paid_in += nano
        posted = self.paid_in - self.spent + sum(n for _, n in self.wallet.unposted.values())
        self.wallet.install(posted, 0, ())

    @rule(about=st.integers(0, 300), more=st.integers(0, 2000))
    def call(self, about: int, more: int) -> None:
        demand = Demand(about, about + more)
        try:
            self.running.append((self.wallet.reserve(demand), demand, more == 0))
        except RelayError as error:
            assert error.code in ("balance_short", "balance_held")
            assert demand.most > self.paid_in - self.spent - self.wallet.reserved

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.running) - 1))
        hold, demand, _ = self.running.pop(place)
        nano = data.draw(st.integers(0, demand.most))
        self.beyond = max(self.beyond, nano - demand.about)
        self.spent += nano
        self.numbers += 1
        hold.settle(str(self.numbers), 0, nano)

    @rule()
    def store(self) -> None:
        self.wallet.install(self.paid_in - self.spent, 0, set(self.wallet.unposted))

    @invariant()
    def never_overdrawn_by_more_than_one_calls_error(self) -> None:
        assert self.paid_in - self.spent >= -max(0, self.beyond)

    @invariant()
    def the_figures_agree(self) -> None:
        held = sum(hold.nano for hold, _, _ in self.running)
        assert self.wallet.reserved == held
        assert self.wallet.available == self.paid_in - self.spent - held


TestSpending = Spending.TestCase
TestSpending.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
