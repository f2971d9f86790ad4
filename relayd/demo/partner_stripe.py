"""The demo's card partner, in Stripe's words: sessions, refunds, daily lines, messages."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson

from relayd.demo.partner_keys import PartnerKeys
from relayd.demo.partner_trade import Book, Line, Returned, Told, Trade

Answer = tuple[int, dict[str, Any]]
_MESSAGES: Final = {"paid": "checkout.session.completed", "expired": "checkout.session.expired",
                    "failed": "checkout.session.async_payment_failed"}
_TYPES: Final = {"payment": "charge", "refund": "refund", "dispute": "adjustment",
                 "dispute_won": "adjustment"}


class StripeFace:
    """What Stripe answers and says. `origin` is where its hosted pages are."""

    def __init__(self, book: Book, keys: PartnerKeys, webhook: str) -> None:
        self._book = book
        self._keys = keys
        self._webhook = webhook
        self._answered: dict[str, tuple[Mapping[str, str], Answer]] = {}

    def is_merchant(self, authorization: str) -> bool:
        """Whether the request has the merchant's key."""
        return hmac.compare_digest(
            authorization.encode(), f"Bearer {self._keys.stripe_key}".encode())

    def post(self, path: str, form: Mapping[str, str], key: str, origin: str) -> Answer:
        """A POST; with the same idempotency key it is answered as before."""
        if key in self._answered:
            before, answer = self._answered[key]
            return answer if before == form else _error(400, "idempotency_error")
        answer = self._session(form, origin) if path == "checkout/sessions" \
            else self._refund(form)
        if key and answer[0] < 500:
            self._answered[key] = (dict(form), answer)
        return answer

    def _session(self, form: Mapping[str, str], origin: str) -> Answer:
        item = "line_items[0][price_data]"
        try:
            told = Told(
                form["client_reference_id"], form[f"{item}[currency]"].upper(),
                int(form[f"{item}[unit_amount]"]), self._webhook, form["success_url"],
                int(form["expires_at"]) * 1000)
        except (KeyError, ValueError):
            return _error(400, "parameter_missing")
        trade = self._book.begin("stripe", told)
        return 200, {**session(trade), "url": f"{origin}/page/{trade.session}"}

    def _refund(self, form: Mapping[str, str]) -> Answer:
        trade = self._book.of_number(form.get("payment_intent", ""))
        amount = form.get("amount", "")
        made = None
        if trade is not None and amount.isdigit():
            made = self._book.refund(trade, form.get("metadata[refund]", ""), int(amount))
        if trade is None or made is None:
            return _error(400, "charge_already_refunded")
        return 200, refund(trade, made)

    def get(self, path: str, query: Mapping[str, str]) -> Answer:
        """A GET of a session, of a payment's refunds, or of a day's balance transactions."""
        if path == "refunds":
            trade = self._book.of_number(query.get("payment_intent", ""))
            made = [] if trade is None else [refund(trade, each) for each in trade.refunds]
            return 200, {"object": "list", "data": made, "has_more": False}
        if path == "balance_transactions":
            start = int(query.get("created[gte]", "0")) * 1000
            lines = [_entry(each, index) for index, each
                     in enumerate(self._book.day("stripe", start))]
            return 200, {"object": "list", "data": lines, "has_more": False}
        if path == "checkout/sessions":
            found = self._book.of_number(query.get("payment_intent", ""))
            return 200, {"object": "list", "has_more": False,
                         "data": [] if found is None else [session(found)]}
        trade = self._book.get(path.removeprefix("checkout/sessions/"))
        return _error(404, "resource_missing") if trade is None else (200, session(trade))

    def message(self, trade: Trade, what: str, made: Returned | None = None
                ) -> tuple[dict[str, str], bytes]:
        """A message, signed: `paid`, `failed`, `expired`, `refunded`, `disputed`, `closed`."""
        name, thing = _MESSAGES.get(what, ""), session(trade)
        if made is not None:
            name, thing = "refund.updated", refund(trade, made)
        elif what in ("disputed", "closed"):
            name = f"charge.dispute.{'created' if what == 'disputed' else 'closed'}"
            thing = _dispute(trade)
        body = orjson.dumps({"id": f"evt_demo_{secrets.token_hex(8)}", "object": "event",
                             "type": name, "livemode": False, "data": {"object": thing}})
        return self.signed(body), body

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers of a message that is sent now."""
        told = str(self._book.now_ms() // 1000)
        mac = hmac.digest(self._keys.webhook_secret.encode(), told.encode() + b"." + body,
                          "sha256").hex()
        return {"Stripe-Signature": f"t={told},v1={mac}", "Content-Type": "application/json"}


def _error(status: int, code: str) -> Answer:
    return status, {"error": {"type": "invalid_request_error", "code": code, "message": code}}


def session(trade: Trade) -> dict[str, Any]:
    """A Checkout session as an object."""
    paid = trade.state == "paid"
    return {"id": trade.session, "object": "checkout.session",
            "client_reference_id": trade.told.order, "currency": trade.told.currency.lower(),
            "amount_total": trade.told.amount, "payment_status": "paid" if paid else "unpaid",
            "status": {"open": "open", "expired": "expired"}.get(trade.state, "complete"),
            "payment_intent": trade.number, "metadata": {"order": trade.told.order}}


def refund(trade: Trade, made: Returned) -> dict[str, Any]:
    """A refund as an object."""
    names = {"order": trade.told.order, "refund": made.asked} if made.asked else {}
    return {"id": made.id, "object": "refund", "amount": made.amount,
            "status": "failed" if made.bounced else "succeeded",
            "currency": trade.told.currency.lower(), "payment_intent": trade.number,
            "metadata": names}


def _dispute(trade: Trade) -> dict[str, Any]:
    assert trade.dispute is not None
    return {"id": trade.dispute.id, "object": "dispute", "amount": trade.told.amount,
            "currency": trade.told.currency.lower(), "payment_intent": trade.number,
            "status": trade.dispute.state}


def _entry(line: Line, index: int) -> dict[str, Any]:
    """A balance transaction."""
    trade = line.trade
    source: dict[str, Any] = {"id": "ch_demo", "object": "charge",
                              "metadata": {"order": trade.told.order}}
    if line.what == "refund":
        source = {"id": line.name, "object": "refund", "metadata": {"refund": line.name}}
    elif line.what != "payment":
        source = {"id": line.name, "object": "dispute"}
    sign = -1 if line.what in ("refund", "dispute") else 1
    return {"id": f"txn_demo_{index}", "object": "balance_transaction",
            "type": _TYPES[line.what], "amount": sign * line.amount,
            "fee": trade.fee if line.what == "payment" else 0,
            "currency": trade.told.currency.lower(), "source": source}
