"""Steps of the books: everything that moves a holder's money, done by the use cases themselves,
and counted a second time by a model (tests/long/books_model.py)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from relayd.control import account, grant, ledger, next_plan, order, posting, subscription, usage
from relayd.control import wallet, webhook
from relayd.control.grant import Credit
from relayd.control.order import RefundWish
from relayd.control.partner import Payments, payments
from relayd.control.subscription import Quote
from relayd.core.actor import SHELL, Actor
from relayd.core.decision import Known
from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.partner import PartnerEvent
from relayd.core.plan import Plan, period_end, unspent, unused
from relayd.core.record import CallRecord
from relayd.core.subscription import Subscription
from relayd.core.ulid import ulid
from relayd.ops.config_payments import PaymentsConfig
from relayd.store import order as store_order
from relayd.store import posting as store_posting
from relayd.store.applied import Applied
from relayd.store.db import Database, open_database
from relayd.store.transaction import Transaction
from tests.fakes.records import call_record
from tests.long.books_model import Holder

HOLDERS: Final = 5
MINOR_NANO: Final = 10 ** 7
NOW_MS: Final = 1_800_000_000_000
DAY_MS: Final = 86_400_000
ESTIMATE_ERROR: Final = 10 ** 8
"""How far one call may cost more than was set aside for it: the bound of an overdraft."""
LINK: Final = "https://console.example/plans"
PLANS: Final = {plan.name: plan for plan in (
    Plan("team", period="month", fee_nano=31 * 10 ** 9, allowance_nano=40 * 10 ** 9,
         currency="CNY", offered=True),
    Plan("large", period="month", fee_nano=62 * 10 ** 9 + 1, allowance_nano=90 * 10 ** 9,
         currency="CNY", offered=True),
    Plan("year", period="year", fee_nano=365 * 10 ** 9, currency="CNY", offered=True))}
WEIGHTS: Final = {
    "make": 8, "pay": 10, "again": 12, "ask": 5, "refund_ends": 5, "dispute": 3, "use": 18,
    "replay": 5, "charge": 4, "give": 4, "redeem": 3, "expire": 4, "subscribe": 4, "step": 2,
    "schedule": 2,
    "run_due": 7, "days": 3, "nonsense": 3, "cut": 6}
"""The steps, and how often each is taken."""


class Cut(Exception):
    """The process dies in the middle of a transaction."""


class CutStore:
    """A store whose process dies before what it writes is on disk."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    @asynccontextmanager
    async def writing(self, **how: bool) -> AsyncIterator[Transaction]:
        async with self._db.writing(**how) as transaction:
            yield transaction
            raise Cut


@dataclass
class Walk:
    """A store, what was said to it, and what should have come of that."""

    directory: Path
    dice: random.Random
    db: Database
    ways: Payments
    holders: dict[str, Holder] = field(default_factory=dict)
    orders: list[str] = field(default_factory=list)
    said: list[PartnerEvent] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    redeemed: set[tuple[str, str]] = field(default_factory=set)
    posted: list[CallRecord] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    heard: set[str] = field(default_factory=set)
    names: int = 0
    now_ms: int = NOW_MS

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}_{self.names}"

    def who(self) -> str:
        return self.dice.choice(list(self.holders))

    async def random_step(self) -> None:
        await self.take(self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0])

    async def take(self, name: str) -> None:
        self.now_ms += self.dice.randrange(1, 600_000)
        self.done[name] += 1
        chosen: Callable[[], Awaitable[None]] = getattr(self, name)
        await chosen()

    async def days(self) -> None:
        self.now_ms += self.dice.randrange(30 * DAY_MS)

    async def cut(self) -> None:
        """A step whose process dies before any of it is on disk; a store that is opened again."""
        whole, name = self.db, self.dice.choice(list(WEIGHTS)[:-1])
        self.db = CutStore(whole)  # type: ignore[assignment]
        try:
            await getattr(self, name)()
        except Cut:
            self.done["died"] += 1
        finally:
            self.db = whole
        if self.dice.random() < 0.1:
            await self.open_again()

    async def open_again(self) -> None:
        await self.db.close()
        self.db = await open_database(self.directory)

    # -- payments -----------------------------------------------------------------------------

    async def make(self) -> None:
        made = Order(self.name("ord"), self.who(), "card", "CNY",
                     self.dice.randrange(1, 100_000), "pending", self.now_ms, self.now_ms + 1)
        async with self.db.writing() as transaction:
            await store_order.insert(transaction, made, None, None)
        self.orders.append(made.id)

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
        if event.event not in self.heard:  # a repetition gets the first answer and does nothing
            self.heard.add(event.event)
            self.done[outcome] += 1
            self.count(event, before, outcome)
        return outcome

    async def known(self, event: PartnerEvent) -> Known:
        async with self.db.reading() as transaction:
            found = await store_order.get(transaction, event.order)
            return Known(found, await store_order.find_refund(
                transaction, event.reference, found.id), await store_order.find_dispute(
                transaction, event.reference, found.id))

    def count(self, event: PartnerEvent, before: Known, outcome: str) -> None:
        """Money by words: what each outcome means for who owns the order."""
        who, nano = self.holders[before.order.account], event.amount_minor * MINOR_NANO
        held = before.refund is not None and before.refund.state == "pending"
        moves = {
            "credited": {"balance": nano},
            "returned": {"refunds": -nano} if held else {"balance": -nano},
            "disputed": {"balance": -nano, "disputes": nano},
            "won": {"balance": nano, "disputes": -nano},
            "lost": {"disputes": -nano},
        }.get(outcome, {})
        if outcome == "released" and before.refund is not None:
            given_back = before.refund.amount_minor * MINOR_NANO
            moves = {"refunds": -given_back, "balance": given_back}
        if outcome == "bounced" and before.refund is not None:
            moves = {"balance": before.refund.amount_minor * MINOR_NANO}
        if outcome in ("won", "lost") and before.dispute is None:
            # its start had not been heard of
            who.move({"balance": -nano, "disputes": nano})
        who.move(moves)

    def event(self, kind: str, found: Order, amount: int, **more: Any) -> PartnerEvent:
        given = {"partner": "card", "currency": "CNY", "trade": found.trade, **more}
        return PartnerEvent(event=self.name("evt"), kind=kind, order=found.id,  # type: ignore
                            amount_minor=amount, **given)

    async def pay(self) -> None:
        found = await self.order()
        if found is not None:
            await self.hear(self.event(
                "paid", found, found.amount_minor, trade=f"trade_{found.id}"))

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
        """A refund that is asked for here; what calls cost is taken from the balance first."""
        found = await self.order()
        if found is None:
            return
        amount = self.dice.randrange(1, found.amount_minor + 2)
        who = self.holders[found.account].copy()
        who.charge()
        try:
            await order.begin_refund(
                self.db, SHELL, RefundWish(found.id, amount, "as asked"), self.now_ms)
        except RelayError as error:
            assert error.code in ("order_state", "payment_amount") or (
                error.code == "balance_short" and who.kinds["balance"] < amount * MINOR_NANO)
            return
        who.move({"balance": -amount * MINOR_NANO, "refunds": amount * MINOR_NANO})
        assert who.kinds["balance"] >= 0
        self.holders[found.account] = who
        self.done["held"] += 1

    async def refund_ends(self) -> None:
        pending = await order.pending_refunds(self.db, 5)
        found = await self.order()
        if pending and self.dice.random() < 0.8:
            refund = self.dice.choice(pending)
            kind = "refunded" if self.dice.random() < 0.7 else "refund_failed"
            await self.hear(self.event(
                kind, await order.get(self.db, refund.order), refund.amount_minor, trade=None,
                reference=refund.id))
            return
        if found is None:
            return
        async with self.db.reading() as transaction:
            ended = await store_order.refunds(transaction, found.id)
        if ended and self.dice.random() < 0.3:  # as where the payer's bank sends one back
            await self.hear(self.event("refund_failed", found, 0, trade=None,
                                       reference=self.dice.choice(ended).id))
        else:  # made at the partner
            await self.hear(self.event("refunded", found, self.dice.randrange(
                1, found.amount_minor + 1), reference=self.name("re")))

    async def dispute(self) -> None:
        found = await self.order()
        if found is None or found.trade is None:
            return
        name = self.name("dp")
        said = [self.event(kind, found, found.amount_minor, reference=name)
                for kind in ("disputed", self.dice.choice(("dispute_won", "dispute_lost")))]
        if self.dice.random() < 0.3:
            said.reverse()
        for event in said[:self.dice.choice((1, 2, 2))]:
            await self.hear(event)

    async def nonsense(self) -> None:
        """Messages that fit nothing."""
        found = await self.order()
        if found is None:
            return
        amount, currency, partner = self.dice.choice((
            (found.amount_minor + 1, "CNY", "card"), (found.amount_minor, "USD", "card"),
            (found.amount_minor, "CNY", "other"), (0, "CNY", "card"), (-5, "CNY", "card")))
        outcome = await self.hear(self.event(
            "paid", found, amount, trade="trade_x", currency=currency, partner=partner))
        assert outcome in ("other_amount", "other_currency", "other_partner")

    # -- calls --------------------------------------------------------------------------------

    async def use(self) -> None:
        """Calls as the reservations let them: none where nothing is left, else none that is
        thought to cost more than that; one may cost more than it was thought to."""
        name = self.who()
        who = self.holders[name]
        nanos: list[int] = []
        while len(nanos) < self.dice.choice((1, 1, 3)) and who.left - sum(nanos) > 0:
            nanos.append(self.dice.randrange(min(who.left - sum(nanos), 3 * 10 ** 10) + 1))
        if nanos:
            nanos[-1] += self.dice.randrange(ESTIMATE_ERROR)
        records = [self.record(name, nano) for nano in nanos]
        assert await usage.post(self.db, records) == len(records)
        self.posted += records
        who.used += sum(nanos)
        assert not nanos or who.left > -ESTIMATE_ERROR
        [found] = [money.nano for money in await wallet.money(self.db, name)
                   if money.currency == "CNY"] or [0]
        assert found == who.left

    def record(self, who: str, nano: int) -> CallRecord:
        self.names += 1
        return call_record(id=ulid(self.now_ms, self.names.to_bytes(10, "big")), account=who,
                           started_at_ms=self.now_ms, amount_nano=nano, currency="CNY")

    async def replay(self) -> None:
        """The journal brings calls that are stored already."""
        if self.posted:
            first = self.dice.randrange(len(self.posted))
            assert await usage.post(self.db, self.posted[first:first + 20],
                                    applied=Applied(0, first + 1)) == 0

    async def charge(self) -> None:
        await wallet.charge_all(self.db, self.now_ms)
        for who in self.holders.values():
            who.charge()

    # -- credit -------------------------------------------------------------------------------

    async def given(self, name: str) -> tuple[Any, ...]:
        """The grant that was made just now."""
        async with self.db.reading() as transaction:
            found = await transaction.row(
                "SELECT id, amount_nano, source, created_at_ms, expires_at_ms FROM grants"
                " WHERE account_id = ? ORDER BY created_at_ms DESC LIMIT 1", (name,))
        assert found is not None
        return found

    def credit(self) -> Credit:
        ends = self.dice.choice((None, self.now_ms + self.dice.randrange(1, 40 * DAY_MS)))
        return Credit(self.dice.randrange(1, 10 ** 11), "CNY", ends)

    async def give(self) -> None:
        name = self.who()
        await grant.give_to(self.db, name, self.credit(), "a gift", self.now_ms, SHELL)
        self.holders[name].give(await self.given(name))

    async def redeem(self) -> None:
        """A code that is new, or one that is used up, too old, or was redeemed by the same."""
        if not self.codes or self.dice.random() < 0.5:
            made = await grant.make_code(
                self.db, self.credit(), self.dice.choice((1, 3)), self.dice.choice((None, 7)),
                self.now_ms, SHELL)
            self.codes.append(made.text)
        name, text = self.who(), self.dice.choice(self.codes[-4:])
        try:
            await grant.redeem(self.db, name, text, self.now_ms, Actor(name))
        except RelayError as error:
            assert error.code == "code_not_usable"
            return
        assert (name, text) not in self.redeemed
        self.redeemed.add((name, text))
        self.holders[name].give(await self.given(name))
        self.done["redeemed"] += 1

    async def expire(self) -> None:
        await grant.expire(self.db, self.now_ms)
        for who in self.holders.values():
            who.expire(self.now_ms)

    # -- subscriptions ------------------------------------------------------------------------

    async def subscribe(self) -> None:
        """Another plan: what is unused of the old fee comes back, then the new one is paid."""
        name, plan = self.who(), self.dice.choice(list(PLANS.values()))
        present = await subscription.find(self.db, name)
        runs = present is not None and present.state != "ended"
        who = self.holders[name].copy()
        if runs and present is not None:
            who.charge()
            if present.state != "past_due":
                old = PLANS[present.plan]
                left = sum(each.left for each in who.credit if each.source == "subscription")
                who.kinds["balance"] += min(
                    unused(old.fee_nano, present.start_ms, present.end_ms, self.now_ms),
                    unspent(old.fee_nano, old.allowance_nano, left))
            who.end("subscription")
        who.charge()
        told = await self.told(name, plan)
        assert told is None or told.has_nano + told.back_nano == who.kinds["balance"]
        try:
            await subscription.subscribe(
                self.db, name, plan.name, PLANS, self.now_ms, Actor(name))
        except RelayError as error:
            same = runs and present is not None and present.plan == plan.name
            short = who.kinds["balance"] < plan.fee_nano
            assert error.code == ("subscription_state" if same else "balance_short")
            assert same or short
            return
        self.holders[name] = await self.paid(name, who, plan)
        self.done["subscribed"] += 1

    async def told(self, name: str, plan: Plan) -> Quote | None:
        """What the page says before; None for the plan that is there already."""
        try:
            return await subscription.quote(self.db, name, plan.name, PLANS, self.now_ms)
        except RelayError as error:
            assert error.code == "subscription_state"
            return None

    async def paid(self, name: str, who: Holder, plan: Plan) -> Holder:
        who.kinds["balance"] -= plan.fee_nano
        assert who.kinds["balance"] >= 0
        if plan.allowance_nano:
            who.give(await self.given(name))
        return who

    async def step(self) -> None:
        """Cancelled, or kept after all: neither moves money."""
        name = self.who()
        try:
            await self.dice.choice((subscription.cancel, subscription.keep))(
                self.db, name, self.now_ms, Actor(name))
        except RelayError as error:
            assert error.code == "subscription_state"

    async def schedule(self) -> None:
        """The plan of the next period, or none: neither moves money."""
        name, plan = self.who(), self.dice.choice(list(PLANS))
        try:
            if self.dice.random() < 0.3:
                await next_plan.drop(self.db, name, self.now_ms, Actor(name))
            else:
                await next_plan.schedule(
                    self.db, name, plan, PLANS, self.now_ms, Actor(name))
        except RelayError as error:
            assert error.code == "subscription_state"

    async def run_due(self) -> None:
        before = {name: await subscription.find(self.db, name) for name in self.holders}
        await subscription.run_due(self.db, PLANS, LINK, self.now_ms)
        for name, present in before.items():
            if present is not None and self.pays(present):
                await self.renewed(name, present)

    def pays(self, present: Subscription) -> bool:
        """Whether a fee is asked for now."""
        if present.state == "ended" or present.due_at_ms > self.now_ms:
            return False
        return present.state == "past_due" or (
            present.state == "active" and self.now_ms >= present.end_ms)

    async def renewed(self, name: str, before: Subscription) -> None:
        # a fee that is asked for again is the one that was due
        follows = before.next_plan if before.state == "active" else None
        who, plan = self.holders[name], PLANS[follows or before.plan]
        who.charge()
        after = await subscription.find(self.db, name)
        assert after is not None
        if who.kinds["balance"] < plan.fee_nano:
            assert after.state in ("past_due", "ended")
            self.done["unpaid"] += 1
            return
        assert (after.state, after.plan) == ("active", plan.name)
        self.done["followed"] += follows is not None
        if before.state == "active":
            assert (after.start_ms, after.end_ms) == (before.end_ms, period_end(
                before.end_ms, before.anchor_day, plan.period or "month"))
        await self.paid(name, who, plan)
        self.done["renewed"] += 1

    # -- what must hold -----------------------------------------------------------------------

    async def look(self) -> None:
        """Everything that must hold, at any time."""
        assert await posting.verify(self.db) == []
        assert await ledger.verify(self.db) == []
        async with self.db.reading() as transaction:
            has = await store_posting.balances(transaction)
        assert sum(has.values()) == 0
        for name, who in self.holders.items():
            assert who.shown() == {party.kind: nano for party, nano in has.items()
                                   if party.owner == name and nano}
            assert {each.id: each.left for each in who.credit} == {
                each.id: each.left_nano for each in await grant.listing(self.db, name)
                if each.left_nano}


async def open_walk(directory: Path, seed: int) -> Walk:
    """A new store with holders who have nothing."""
    db = await open_database(directory)
    made = Walk(directory, random.Random(seed), db,
                payments(PaymentsConfig("CNY"), "http://relay.test"))
    for number in range(HOLDERS):
        found = await account.create(db, f"h{number}@example.org", None, NOW_MS)
        made.holders[found.id] = Holder()
    return made
