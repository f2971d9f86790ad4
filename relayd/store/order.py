"""Orders, their refunds and disputes as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from relayd.core.dispute import Dispute
from relayd.core.errors import RelayError
from relayd.core.order import Order, OrderState
from relayd.core.refund import Refund
from relayd.store.transaction import Transaction

_COLUMNS: Final = (
    "id", "account_id", "partner", "currency", "amount_minor", "state", "created_at_ms",
    "expires_at_ms", "session", "page", "trade", "paid_at_ms", "refunded_minor")
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM orders"
_CHANGING: Final = ("state", "session", "page", "trade", "paid_at_ms", "refunded_minor")
_REFUND: Final = "SELECT id, order_id, amount_minor, state, asked_at_ms, ended_at_ms FROM refunds"
_DISPUTE: Final = (
    "SELECT id, order_id, amount_minor, state, opened_at_ms, closed_at_ms FROM disputes")


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders are wanted; `before`: those that are older than this id."""

    account: str | None = None
    states: tuple[OrderState, ...] = ()
    partner: str | None = None
    before: str | None = None

    def conditions(self) -> tuple[str, list[Any]]:
        """SQL that is true for them, and its values."""
        parts, values = ["TRUE"], []
        for column, value in (("account_id = ?", self.account), ("partner = ?", self.partner),
                              ("id < ?", self.before)):
            if value is not None:
                parts.append(column)
                values.append(value)
        if self.states:
            parts.append(f"state IN ({', '.join('?' * len(self.states))})")
            values += self.states
        return " AND ".join(parts), values


async def insert(transaction: Transaction, order: Order, client_key: bytes | None,
                 asked: bytes | None) -> None:
    """Add an order, with the keyed hashes of the client's key and of what was asked with it."""
    columns = (*_COLUMNS, "client_key", "asked")
    await transaction.run(
        f"INSERT INTO orders ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
        (order.id, order.account, order.partner, order.currency, order.amount_minor, order.state,
         order.created_at_ms, order.expires_at_ms, order.session, order.page, order.trade,
         order.paid_at_ms, order.refunded_minor, client_key, asked))


async def update(transaction: Transaction, order: Order) -> None:
    """Write what may change of the order with this id."""
    await transaction.run(
        f"UPDATE orders SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE id = ?",
        (*(getattr(order, name) for name in _CHANGING), order.id))


async def find(transaction: Transaction, order_id: str) -> Order | None:
    """The order with this id, or None."""
    row = await transaction.row(f"{_SELECT} WHERE id = ?", (order_id,))
    return None if row is None else Order(*row)


async def get(transaction: Transaction, order_id: str) -> Order:
    """The same; raises RelayError `order_not_found` where there is none."""
    found = await find(transaction, order_id)
    if found is None:
        raise RelayError("order_not_found", param="order")
    return found


async def by_client_key(
    transaction: Transaction, account_id: str, client_key: bytes
) -> tuple[Order, bytes] | None:
    """The account's order that was made with this key, and the hash of what was asked."""
    row = await transaction.row(
        f"SELECT {', '.join(_COLUMNS)}, asked FROM orders WHERE account_id = ? AND client_key = ?",
        (account_id, client_key))
    return None if row is None else (Order(*row[:-1]), row[-1])


async def by_trade(transaction: Transaction, partner: str, trade: str) -> Order | None:
    """The order that this payment of a partner paid, or None."""
    row = await transaction.row(f"{_SELECT} WHERE partner = ? AND trade = ?", (partner, trade))
    return None if row is None else Order(*row)


async def listing(transaction: Transaction, wanted: OrderFilter, most: int) -> list[Order]:
    """The newest of the wanted orders."""
    condition, values = wanted.conditions()
    rows = await transaction.rows(
        f"{_SELECT} WHERE {condition} ORDER BY id DESC LIMIT ?", (*values, most))
    return [Order(*row) for row in rows]


async def open_ones(
    transaction: Transaction, until_ms: int, most: int, after_id: str = ""
) -> list[Order]:
    """Orders that wait for their payment and were made before this moment, oldest first, from
    behind an id."""
    rows = await transaction.rows(
        f"{_SELECT} WHERE state IN ('created', 'pending') AND created_at_ms < ? AND id > ?"
        " ORDER BY id LIMIT ?", (until_ms, after_id, most))
    return [Order(*row) for row in rows]


async def save_refund(transaction: Transaction, refund: Refund) -> None:
    """Add a refund, or write the state of the one with this id."""
    await transaction.run(
        "INSERT INTO refunds (id, order_id, amount_minor, state, asked_at_ms, ended_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
        " ended_at_ms = excluded.ended_at_ms",
        (refund.id, refund.order, refund.amount_minor, refund.state, refund.asked_at_ms,
         refund.ended_at_ms))


async def find_refund(transaction: Transaction, refund_id: str, order_id: str) -> Refund | None:
    """The refund with this id, of this order."""
    row = await transaction.row(
        f"{_REFUND} WHERE id = ? AND order_id = ?", (refund_id, order_id))
    return None if row is None else Refund(*row)


async def is_refund_of_another(
    transaction: Transaction, refund_id: str, order_id: str
) -> bool:
    """Whether a refund of another order has this id."""
    return await transaction.row("SELECT 1 FROM refunds WHERE id = ? AND order_id <> ?",
                                 (refund_id, order_id)) is not None


async def refunds(transaction: Transaction, order_id: str) -> list[Refund]:
    """All refunds of an order, oldest first."""
    rows = await transaction.rows(
        f"{_REFUND} WHERE order_id = ? ORDER BY asked_at_ms, id", (order_id,))
    return [Refund(*row) for row in rows]


async def pending_refunds(
    transaction: Transaction, most: int, after: tuple[int, str] = (-1, "")
) -> list[Refund]:
    """Refunds that the partner has not ended, oldest first, from behind one that was asked for
    then and has this id."""
    rows = await transaction.rows(
        f"{_REFUND} WHERE state = 'pending' AND (asked_at_ms, id) > (?, ?)"
        " ORDER BY asked_at_ms, id LIMIT ?", (*after, most))
    return [Refund(*row) for row in rows]


async def save_dispute(transaction: Transaction, dispute: Dispute) -> None:
    """Add a dispute, or write the state of the one with this id."""
    await transaction.run(
        "INSERT INTO disputes (id, order_id, amount_minor, state, opened_at_ms, closed_at_ms)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
        " closed_at_ms = excluded.closed_at_ms",
        (dispute.id, dispute.order, dispute.amount_minor, dispute.state, dispute.opened_at_ms,
         dispute.closed_at_ms))


async def find_dispute(transaction: Transaction, dispute_id: str, order_id: str
                       ) -> Dispute | None:
    """The dispute with this id, of this order."""
    row = await transaction.row(
        f"{_DISPUTE} WHERE id = ? AND order_id = ?", (dispute_id, order_id))
    return None if row is None else Dispute(*row)


async def disputes(transaction: Transaction, most: int) -> list[Dispute]:
    """The newest disputes."""
    rows = await transaction.rows(
        f"{_DISPUTE} ORDER BY opened_at_ms DESC, id DESC LIMIT ?", (most,))
    return [Dispute(*row) for row in rows]
