"""Partners' messages: each once, in any order, however often; wrong ones never."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.core.currency import to_nano
from relayd.core.decision import Known, bounced_cause, decide, hold
from relayd.core.errors import RelayError
from relayd.core.order import ALARMS, Order
from relayd.core.partner import PartnerEvent
from relayd.core.posting import LedgerAccount, Transfer, folded
from relayd.core.refund import Refund

AMOUNT = 1000
ORDER = Order("ord_1", "acct_1", "card", "CNY", AMOUNT, "pending", 1, 2, session="s", page="p")
PAID = PartnerEvent("card", "evt_1", "paid", "ord_1", "CNY", AMOUNT, "trade_1")


def event(kind: str, amount: int = 0, reference: str = "", **more: str) -> PartnerEvent:
    return replace(PAID, kind=kind, amount_minor=amount,  # type: ignore[arg-type]
                   reference=reference, **more)


def balance(transfers: list[Transfer], kind: str = "balance", owner: str = "acct_1") -> int:
    party = LedgerAccount(kind, owner, "CNY")  # type: ignore[arg-type]
    return folded(transfers).get(party, 0)


class World:
    """An order, its refunds and disputes, and the transfers made so far; as the store does it."""

    def __init__(self, order: Order = ORDER) -> None:
        self.order = order
        self.refunds: dict[str, Refund] = {}
        self.disputes: dict[str, object] = {}
        self.transfers: dict[str, Transfer] = {}

    def hear(self, said: PartnerEvent) -> str:
        known = Known(self.order, self.refunds.get(said.reference),
                      self.disputes.get(said.reference),  # type: ignore[arg-type]
                      bounced_cause(said.reference) in self.transfers)
        return self._keep(decide(known, said, 5))

    def ask(self, refund_id: str, amount: int) -> None:
        assert refund_id not in self.refunds, "a cause twice"
        self._keep(hold(self.order, Refund(refund_id, self.order.id, amount, "pending", 3)))

    def _keep(self, decision: object) -> str:
        after = decision.known  # type: ignore[attr-defined]
        self.order = after.order
        if after.refund:
            self.refunds[after.refund.id] = after.refund
        if after.dispute:
            self.disputes[after.dispute.id] = after.dispute
        for transfer in decision.transfers:  # type: ignore[attr-defined]
            assert transfer.cause not in self.transfers, "a cause twice"
            self.transfers[transfer.cause] = transfer
        return decision.outcome  # type: ignore[attr-defined, no-any-return]

    def sums(self) -> dict[str, int]:
        book = folded(self.transfers.values())
        return {party.kind: nano for party, nano in book.items()}


@pytest.mark.parametrize("state", ["created", "pending", "expired", "failed"])
def test_a_payment_is_credited_once(state: str) -> None:
    world = World(replace(ORDER, state=state))  # type: ignore[arg-type]
    assert world.hear(PAID) == "credited"
    assert world.order.state == "credited" and world.order.page is None
    assert world.order.trade == "trade_1"
    for _ in range(10):
        assert world.hear(replace(PAID, event="another")) == "already"
    assert world.sums()["balance"] == to_nano(AMOUNT, "CNY")


@pytest.mark.parametrize("change, outcome", [
    ({"partner": "other"}, "other_partner"),
    ({"currency": "USD"}, "other_currency"),
    ({"currency": ""}, "other_currency"),
    ({"amount_minor": AMOUNT - 1}, "other_amount"),
    ({"amount_minor": AMOUNT + 1}, "other_amount"),
    ({"amount_minor": AMOUNT * 100}, "other_amount"),
    ({"amount_minor": 0}, "other_amount"),
    ({"amount_minor": -AMOUNT}, "other_amount"),
    ({"trade": None}, "other_amount"),
    ({"trade": ""}, "other_amount"),
])
def test_a_payment_that_does_not_fit_is_an_alarm(change: dict[str, object], outcome: str) -> None:
    world = World()
    assert world.hear(replace(PAID, **change)) == outcome  # type: ignore[arg-type]
    assert outcome in ALARMS
    assert world.order == ORDER and world.transfers == {}


def test_a_second_payment_of_the_same_order_is_an_alarm() -> None:
    world = World()
    world.hear(PAID)
    assert world.hear(replace(PAID, trade="trade_2")) == "paid_twice"
    assert world.sums()["balance"] == to_nano(AMOUNT, "CNY")


def test_what_is_paid_and_not_credited_yet_gives_nothing_back() -> None:
    world = World(replace(ORDER, state="paid", trade="trade_1"))
    for kind, reference in (("refunded", "re_1"), ("disputed", "dp_1")):
        assert world.hear(event(kind, 1, reference)) == "too_late"
    assert world.order.state == "paid" and world.transfers == {} == world.refunds


def test_failure_and_expiry_end_what_waits_alone() -> None:
    for kind in ("failed", "expired"):
        world = World()
        assert world.hear(event(kind)) == kind and world.order.state == kind
        assert world.hear(event(kind)) == "already"
        paid = World()
        paid.hear(PAID)
        assert paid.hear(event(kind)) == "already" and paid.order.state == "credited"


def test_a_refund_is_held_and_returned() -> None:
    world = World()
    world.hear(PAID)
    world.ask("rf_1", 400)
    assert world.sums()["refunds"] == to_nano(400, "CNY") and world.order.state == "refunding"
    assert world.hear(event("refunded", 400, "rf_1")) == "returned"
    assert world.hear(event("refunded", 400, "rf_1")) == "already"
    assert world.order.state == "part_refunded" and world.order.left_minor == 600
    world.ask("rf_2", 600)
    assert world.hear(event("refunded", 600, "rf_2")) == "returned"
    assert world.order.state == "refunded"
    assert {k: v for k, v in world.sums().items() if v} == {}


def test_a_refund_that_failed_gives_back() -> None:
    world = World()
    world.hear(PAID)
    world.ask("rf_1", 400)
    assert world.hear(event("refund_failed", 0, "rf_1")) == "released"
    assert world.hear(event("refund_failed", 0, "rf_1")) == "already"
    assert world.order.state == "credited"
    assert world.sums()["balance"] == to_nano(AMOUNT, "CNY") and world.sums()["refunds"] == 0
    # and where the partner did return it in the end
    assert world.hear(event("refunded", 400, "rf_1")) == "returned"
    assert world.sums()["balance"] == to_nano(AMOUNT - 400, "CNY")


def test_a_refund_that_came_back_is_in_the_balance_again_once() -> None:
    world = World()
    world.hear(PAID)
    world.ask("rf_1", 400)
    world.hear(event("refunded", 400, "rf_1"))
    world.hear(event("refunded", 600, "re_1"))
    assert world.order.state == "refunded" and world.sums()["balance"] == 0
    assert world.hear(event("refund_failed", 0, "rf_1")) == "bounced"
    assert (world.order.state, world.order.refunded_minor) == ("part_refunded", 600)
    assert world.hear(event("refund_failed", 0, "re_1")) == "bounced"
    assert (world.order.state, world.order.left_minor) == ("credited", AMOUNT)
    for reference in ("rf_1", "re_1"):
        assert world.hear(event("refund_failed", 0, reference)) == "already"
        # it left once and came back once: more than that is for a person to look at
        assert world.hear(event("refunded", 400, reference)) == "too_late"
    assert world.sums()["balance"] == to_nano(AMOUNT, "CNY")
    assert world.sums()["clearing"] == -to_nano(AMOUNT, "CNY")
    world.ask("rf_2", AMOUNT)
    assert world.hear(event("refunded", AMOUNT, "rf_2")) == "returned"


@pytest.mark.parametrize("said, state", [
    ([], "disputed"), (["dispute_won"], "dispute_won"), (["dispute_lost"], "dispute_lost")])
def test_a_refund_that_comes_back_beside_a_dispute(said: list[str], state: str) -> None:
    world = World()
    world.hear(PAID)
    world.hear(event("refunded", 400, "re_1"))
    for kind in ["disputed", *said]:
        world.hear(event(kind, 600, "dp_1"))
    before = world.sums()["balance"]
    assert world.hear(event("refund_failed", 0, "re_1")) == "bounced"
    assert world.order.state == state and world.order.refunded_minor == 0
    assert world.sums()["balance"] == before + to_nano(400, "CNY")


def test_a_refund_that_comes_back_while_another_is_under_way() -> None:
    world = World()
    world.hear(PAID)
    world.hear(event("refunded", 400, "re_1"))
    world.ask("rf_1", 600)
    assert world.hear(event("refund_failed", 0, "re_1")) == "bounced"
    assert world.order.state == "refunding"
    assert world.hear(event("refunded", 600, "rf_1")) == "returned"
    assert (world.order.state, world.order.refunded_minor) == ("part_refunded", 600)


def test_a_refund_made_at_the_partner() -> None:
    world = World()
    world.hear(PAID)
    assert world.hear(event("refunded", AMOUNT + 1, "re_1")) == "other_amount"
    assert world.hear(event("refunded", AMOUNT, "re_1")) == "returned"
    assert world.order.state == "refunded"
    assert {k: v for k, v in world.sums().items() if v} == {}


def test_a_refund_of_another_amount_is_an_alarm() -> None:
    world = World()
    world.hear(PAID)
    world.ask("rf_1", 400)
    assert world.hear(event("refunded", 300, "rf_1")) == "other_amount"


@pytest.mark.parametrize("ours, state", [("refunded", "refunded"),
                                         ("refund_failed", "part_refunded")])
def test_a_refund_made_at_the_partner_while_another_is_under_way(ours: str, state: str) -> None:
    world = World()
    world.hear(PAID)
    world.ask("rf_1", 400)
    assert world.hear(event("refunded", 600, "re_other")) == "returned"
    # it left the partner, so it leaves the balance; what is held stays held
    assert world.order.state == "refunding" and world.order.left_minor == 400
    assert world.sums()["balance"] == 0 and world.sums()["refunds"] == to_nano(400, "CNY")
    assert world.hear(event("refunded", 600, "re_other")) == "already"
    assert world.hear(event("refunded", 401, "re_more")) == "other_amount"
    world.hear(event(ours, 400, "rf_1"))
    assert world.order.state == state and world.sums()["refunds"] == 0


@pytest.mark.parametrize("amount", [0, -1, AMOUNT + 1])
def test_no_more_goes_back_than_came(amount: int) -> None:
    world = World()
    world.hear(PAID)
    with pytest.raises(RelayError) as caught:
        world.ask("rf_1", amount)
    assert caught.value.code == "payment_amount"


def test_an_unpaid_order_has_nothing_to_return() -> None:
    world = World()
    with pytest.raises(RelayError) as caught:
        world.ask("rf_1", 1)
    assert caught.value.code == "order_state"
    assert world.hear(event("refunded", 1, "re_1")) == "too_late"
    assert world.hear(event("disputed", 1, "dp_1")) == "too_late"
    assert world.hear(event("refund_failed", 1, "re_1")) == "ignored"
    assert world.hear(event("ignored")) == "ignored"


@pytest.mark.parametrize("end, left", [("dispute_won", AMOUNT), ("dispute_lost", 0)])
def test_a_dispute_in_either_order_of_messages(end: str, left: int) -> None:
    said = [event("disputed", AMOUNT, "dp_1"), event(end, AMOUNT, "dp_1")]
    for order_of_messages in (said, said[::-1]):
        world = World()
        world.hear(PAID)
        for each in (*order_of_messages, *order_of_messages):
            world.hear(each)
        assert world.order.state == end
        assert world.sums()["balance"] == to_nano(left, "CNY")
        assert world.sums()["disputes"] == 0


@pytest.mark.parametrize("end, other", [
    ("dispute_won", "dispute_lost"), ("dispute_lost", "dispute_won")])
def test_a_dispute_that_ends_otherwise_after_an_appeal_is_an_alarm(end: str, other: str) -> None:
    world = World()
    for each in (PAID, event("disputed", AMOUNT, "dp_1"), event(end, AMOUNT, "dp_1")):
        world.hear(each)
    before = world.sums()
    assert world.hear(event(other, AMOUNT, "dp_1")) == "too_late"
    assert world.hear(event(end, AMOUNT, "dp_1")) == "already"
    assert world.sums() == before and world.order.state == end


def test_a_dispute_during_a_refund() -> None:
    world = World()
    world.hear(PAID)
    world.ask("rf_1", 400)
    assert world.hear(event("disputed", AMOUNT, "dp_1")) == "disputed"
    # what was on its way back is asked for twice: the balance shows it
    assert world.sums()["balance"] == -to_nano(400, "CNY")
    assert world.hear(event("refund_failed", 0, "rf_1")) == "released"
    assert world.sums()["balance"] == 0
    assert world.hear(event("disputed", AMOUNT + 1, "dp_2")) == "too_late"


@pytest.mark.parametrize("end", ["dispute_won", "dispute_lost"])
@pytest.mark.parametrize("kind, outcome", [
    ("refunded", "returned"), ("refund_failed", "released")])
def test_a_refund_that_outlasts_a_dispute(end: str, kind: str, outcome: str) -> None:
    world = World()
    world.hear(PAID)
    world.ask("rf_1", 400)
    world.hear(event("disputed", AMOUNT, "dp_1"))
    world.hear(event(end, AMOUNT, "dp_1"))
    assert world.hear(event(kind, 400, "rf_1")) == outcome
    assert world.sums()["refunds"] == 0 and world.refunds["rf_1"].state != "pending"


MESSAGES = [PAID, replace(PAID, trade="trade_2"), replace(PAID, amount_minor=1),
            event("failed"), event("expired"), event("refunded", 400, "rf_1"),
            event("refund_failed", 400, "rf_1"), event("refunded", 100, "re_1"),
            event("refund_failed", 0, "re_1"),
            event("disputed", AMOUNT, "dp_1"), event("dispute_won", AMOUNT, "dp_1"),
            event("dispute_lost", AMOUNT, "dp_1"), event("disputed", 50, "dp_2"),
            event("dispute_lost", 50, "dp_2"), event("ignored")]


@settings(max_examples=300)
@given(st.lists(st.one_of(st.sampled_from(MESSAGES), st.none()), max_size=30))
def test_any_sequence_of_messages_keeps_the_book(said: list[PartnerEvent | None]) -> None:
    world = World()
    for each in said:
        try:
            if each is None:
                world.ask("rf_1", 400)
            else:
                world.hear(each)
        except RelayError as error:
            assert each is None and error.code in ("order_state", "payment_amount")
        except AssertionError as error:
            # asking for a refund under an id that there is already is the caller's fault
            assert each is None and "a cause twice" in str(error)
            return
        sums = world.sums()
        assert sum(sums.values()) == 0
        credited = "order:ord_1:credited" in world.transfers
        assert -sums.get("clearing", 0) <= (to_nano(AMOUNT, "CNY") if credited else 0)
        assert sums.get("refunds", 0) >= 0 and sums.get("disputes", 0) >= 0
        assert 0 <= world.order.refunded_minor <= AMOUNT
