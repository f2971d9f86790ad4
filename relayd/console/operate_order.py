"""Orders, for who minds the money: all of them, refunds, what does not fit, statements.

Law: a refund takes a reason and a proof of who asks; nothing here changes a balance by itself.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.order import Order, shown, way
from relayd.console.page import options, page, redirect, reply
from relayd.console.route import Route, operators
from relayd.console.visit import Visit
from relayd.control import order, statement, webhook
from relayd.control.order import RefundWish
from relayd.core.conflict import is_own
from relayd.core.currency import minor_text, parse_minor
from relayd.core.errors import RelayError
from relayd.core.order import ORDER_STATES, REFUNDABLE, OrderState
from relayd.core.order import Order as CoreOrder
from relayd.core.refund import Refund as CoreRefund
from relayd.core.refund import RefundState
from relayd.core.timestamp import rfc3339, rfc3339_or_none
from relayd.store.order import OrderFilter

MONEY: Final = operators("finance")
SEE: Final = operators("finance", "owner")
"""The owner sees, and moves nothing."""
PAGE: Final = 100
_EXAMPLE: Final = {"order": "ord_01KDVBXH00000000000000000Z"}


class OrderSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which orders: in this state, of this account, older than this one."""

    state: OrderState | None = None
    account: str | None = None
    before: str | None = None


class OperatedOrder(Order, frozen=True):
    """An order, and whose it is. `trade` is the partner's number of the payment."""

    account: str
    trade: str | None


class Refund(msgspec.Struct, frozen=True):
    """A refund as it stands."""

    id: str
    order: str
    state: RefundState
    amount: str
    asked_at: str
    ended_at: str | None


class RefundOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What shall go back, as a decimal text, and why: words for the audit log."""

    amount: str
    reason: str

    def __repr__(self) -> str:
        return "RefundOrder"


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The message that was looked at."""

    partner: str
    event: str


def operated(found: CoreOrder) -> OperatedOrder:
    """The order for who minds the money."""
    return OperatedOrder(**msgspec.structs.asdict(shown(found)), account=found.account,
                         trade=found.trade)


def returned(found: CoreRefund, currency: str) -> Refund:
    """A refund for programs and templates."""
    return Refund(found.id, found.order, found.state, minor_text(found.amount_minor, currency),
                  rfc3339(found.asked_at_ms),
                  rfc3339_or_none(found.ended_at_ms))


async def _found(visit: Visit) -> list[OperatedOrder]:
    asked = visit.ask(OrderSearch)
    wanted = OrderFilter(asked.account, (asked.state,) if asked.state else (), None, asked.before)
    return [operated(each) for each in await order.listing(visit.db, wanted, PAGE)]


async def _refund(visit: Visit, wish: RefundOrder) -> Refund:
    found = await order.get(visit.db, visit.name("order"))
    amount = parse_minor(wish.amount.strip(), found.currency)
    if amount is None:
        raise RelayError("payment_amount", param="amount")
    made = await order.refund(visit.db, visit.services.payments(), visit.actor,
                              RefundWish(found.id, amount, wish.reason), visit.now_ms)
    return returned(made, found.currency)


async def show_all(visit: Visit) -> web.Response:
    """Orders, alarms, disputes, and what partners' statements say otherwise."""
    checked, differing = await statement.listing(visit.db)
    return page(visit, "money/operate.html", orders=await _found(visit),
                asked=visit.ask(OrderSearch), way=way, alarms=await webhook.alarms(visit.db),
                states=options(visit, "money.state_", ORDER_STATES),
                disputes=await order.disputes(visit.db), checked=checked[:PAGE],
                differing=differing, more=PAGE, may="finance" in visit.actor.roles)


async def show_one(visit: Visit) -> web.Response:
    """One order, its refunds, and the form for another."""
    return await _one_page(visit)


async def _one_page(
    visit: Visit, form: RefundOrder | None = None, error: RelayError | None = None
) -> web.Response:
    found = await order.get(visit.db, visit.name("order"))
    refunds = [returned(each, found.currency)
               for each in await order.refunds(visit.db, found.id)]
    left = minor_text(found.left_minor, found.currency)
    return page(visit, "money/operate_order.html", 200 if error is None else error.status,
                order=operated(found), way=way, refunds=refunds, left=left, error=error,
                fault=error and error.param, form=form or RefundOrder(left, ""),
                may_refund=found.state in REFUNDABLE and "finance" in visit.actor.roles
                and not is_own(visit.actor, found.account))


async def refund(visit: Visit) -> web.Response:
    """Asks for a refund, or shows the form again with what was wrong in it."""
    form = visit.take(RefundOrder)
    try:
        made = await _refund(visit, form)
    except RelayError as error:
        return await _one_page(visit, form, error)
    return redirect(f"/operate/orders/{made.order}")


async def see(visit: Visit) -> web.Response:
    """Takes a message off the list of those that fit nothing."""
    seen = visit.take(Seen)
    await webhook.see(visit.db, visit.actor, seen.partner, seen.event, visit.now_ms)
    return redirect("/operate/orders")


async def give_all(visit: Visit) -> web.Response:
    """Orders, the newest first."""
    return reply(await _found(visit))


async def give_refund(visit: Visit) -> web.Response:
    """A refund, asked for."""
    return reply(await _refund(visit, visit.take(RefundOrder)), 201)


_REFUSED: Final = ("order_not_found", "order_state", "payment_amount", "balance_short",
                   "reason_missing", "invalid_value", "partner_not_found", "partner_failed",
                   "partner_refused", "own_account")
ROUTES: Final = (
    Route("GET", "/operate/orders", show_all, SEE, "Orders and what does not fit",
          asks=OrderSearch),
    Route("GET", "/operate/orders/{order}", show_one, SEE, "An order", example=_EXAMPLE),
    Route("POST", "/operate/orders/{order}/refund", refund, MONEY, "Refund an order",
          takes=RefundOrder, proof=True, example=_EXAMPLE),
    Route("POST", "/operate/alarms", see, MONEY, "A message was looked at", takes=Seen),
    Route("GET", "/api/v1/operate/orders", give_all, SEE, "All orders", asks=OrderSearch,
          gives=list[OperatedOrder]),
    Route("POST", "/api/v1/operate/orders/{order}/refunds", give_refund, MONEY,
          "Refund an order", takes=RefundOrder, gives=Refund, status=201, proof=True,
          errors=_REFUSED, example=_EXAMPLE),
)
