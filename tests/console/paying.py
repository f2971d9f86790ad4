"""A console with the demo's partners behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from relayd.demo.partner import DemoPartner
from relayd.demo.partner_delivery import Message
from relayd.demo.partner_trade import Trade
from tests.console.conftest import NOW_MS, Console
from tests.console.people import Person, person
from tests.fakes.till import keys


@dataclass
class Shop:
    """Somebody at a console where things can be paid."""

    console: Console
    demo: DemoPartner
    who: Person

    def trade(self) -> Trade:
        """The latest one."""
        return list(self.demo.book.trades.values())[-1]

    async def deliver(self, message: Message, partner: str = "card") -> int:
        """As the partner's server does."""
        message.address = f"{self.console.origin}/pay/webhook/{partner}"
        return await self.demo.delivery.send(message)

    async def pay(self) -> Message:
        assert self.demo.pay(self.trade())
        return self.demo.delivery.messages[-1]


@pytest.fixture
async def shop(console: Console) -> AsyncIterator[Shop]:
    demo = DemoPartner(keys(), "", now_ms=lambda: console.now_ms, by_itself=False)
    await demo.start()
    console.config = replace(console.config, payments=demo.config())
    yield Shop(console, demo, await person(console.db, NOW_MS))
    await demo.stop()
