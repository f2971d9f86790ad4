"""One's own money: the balance, topping it up, orders, what moved it.

Law: a payment is made at the partner, whose page is a link away; coming back from there says
nothing, so the partner is asked. Orders are looked up under the account that is signed in.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from relayd.console.page import page, redirect, reply
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.console.wallet import left, signed_decimal
from relayd.control import order, posting
from relayd.control.order import OrderWish
from relayd.control.partner import RETURN_PATH
from relayd.core.currency import minor_text, parse_minor
from relayd.core.errors import RelayError
from relayd.core.network import address_of
from relayd.core.order import Order as CoreOrder
from relayd.core.order import OrderState
from relayd.core.timestamp import rfc3339
from relayd.ops import qr
from relayd.store.order import OrderFilter

SHOWN: Final = 50
PAGE: Final = 100
ON_PHONE: Final = "/h5"
"""Behind a partner's name in the form: to be paid on the telephone that the page is read on."""
_EXAMPLE: Final = {"order": "ord_01KDVBXH00000000000000000Z"}
_OPEN: Final = ("created", "pending", "expired")


class Balance(msgspec.Struct, frozen=True):
    """What there is in one currency, as decimal texts. `paid` was paid for, `given` is credit that
    is never paid out; `returning` and `disputed` are held."""

    currency: str
    paid: str
    given: str
    returning: str
    disputed: str


class Balances(msgspec.Struct, frozen=True):
    """All of it, and how it can be topped up: ways to pay, and the bounds of one order."""

    balances: list[Balance]
    currency: str
    least: str
    most: str
    partners: list[str]


class Order(msgspec.Struct, frozen=True):
    """One order. `page` is where it is paid, while it waits for that."""

    id: str
    partner: str
    state: OrderState
    currency: str
    amount: str
    refunded: str
    created_at: str
    expires_at: str
    paid_at: str | None
    page: str | None


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program asks for. `amount`: a decimal text; with the same `idempotency_key` it is the
    same order."""

    partner: str
    amount: str
    idempotency_key: str | None = None


class OrderQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Orders older than this one."""

    before: str | None = None


class TopUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form. `partner`: a way to pay, as the page offers it."""

    partner: str = ""
    amount: str = ""


def shown(found: CoreOrder) -> Order:
    """The order for programs and templates."""
    return msgspec.convert(order.view(found), Order)


def way(visit: Visit, name: str) -> str:
    """How people know a partner; its own name where it is set up no more."""
    config = visit.services.payments().config.partners.get(name)
    return name if config is None else visit.t(f"money.kind_{config.kind}")


def _payer(visit: Visit) -> str | None:
    """Where the visitor's device is, where that is known."""
    found = address_of(visit.address)
    return None if found is None else str(found)


def _ways(visit: Visit) -> list[tuple[str, str]]:
    """The ways to pay as a form has them, and what they are called."""
    payments = visit.services.payments()
    found = [(name, way(visit, name)) for name in payments.partners]
    if _payer(visit):
        found += [(name + ON_PHONE, visit.t("money.kind_wechat_h5"))
                  for name in payments.partners if payments.config.partners[name].h5]
    return found


async def _balances(visit: Visit) -> Balances:
    payments = visit.services.payments()
    config = payments.config
    found = [Balance(each.currency, *(signed_decimal(nano) for nano in each[1:]))
             for each in await posting.balances(visit.db, visit.account)]
    return Balances(found, config.currency, minor_text(config.top_up_min, config.currency),
                    minor_text(config.top_up_max, config.currency), sorted(payments.partners))


async def _create(visit: Visit, wish: NewOrder, payer: str | None = None) -> CoreOrder:
    payments = visit.services.payments()
    amount = parse_minor(wish.amount.strip(), payments.config.currency)
    if amount is None:
        raise RelayError("payment_amount", param="amount")
    return await order.create(
        visit.db, payments, visit.actor, visit.account,
        OrderWish(wish.partner, amount, wish.idempotency_key, payer), visit.now_ms)


async def _mine(visit: Visit) -> CoreOrder:
    return await order.get(visit.db, visit.name("order"), visit.account)


async def _fresh(visit: Visit) -> CoreOrder:
    """The order as its partner has it now; as it is known where the partner is away."""
    found = await _mine(visit)
    if found.state not in _OPEN:
        return found
    try:
        return await order.refresh(visit.db, visit.services.payments(), found, visit.now_ms)
    except RelayError as error:
        if error.code not in ("partner_failed", "partner_refused"):
            raise
        return found


# pages


async def show_balance(visit: Visit) -> web.Response:
    """The balance, the form to top it up, and the latest orders."""
    return await _balance_page(visit, TopUp())


async def _balance_page(
    visit: Visit, form: TopUp, error: RelayError | None = None
) -> web.Response:
    orders = await order.listing(visit.db, OrderFilter(visit.account), SHOWN)
    ways = _ways(visit)
    return page(visit, "money/balance.html", 200 if error is None else error.status,
                money=await _balances(visit), left=await left(visit, visit.account),
                orders=[shown(each) for each in orders],
                ways=ways, names=dict(ways), form=form, error=error, fault=error and error.param,
                tells=any(name.endswith(ON_PHONE) for name, _ in ways))


async def top_up(visit: Visit) -> web.Response:
    """Makes an order and goes to its page, or shows the form again with what was wrong in it."""
    form = visit.take(TopUp)
    partner = form.partner.removesuffix(ON_PHONE)
    payer = _payer(visit) if partner != form.partner else None
    try:
        if partner != form.partner and payer is None:
            raise RelayError("partner_not_found", param="partner")
        made = await _create(visit, NewOrder(partner, form.amount), payer)
    except RelayError as error:
        return await _balance_page(visit, form, error)
    return redirect(f"/orders/{made.id}")


async def show_order(visit: Visit) -> web.Response:
    """An order, and the way to its payment."""
    found = await _mine(visit)
    refunds = [{"id": each.id, "state": each.state, "at": rfc3339(each.asked_at_ms),
                "amount": minor_text(each.amount_minor, found.currency)}
               for each in await order.refunds(visit.db, found.id)]
    config = visit.services.payments().config.partners.get(found.partner)
    scans = config is not None and config.kind == "wechat" and not found.on_phone
    called = visit.t("money.kind_wechat_h5") if found.on_phone else way(visit, found.partner)
    return page(visit, "money/order.html", order=shown(found), refunds=refunds, scans=scans,
                way=called, phone=found.on_phone)


async def show_code(visit: Visit) -> web.Response:
    """The payment's address as a QR code, while the order waits for it."""
    found = await _mine(visit)
    if found.page is None:
        raise RelayError("order_state")
    return web.Response(body=await qr.drawn(found.page), content_type=qr.MEDIA_TYPE)


async def come_back(visit: Visit) -> web.Response:
    """From the partner's page. Whatever it says there, the partner itself is asked."""
    found = await _fresh(visit)
    return redirect(f"/orders/{found.id}")


async def look_again(visit: Visit) -> web.Response:
    """Asks the partner how the order stands."""
    return await come_back(visit)


# the same for programs


async def give_balance(visit: Visit) -> web.Response:
    """The balances, and the ways to pay."""
    return reply(await _balances(visit))


async def give_orders(visit: Visit) -> web.Response:
    """Orders, the newest first."""
    wanted = OrderFilter(visit.account, before=visit.ask(OrderQuery).before)
    return reply([shown(each) for each in await order.listing(visit.db, wanted, PAGE)])


async def give_order(visit: Visit) -> web.Response:
    """One order, as its partner has it now."""
    return reply(shown(await _fresh(visit)))


async def give_new(visit: Visit) -> web.Response:
    """A new order, or the one that was made with the same key."""
    return reply(shown(await _create(visit, visit.take(NewOrder))), 201)


_CREATING: Final = ("partner_not_found", "payment_amount", "idempotency_mismatch", "rate_limited",
                    "invalid_value", "partner_failed", "partner_refused")
ROUTES: Final = (
    Route("GET", "/balance", show_balance, HOLDER, "The balance"),
    Route("POST", "/balance", top_up, HOLDER, "Top up the balance", takes=TopUp),
    Route("GET", "/orders/{order}", show_order, HOLDER, "An order", example=_EXAMPLE),
    Route("GET", "/orders/{order}/code.svg", show_code, HOLDER, "A payment's QR code",
          example=_EXAMPLE),
    Route("POST", "/orders/{order}/look", look_again, HOLDER, "Ask how an order stands",
          example=_EXAMPLE),
    Route("GET", RETURN_PATH + "{order}", come_back, HOLDER, "Back from a payment partner",
          example=_EXAMPLE),
    Route("GET", "/api/v1/balance", give_balance, HOLDER, "Balances, and ways to pay",
          gives=Balances),
    Route("GET", "/api/v1/orders", give_orders, HOLDER, "One's own orders", asks=OrderQuery,
          gives=list[Order]),
    Route("POST", "/api/v1/orders", give_new, HOLDER, "Top up the balance", takes=NewOrder,
          gives=Order, status=201, errors=_CREATING),
    Route("GET", "/api/v1/orders/{order}", give_order, HOLDER, "One order", gives=Order,
          errors=("order_not_found",), example=_EXAMPLE),
)
