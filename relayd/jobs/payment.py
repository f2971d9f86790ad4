"""Payments beside their messages: open orders are asked about, refunds asked for again, statements
held against the ledger.

Law: no message is needed for money to arrive: what was paid is found here within the hour. A
partner that cannot be reached holds up nothing but its own orders.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from relayd.control import order, statement, webhook
from relayd.control.partner import Partner, Payments
from relayd.core.actor import SYSTEM
from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.refund import Refund
from relayd.ops.clock import unix_ms
from relayd.ops.logging import Logger
from relayd.ops.rounds import Rounds
from relayd.store.db import Database

EVERY_SECONDS: Final = 30.0
PATIENCE_MS: Final = 60_000
"""An order is left alone so long: its message comes within seconds."""
SHARE: Final = 4
"""An order is asked about when a quarter of its age has passed since it was last."""
STATEMENT_EVERY_MS: Final = 3_600_000
BATCH: Final = 200
"""Orders or refunds that are read at once; all that wait are: one partner's may be any number."""
T = TypeVar("T")


async def _all(read: Callable[[int, T | None], Awaitable[list[T]]]) -> list[T]:
    found: list[T] = []
    while True:
        page = await read(BATCH, found[-1] if found else None)
        found += page
        if len(page) < BATCH:
            return found


class PaymentJob(Rounds):
    """Goes round every `every_seconds`. `failures` counts partners that could not be reached,
    `alarms` messages that fit nothing and nobody has looked at."""

    def __init__(
        self, db: Database, payments: Callable[[], Payments], *,
        every_seconds: float = EVERY_SECONDS, now_ms: Callable[[], int] = unix_ms,
        log: Logger | None = None,
    ) -> None:
        super().__init__("payment_round_failed", every_seconds, every_seconds, log)
        self._db = db
        self._payments = payments
        self._now_ms = now_ms
        self._asked_ms: dict[str, int] = {}
        self._statements_ms = 0
        self._unread: set[tuple[str, str]] = set()
        self.alarms = 0

    async def _look(self) -> None:
        """Orders, refunds and, once an hour, statements."""
        payments, now_ms = self._payments(), self._now_ms()
        away: set[str] = set()
        self.alarms = len(await webhook.alarms(self._db))
        orders = await _all(partial(order.waiting, self._db, now_ms - PATIENCE_MS))
        refunds = await _all(partial(order.pending_refunds, self._db))
        known = {each.id for each in orders} | {each.id for each in refunds}
        self._asked_ms = {name: at for name, at in self._asked_ms.items() if name in known}
        await self._ask_orders(payments, orders, away)
        await self._ask_refunds(payments, refunds, away)
        if not 0 <= now_ms - self._statements_ms < STATEMENT_EVERY_MS:
            self._statements_ms = now_ms
            for partner in payments.partners.values():
                await self._try(away, partner.name, self._check(partner))

    async def _ask_orders(self, payments: Payments, orders: list[Order], away: set[str]) -> None:
        for waiting in orders:
            if waiting.partner not in away and self._is_due(
                    waiting.id, waiting.created_at_ms, waiting.expires_at_ms):
                await self._try(away, waiting.partner, self._refresh(payments, waiting))

    async def _ask_refunds(
        self, payments: Payments, refunds: list[Refund], away: set[str]
    ) -> None:
        for pending in refunds:
            partner = (await order.get(self._db, pending.order)).partner
            if partner not in away and self._is_due(pending.id, pending.asked_at_ms, None):
                await self._try(away, partner, self._ask_again(payments, pending))

    def _is_due(self, name: str, since_ms: int, until_ms: int | None) -> bool:
        """Whether enough of its life has passed since it was last asked about."""
        now_ms = self._now_ms()
        last_ms = self._asked_ms.get(name, since_ms)
        ends = until_ms is not None and last_ms < until_ms <= now_ms
        # asked later than now: by a clock that was ahead
        if not ends and 0 <= (now_ms - last_ms) * SHARE < now_ms - since_ms:
            return False
        self._asked_ms[name] = now_ms
        return True

    async def _try(self, away: set[str], partner: str, work: Awaitable[None]) -> None:
        try:
            await work
        except RelayError as error:
            away.add(partner)
            self._failed(error)

    async def _refresh(self, payments: Payments, waiting: Order) -> None:
        await order.refresh(self._db, payments, waiting, self._now_ms())

    async def _ask_again(self, payments: Payments, pending: Refund) -> None:
        await order.ask_again(self._db, payments, pending, self._now_ms())

    async def _check(self, partner: Partner) -> None:
        missing = await statement.missing(self._db, partner, self._now_ms())
        # a day that could not be read keeps nobody from the others: it comes last
        for day in sorted(missing, key=lambda day: (partner.name, day) in self._unread):
            self._unread.add((partner.name, day))
            found = await statement.check(self._db, partner, day, SYSTEM, self._now_ms())
            self._unread.discard((partner.name, day))
            if found:
                self._log.error("statement_differs", part=partner.adapter.kind, count=len(found))
