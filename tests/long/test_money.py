"""The books of money on a long random walk: payments, refunds, disputes, credit, calls; messages
that come again, too late and in any order; transactions that are cut; the store closed and opened.

`make test-long` takes 100,000 steps, the ordinary suite 1,500. RELAYD_SEED chooses another walk.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relayd.control import account, webhook
from relayd.control.partner import Payments, payments
from relayd.core.decision import Known, decide, hold
from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.partner import PartnerEvent
from relayd.core.posting import LedgerAccount, charge, move
from relayd.core.refund import Refund
from relayd.ops.config_payments import PaymentsConfig
from relayd.store import order as store_order
from relayd.store import posting as store_posting
from relayd.store.db import Database, open_database
from tests.long.relays import LONG

STEPS = 100_000 if LONG else 1_500
LOOK_EVERY = 5_000 if LONG else 250
OPEN_AGAIN_EVERY = 10_000 if LONG else 400
SEED = int(os.environ.get("RELAYD_SEED", "20261129"))
HOLDERS = 5
MINOR_NANO = 10 ** 7
NOW_MS = 1_800_000_000_000


class Cut(Exception):
    """The process dies in the middle of a transaction."""


@dataclass
class Walk:
    """What is known of the store from outside: what was said, and what should have come of it."""

    directory: Path
    dice: random.Random
    db: Database
    ways: Payments
    holders: list[str] = field(default_factory=list)
    orders: list[str] = field(default_factory=list)
    said: list[PartnerEvent] = field(default_factory=list)
    # what holders should have, by kind of ledger account; counted here by other means
    should: Counter[tuple[str, str]] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    heard: set[str] = field(default_factory=set)
    names: int = 0
    now_ms: int = NOW_MS

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}_{self.names}"

    async def step(self) -> None:
        self.now_ms += self.dice.randrange(1, 10_000)
        chosen: Callable[[], Awaitable[None]] = self.dice.choices(
            (self.make, self.pay, self.again, self.ask, self.refund_ends, self.dispute, self.use,
             self.give, self.take_back, self.nonsense, self.cut),
            (8, 10, 14, 5, 5, 3, 20, 4, 2, 4, 4))[0]
        self.done[chosen.__name__] += 1
        await chosen()

    async def make(self) -> None:
        order = Order(self.name("ord"), self.dice.choice(self.holders), "card", "CNY",
                      self.dice.randrange(1, 100_000), "pending", self.now_ms, self.now_ms + 1)
        async with self.db.writing() as transaction:
            await store_order.insert(transaction, order, None, None)
        self.orders.append(order.id)

    async def order(self) -> Order | None:
        if not self.orders:
            return None
        # mostly late ones, so that there are some that nothing has happened to
        place = -1 - int(self.dice.expovariate(0.05)) % len(self.orders)
        async with self.db.reading() as transaction:
            return await store_order.get(transaction, self.orders[place])

    async def hear(self, event: PartnerEvent) -> str:
        """The message, and what it should do to the holder's money, from how the order stood."""
        self.said.append(event)
        before = await self.known(event)
        outcome = await webhook.apply(self.db, self.ways, event, self.now_ms)
        self.count(event, before, outcome)
        return outcome

    async def known(self, event: PartnerEvent) -> Known | None:
        async with self.db.reading() as transaction:
            order = await store_order.find(transaction, event.order)
            if order is None:
                return None
            return Known(order, await store_order.find_refund(
                transaction, event.reference, order.id), await store_order.find_dispute(
                transaction, event.reference, order.id))

    def count(self, event: PartnerEvent, before: Known | None, outcome: str) -> None:
        """Money by words: what each outcome means for who owns the order."""
        assert before is not None
        if event.event in self.heard:
            return  # a repetition gets the first answer and does nothing
        self.heard.add(event.event)
        who, nano = before.order.account, event.amount_minor * MINOR_NANO
        held = before.refund is not None and before.refund.state == "pending"
        moves = {
            "credited": {"balance": nano},
            "returned": {"refunds": -nano} if held else {"balance": -nano},
            "released": {"refunds": -nano, "balance": nano},
            "disputed": {"balance": -nano, "disputes": nano},
            "won": {"balance": nano, "disputes": -nano},
            "lost": {"disputes": -nano},
        }.get(outcome, {})
        if outcome == "released" and before.refund is not None:
            given_back = before.refund.amount_minor * MINOR_NANO
            moves = {"refunds": -given_back, "balance": given_back}
        if outcome in ("won", "lost") and before.dispute is None:
            # its start had not been heard of
            self.move(who, {"balance": -nano, "disputes": nano})
        self.move(who, moves)
        self.done[outcome] += 1

    def move(self, who: str, moves: dict[str, int]) -> None:
        for kind, nano in moves.items():
            self.should[kind, who] += nano

    async def pay(self) -> None:
        order = await self.order()
        if order is not None:
            await self.hear(PartnerEvent(
                "card", self.name("evt"), "paid", order.id, "CNY", order.amount_minor,
                f"trade_{order.id}"))

    async def again(self) -> None:
        """Something that was said before, with its own id or with a new one."""
        if self.said:
            event = self.dice.choice(self.said[-500:])
            if self.dice.random() < 0.4:
                event = PartnerEvent(event.partner, self.name("evt"), event.kind, event.order,
                                     event.currency, event.amount_minor, event.trade,
                                     event.reference)
            await self.hear(event)

    async def ask(self) -> None:
        """A refund that is asked for here."""
        order = await self.order()
        if order is None:
            return
        amount = self.dice.randrange(1, order.amount_minor + 2)
        refund = Refund(self.name("rfd"), order.id, amount, "pending", self.now_ms)
        try:
            async with self.db.writing() as transaction:
                others = await store_order.refunds(transaction, order.id)
                if any(each.state == "pending" for each in others):
                    raise RelayError("order_state")
                decision = hold(await store_order.get(transaction, order.id), refund)
                left = await store_posting.balance(
                    transaction, LedgerAccount("balance", order.account, "CNY"))
                if left < amount * MINOR_NANO:
                    raise RelayError("balance_short")
                await webhook.keep(transaction, decision, self.now_ms)
        except RelayError as error:
            assert error.code in ("order_state", "payment_amount", "balance_short")
            return
        self.move(order.account, {"balance": -amount * MINOR_NANO,
                                  "refunds": amount * MINOR_NANO})
        self.done["held"] += 1

    async def refund_ends(self) -> None:
        async with self.db.reading() as transaction:
            pending = await store_order.pending_refunds(transaction, 5)
        order = await self.order()
        if pending and self.dice.random() < 0.8:
            refund = self.dice.choice(pending)
            kind = "refunded" if self.dice.random() < 0.7 else "refund_failed"
            await self.hear(PartnerEvent(
                "card", self.name("evt"), kind,  # type: ignore[arg-type]
                refund.order, "CNY", refund.amount_minor, None, refund.id))
        elif order is not None:  # made at the partner
            await self.hear(PartnerEvent(
                "card", self.name("evt"), "refunded", order.id, "CNY",
                self.dice.randrange(1, order.amount_minor + 1), order.trade, self.name("re")))

    async def dispute(self) -> None:
        order = await self.order()
        if order is None or order.trade is None:
            return
        name = self.name("dp")
        said = [PartnerEvent("card", self.name("evt"), kind, order.id,  # type: ignore[arg-type]
                             "CNY", order.amount_minor, order.trade, name)
                for kind in ("disputed", self.dice.choice(("dispute_won", "dispute_lost")))]
        if self.dice.random() < 0.3:
            said.reverse()
        for event in said[:self.dice.choice((1, 2, 2))]:
            await self.hear(event)

    async def use(self) -> None:
        """Calls: no more than there is, as the reservations see to."""
        who = self.dice.choice(self.holders)
        async with self.db.writing() as transaction:
            promo, paid = [await store_posting.balance(
                transaction, LedgerAccount(kind, who, "CNY"))  # type: ignore[arg-type]
                for kind in ("promo", "balance")]
            left = promo + paid
            if left <= 0:
                return
            nano = self.dice.randrange(1, min(left, 10 ** 10) + 1)
            cause = self.name("use")
            for _ in range(self.dice.choice((1, 1, 2))):
                await store_posting.post(
                    transaction, charge(cause, nano, "CNY", who, promo), self.now_ms)
        from_promo = min(promo, nano)
        self.move(who, {"promo": -from_promo, "balance": from_promo - nano})

    async def give(self) -> None:
        who, nano = self.dice.choice(self.holders), self.dice.randrange(1, 10 ** 10)
        async with self.db.writing() as transaction:
            await store_posting.post(transaction, move(
                "grant", self.name("grant"), nano, "CNY", account=who), self.now_ms)
        self.move(who, {"promo": nano})

    async def take_back(self) -> None:
        """Given credit whose time is over; never more than is left of it."""
        who, nano = self.dice.choice(self.holders), self.dice.randrange(1, 10 ** 10)
        try:
            async with self.db.writing() as transaction:
                await store_posting.post(transaction, move(
                    "grant_expiry", self.name("expiry"), nano, "CNY", account=who), self.now_ms)
        except RelayError as error:
            assert error.code == "balance_short" and self.should["promo", who] < nano
            return
        self.move(who, {"promo": -nano})

    async def nonsense(self) -> None:
        """Messages that fit nothing."""
        order = await self.order()
        if order is None:
            return
        amount, currency, partner = self.dice.choice((
            (order.amount_minor + 1, "CNY", "card"), (order.amount_minor, "USD", "card"),
            (order.amount_minor, "CNY", "other"), (0, "CNY", "card"), (-5, "CNY", "card")))
        outcome = await self.hear(PartnerEvent(
            partner, self.name("evt"), "paid", order.id, currency, amount, "trade_x"))
        assert outcome in ("other_amount", "other_currency", "other_partner")

    async def cut(self) -> None:
        """A message is dealt with, and the process dies before that is on disk."""
        order = await self.order()
        if order is None:
            return
        event = PartnerEvent("card", self.name("evt"), "paid", order.id, "CNY",
                             order.amount_minor, f"trade_{order.id}")
        with pytest.raises(Cut):
            async with self.db.writing() as transaction:
                known = Known(await store_order.get(transaction, order.id))
                await webhook.keep(transaction, decide(known, event, self.now_ms), self.now_ms)
                raise Cut

    async def look(self) -> None:
        """Everything that must hold, at any time."""
        async with self.db.reading() as transaction:
            assert await store_posting.wrong(transaction) == []
            has = await store_posting.balances(transaction)
            credited = await transaction.rows(
                "SELECT COUNT(*) FROM transfers WHERE kind = 'top_up' GROUP BY cause"
                " HAVING COUNT(*) > 1")
        assert credited == [] and sum(has.values()) == 0
        assert {(party.kind, party.owner): nano for party, nano in has.items()
                if party.owner in self.holders and nano} == {
            key: nano for key, nano in self.should.items() if nano}

    async def open_again(self) -> None:
        await self.db.close()
        self.db = await open_database(self.directory)


@pytest.fixture
async def walk(tmp_path: Path) -> AsyncIterator[Walk]:
    db = await open_database(tmp_path / "store")
    made = Walk(tmp_path / "store", random.Random(SEED), db,
                payments(PaymentsConfig("CNY"), "http://relay.test"))
    for number in range(HOLDERS):
        found = await account.create(db, f"h{number}@example.org", None, NOW_MS)
        made.holders.append(found.id)
    yield made
    await made.db.close()


async def test_the_books_are_right_at_any_time(walk: Walk) -> None:
    for number in range(1, STEPS + 1):
        await walk.step()
        if number % LOOK_EVERY == 0:
            await walk.look()
        if number % OPEN_AGAIN_EVERY == 0:
            await walk.open_again()
    await walk.look()
    print(f"\n{STEPS} steps: {dict(sorted(walk.done.items()))}")
    # the walk has been everywhere
    assert all(walk.done[name] for name in (
        "credited", "returned", "released", "held", "disputed", "won", "lost", "already", "use",
        "other_amount", "too_late", "cut"))
