"""Payment partners: who they are, what they may be told, and what they tell us.

Law: a partner is sent the fields that are declared here for its kind and no other: no name, no
e-mail address, no device, nothing about calls; a network address by one way to pay alone, which
the payer chooses each time and which demands it. Card numbers never come here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from relayd.core.errors import RelayError

PartnerKind = Literal["stripe", "alipay", "wechat"]
EventKind = Literal["paid", "failed", "expired", "refunded", "refund_failed", "disputed",
                    "dispute_won", "dispute_lost", "ignored"]
PARTNER_KINDS: Final[tuple[PartnerKind, ...]] = ("stripe", "alipay", "wechat")
CURRENCIES: Final[dict[PartnerKind, frozenset[str] | None]] = {
    "stripe": None, "alipay": frozenset({"CNY"}), "wechat": frozenset({"CNY"})}
"""The currencies that a kind of partner takes; None: all of core/currency.py."""

DECLARED: Final[dict[PartnerKind, frozenset[str]]] = {
    "stripe": frozenset({
        "mode", "success_url", "cancel_url", "client_reference_id", "expires_at", "locale",
        "line_items[0][quantity]", "line_items[0][price_data][currency]",
        "line_items[0][price_data][unit_amount]",
        "line_items[0][price_data][product_data][name]",
        "payment_intent_data[metadata][order]", "metadata[order]", "metadata[refund]",
        "payment_intent", "amount", "limit", "starting_after", "created[gte]", "created[lt]",
        "expand[0]"}),
    "alipay": frozenset({
        "app_id", "method", "format", "charset", "sign_type", "sign", "timestamp", "version",
        "notify_url", "return_url", "biz_content", "out_trade_no", "total_amount", "subject",
        "product_code", "time_expire", "refund_amount", "out_request_no", "query_options",
        "bill_type", "bill_date"}),
    "wechat": frozenset({
        "appid", "mchid", "description", "out_trade_no", "notify_url", "time_expire",
        "amount.total", "amount.currency", "amount.refund", "out_refund_no", "transaction_id",
        "bill_date", "bill_type", "tar_type", "token"}),
}
"""Every field that may leave, by kind of partner; the register of processors shows it."""
ON_WISH: Final[dict[PartnerKind, frozenset[str]]] = {
    "wechat": frozenset({"scene_info.payer_client_ip", "scene_info.h5_info.type"})}
"""Fields that leave only where the payer chose the way to pay that demands them."""


@dataclass(frozen=True, slots=True)
class PartnerEvent:
    """What a partner says happened, in our own words.

    `event` is the partner's id of the message and comes with every repetition of it. `reference`
    is a refund's or a dispute's own name: ours where we asked for it, else the partner's.
    `session` is the attempt to pay, where a message names it. `waits`: the payer has done all,
    and the money takes days, as a bank's debit does.
    """

    partner: str
    event: str
    kind: EventKind
    order: str
    currency: str = ""
    amount_minor: int = 0
    trade: str | None = None
    reference: str = ""
    session: str | None = None
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Checkout:
    """An attempt to pay, as the partner opened it: its name, and the page where it goes on."""

    session: str
    page: str


def declared(kind: PartnerKind, names: Iterable[str], *, wished: bool = False) -> None:
    """The gate before each request to a partner: raises RelayError `undeclared_field`.

    `wished`: the payer chose what demands more.
    """
    known = DECLARED[kind] | ON_WISH.get(kind, frozenset()) if wished else DECLARED[kind]
    for name in names:
        if name not in known:
            raise RelayError("undeclared_field", param=name)
