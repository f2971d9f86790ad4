"""A store, an account, and the demo's partners on a real port: orders as they are made."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientSession

from relayd.control import account, order, webhook
from relayd.control.order import OrderWish, RefundWish
from relayd.control.partner import Payments, payments
from relayd.control.webhook import Heard
from relayd.core.actor import SHELL, Actor
from relayd.core.order import Order
from relayd.core.posting import LedgerAccount
from relayd.demo.partner import DemoPartner
from relayd.demo.partner_delivery import Message
from relayd.demo.partner_keys import PartnerKeys, make_keys
from relayd.demo.partner_trade import Trade
from relayd.store import order as store_order
from relayd.store import posting as store_posting
from relayd.store.db import Database
from relayd.store.posting import Wrong
from tests.fakes.database import new_store

NOW_MS = 1_790_000_000_000
URL = "http://relay.test"
NAMES = {"stripe": "card", "alipay": "alipay", "wechat": "wechat"}


@functools.cache
def keys(name: str = "own") -> PartnerKeys:
    """The same for the whole run, under each name."""
    return make_keys()


@dataclass
class Till:
    """`now_ms` is everybody's clock, and may be moved."""

    db: Database
    holder: str = ""
    now_ms: int = NOW_MS
    demo: DemoPartner = field(init=False)
    payments: Payments = field(init=False)

    async def start(self) -> None:
        self.demo = DemoPartner(keys(), f"{URL}/pay/webhook/card", now_ms=lambda: self.now_ms,
                                by_itself=False)
        await self.demo.start()
        self.payments = payments(self.demo.config(), URL)
        made = await account.create(self.db, "holder@example.org", None, self.now_ms)
        self.holder = made.id

    @property
    def actor(self) -> Actor:
        return Actor(self.holder)

    async def order(self, partner: str = "card", amount: int = 12345, key: str | None = None
                    ) -> Order:
        return await order.create(self.db, self.payments, self.actor, self.holder,
                                  OrderWish(partner, amount, key), self.now_ms)

    async def trade(self, made: Order) -> Trade:
        """The partner's side; Alipay's begins when the payer opens the page."""
        kind = self.payments.config.partners[made.partner].kind
        if kind == "alipay" and made.page is not None:
            async with ClientSession() as http, http.get(made.page) as answer:
                assert answer.status == 200
        found = self.demo.book.of_order(kind, made.id)
        assert found is not None
        return found

    async def paid(self, made: Order) -> tuple[Trade, Message]:
        """Pays it, and gives the message that says so."""
        trade = await self.trade(made)
        assert self.demo.pay(trade)
        return trade, self.demo.delivery.messages[-1]

    async def credited(self, partner: str = "card", amount: int = 12345) -> tuple[Order, Trade]:
        made = await self.order(partner, amount)
        trade, message = await self.paid(made)
        assert (await self.hear(partner, message)).outcome == "credited"
        return await self.look(made), trade

    async def hear(self, partner: str, message: Message) -> Heard:
        """As the console does with what comes to its address."""
        headers, body = message.sign(message.body)
        return await webhook.hear(
            self.db, self.payments, partner,
            ({name.lower(): value for name, value in headers.items()}, body), self.now_ms)

    async def look(self, made: Order) -> Order:
        async with self.db.reading() as transaction:
            return await store_order.get(transaction, made.id)

    async def balance(self, kind: str = "balance") -> int:
        """Nano-units."""
        party = LedgerAccount(kind, self.holder, "CNY")  # type: ignore[arg-type]
        async with self.db.reading() as transaction:
            return await store_posting.balance(transaction, party)

    async def wrong(self) -> list[Wrong]:
        async with self.db.reading() as transaction:
            return await store_posting.wrong(transaction)

    async def refund(self, made: Order, amount: int):  # type: ignore[no-untyped-def]
        return await order.refund(self.db, self.payments, SHELL,
                                  RefundWish(made.id, amount, "as asked"), self.now_ms)


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    db = await new_store(tmp_path / "store", busy_ms=100)
    made = Till(db)
    await made.start()
    yield made
    await made.demo.stop()
    await db.close()
