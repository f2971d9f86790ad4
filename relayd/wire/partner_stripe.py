"""Stripe: Checkout's hosted page, signed webhooks, refunds, disputes, balance transactions.

Law: a message is believed for its HMAC alone, over the raw body, no older than the window; a
secret that is empty verifies nothing. The version of the API is pinned.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.partner import Checkout, EventKind, PartnerEvent, PartnerKind
from relayd.core.refund import Refund
from relayd.core.statement import DUE, LineKind, StatementLine
from relayd.wire.partner import (
    OTHER_SHAPE, SUBJECT, Acknowledgement, Addresses, Moment, PartnerReply, PartnerRequest,
    as_minor, as_name, as_text, read_json,
)

VERSION: Final = "2026-10-28.endive"
WINDOW_SECONDS: Final = 300
PAGE_LINES: Final = 100
PAGES_MAX: Final = 1000
_DAY_SECONDS: Final = 86_400
_SLACK_SECONDS: Final = 60
"""Stripe refuses sessions that live for less than 30 minutes or more than a day, by its clock."""
_TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_FORM: Final = "application/x-www-form-urlencoded"
_LINES: Final[dict[str, tuple[LineKind, LineKind]]] = {
    "charge": ("payment", "other"), "payment": ("payment", "other"),
    "refund": ("refund_back", "refund"), "payment_refund": ("refund_back", "refund"),
    "refund_failure": ("refund_back", "other"),
    "adjustment": ("other", "other"),
    "payout": ("pay_in", "payout"), "payout_cancel": ("pay_in", "payout"),
    "payout_failure": ("pay_in", "payout"),
    "topup": ("pay_in", "payout"), "topup_reversal": ("pay_in", "payout"),
    "stripe_fee": ("fee", "fee"), "stripe_fx_fee": ("fee", "fee"), "tax_fee": ("fee", "fee"),
    "reserve_transaction": ("held", "held"), "reserved_funds": ("held", "held"),
    "reserve_hold": ("held", "held"), "reserve_release": ("held", "held"),
    "payment_network_reserve_hold": ("held", "held"),
    "payment_network_reserve_release": ("held", "held"),
    "payout_minimum_balance_hold": ("held", "held"),
    "payout_minimum_balance_release": ("held", "held")}
"""What a balance transaction is where it adds to the balance, and where it takes from it."""
_SESSIONS: Final[dict[str, EventKind]] = {
    "checkout.session.async_payment_failed": "failed", "checkout.session.expired": "expired"}
_REFUNDS: Final[dict[str, EventKind]] = {
    "succeeded": "refunded", "failed": "refund_failed", "canceled": "refund_failed"}
_REFUND_EVENTS: Final = frozenset({
    "refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
_DISPUTES: Final[dict[tuple[str, str], EventKind]] = {
    ("charge.dispute.created", "needs_response"): "disputed",
    ("charge.dispute.created", "under_review"): "disputed",
    # an inquiry, which takes nothing, became a dispute: there is no second `created`
    ("charge.dispute.funds_withdrawn", "needs_response"): "disputed",
    ("charge.dispute.funds_withdrawn", "under_review"): "disputed",
    # settled by a rule of the account's: nobody argues about what was taken, if anything was
    ("charge.dispute.funds_withdrawn", "prevented"): "disputed",
    ("charge.dispute.closed", "won"): "dispute_won",
    ("charge.dispute.closed", "lost"): "dispute_lost",
}
_PREVENTED: Final = ("charge.dispute.closed", "prevented")


class Stripe:
    """A Stripe account. `secrets` are those of the webhook endpoint: two while one is replaced."""

    kind: Final[PartnerKind] = "stripe"
    acknowledgement: Final = Acknowledgement(200, "text/plain", b"")

    def __init__(self, name: str, api_key: str, secrets: tuple[str, ...]) -> None:
        self._name = name
        self._api_key = api_key
        self._secrets = tuple(secret for secret in secrets if secret)

    def checkout(self, order: Order, addresses: Addresses, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, Checkout]:
        """A session of the hosted page."""
        item = "line_items[0]"
        reply = yield self._post("/v1/checkout/sessions", order.id, {
            "mode": "payment",
            "success_url": addresses.returned,
            "cancel_url": addresses.cancelled,
            "client_reference_id": order.id,
            "expires_at": str(min(order.expires_at_ms // 1000 + _SLACK_SECONDS,
                                  order.created_at_ms // 1000 + _DAY_SECONDS - _SLACK_SECONDS)),
            f"{item}[quantity]": "1",
            f"{item}[price_data][currency]": order.currency.lower(),
            f"{item}[price_data][unit_amount]": str(order.amount_minor),
            f"{item}[price_data][product_data][name]": SUBJECT,
            "payment_intent_data[metadata][order]": order.id,
            "metadata[order]": order.id,
        })
        session = read_json(reply)
        try:
            return Checkout(as_text(session["id"]), as_text(session["url"]))
        except OTHER_SHAPE:
            raise RelayError("partner_failed") from None

    def status(self, order: Order, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """How the session stands."""
        if order.session is None:
            return PartnerEvent(self._name, "", "ignored", order.id)
        reply = yield self._get(f"/v1/checkout/sessions/{quote(order.session, safe='')}", {})
        session = read_json(reply)
        if session.get("client_reference_id") != order.id:
            raise RelayError("partner_failed")
        kind: EventKind = "ignored"
        if session.get("payment_status") == "paid":
            kind = "paid"
        elif session.get("status") == "expired":
            kind = "expired"
        waits = session.get("status") == "complete" and session.get("payment_status") == "unpaid"
        return replace(self._about(session, "", kind, order=order.id), waits=waits)

    def refund(self, order: Order, refund: Refund, addresses: Addresses, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """A refund of the payment; asked again with the same id it is the same one.

        Stripe keeps a key for a day, and answers it with what it said the first time: whoever asks
        again looks first, else it would hear of no end, and pay twice on the second day.
        """
        if moment.now_ms > refund.asked_at_ms:
            said = yield from self._found(order, refund.id)
            if said is not None:
                return said
        reply = yield self._post("/v1/refunds", refund.id, {
            "payment_intent": order.trade or "",
            "amount": str(refund.amount_minor),
            "metadata[order]": order.id,
            "metadata[refund]": refund.id,
        })
        if reply.status == 400:
            # the charge cannot be refunded (any more); anything else may be tried again
            return PartnerEvent(self._name, "", "refund_failed", order.id, reference=refund.id)
        return self._about_refund(read_json(reply), "")

    def refund_status(self, order: Order, reference: str, moment: Moment
                      ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """How one refund of the payment stands."""
        said = yield from self._found(order, reference)
        return said or PartnerEvent(self._name, "", "ignored", order.id, reference=reference)

    def _found(self, order: Order, reference: str
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent | None]:
        """One refund of the payment, None where Stripe has none of this name."""
        wanted = {"payment_intent": order.trade or "", "limit": str(PAGE_LINES)}
        for _ in range(PAGES_MAX):
            page = read_json((yield self._get("/v1/refunds", wanted)))
            try:
                said = {each.reference: each for each in (
                    self._about_refund(each, "") for each in reversed(page["data"]))}
                if reference in said or not page.get("has_more"):
                    return said.get(reference)
                wanted["starting_after"] = as_text(page["data"][-1]["id"])
            except OTHER_SHAPE:
                raise RelayError("partner_failed") from None
        raise RelayError("partner_failed")

    def order_of(self, trade: str, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, str]:
        """Refunds and disputes name the payment alone, whose session names the order."""
        reply = yield self._get("/v1/checkout/sessions", {"payment_intent": trade, "limit": "1"})
        try:
            found = read_json(reply)["data"]
            return (as_name(found[0].get("client_reference_id")) or "") if found else ""
        except OTHER_SHAPE:
            raise RelayError("partner_failed") from None

    def statement(self, day: str, moment: Moment
                  ) -> Generator[PartnerRequest, PartnerReply, list[StatementLine]]:
        """The balance transactions of a day of UTC."""
        start = self.day_start_ms(day) // 1000
        wanted = {"created[gte]": str(start), "created[lt]": str(start + _DAY_SECONDS),
                  "limit": str(PAGE_LINES), "expand[0]": "data.source"}
        lines: list[StatementLine] = []
        for _ in range(PAGES_MAX):
            page = read_json((yield self._get("/v1/balance_transactions", wanted)))
            try:
                for entry in page["data"]:
                    lines += _lines(entry)
                if not page.get("has_more"):
                    return lines
                wanted["starting_after"] = as_text(page["data"][-1]["id"])
            except OTHER_SHAPE:
                raise RelayError("partner_failed") from None
        raise RelayError("partner_failed")

    def day_start_ms(self, day: str) -> int:
        """Days are UTC's."""
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1000

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> PartnerEvent:
        """A message: one of the types below, or `ignored`."""
        self._verify(headers.get("stripe-signature", ""), body, now_ms)
        try:
            event = orjson.loads(body)
            return self._read(as_text(event["id"]), as_text(event["type"]),
                              event["data"]["object"])
        except OTHER_SHAPE:
            raise RelayError("webhook_unreadable") from None

    def _verify(self, signature: str, body: bytes, now_ms: int) -> None:
        parts = [part.partition("=") for part in signature.split(",")]
        times = [value for name, _, value in parts if name.strip() == "t"]
        given = [value for name, _, value in parts if name.strip() == "v1"]
        if len(times) != 1 or not _TIME.fullmatch(times[0]):
            raise RelayError("webhook_forged")
        text = times[0].encode() + b"." + body
        # every pair is compared, so that time tells nothing about which one fits
        fits = [hmac.compare_digest(
            hmac.digest(secret.encode(), text, "sha256").hex().encode(),
            each.encode("utf-8", "replace"))
            for secret in self._secrets for each in given]
        if not any(fits):
            raise RelayError("webhook_forged")
        if abs(now_ms // 1000 - int(times[0])) > WINDOW_SECONDS:
            raise RelayError("webhook_stale")

    def _read(self, event: str, name: str, thing: dict[str, Any]) -> PartnerEvent:
        if name.startswith("checkout.session."):
            kind = _SESSIONS.get(name, "ignored")
            if kind == "ignored" and thing["payment_status"] == "paid":
                kind = "paid"
            return self._about(thing, event, kind)
        if name in _REFUND_EVENTS:
            return self._about_refund(thing, event)
        if name.startswith("charge.dispute."):
            said = (name, thing["status"])
            kind = _DISPUTES.get(said, "ignored")
            if said == _PREVENTED and thing.get("balance_transactions"):
                kind = "dispute_lost"
            return PartnerEvent(
                self._name, event, kind, "",
                as_text(thing["currency"]).upper(), as_minor(thing["amount"]),
                as_name(thing["payment_intent"]), as_text(thing["id"]))
        return PartnerEvent(self._name, event, "ignored", "")

    def _about(self, session: dict[str, Any], event: str, kind: EventKind, *, order: str = ""
               ) -> PartnerEvent:
        try:
            return PartnerEvent(
                self._name, event, kind,
                order or as_name(session.get("client_reference_id")) or "",
                (as_name(session.get("currency")) or "").upper(),
                as_minor(session.get("amount_total")), as_name(session.get("payment_intent")),
                session=as_name(session.get("id")))
        except OTHER_SHAPE:
            raise RelayError("webhook_unreadable" if event else "partner_failed") from None

    def _about_refund(self, refund: dict[str, Any], event: str) -> PartnerEvent:
        try:
            names = refund.get("metadata") or {}
            return PartnerEvent(
                self._name, event, _REFUNDS.get(refund["status"], "ignored"),
                as_name(names.get("order")) or "", as_text(refund["currency"]).upper(),
                as_minor(refund["amount"]), as_name(refund["payment_intent"]),
                as_name(names.get("refund")) or as_text(refund["id"]))
        except OTHER_SHAPE:
            raise RelayError("webhook_unreadable" if event else "partner_failed") from None

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._api_key}", "stripe-version": VERSION}

    def _post(self, path: str, key: str, fields: dict[str, str]) -> PartnerRequest:
        return PartnerRequest(
            "POST", path, tuple(fields),
            {**self._headers(), "content-type": _FORM, "idempotency-key": key},
            urlencode(fields).encode())

    def _get(self, path: str, query: dict[str, str]) -> PartnerRequest:
        target = f"{path}?{urlencode(query)}" if query else path
        return PartnerRequest("GET", target, tuple(query), self._headers())


def _lines(entry: dict[str, Any]) -> list[StatementLine]:
    """A balance transaction as a line; amounts have signs there, and none here.

    Where Stripe settles in another currency than was paid, the transaction has the one and what it
    is about the other: that is what the ledger has. The fee stays one of the currency that it was
    taken in, as a line of its own.
    """
    line, paid = _line(entry), entry["source"]
    if line.kind not in DUE or not isinstance(paid, dict) or not paid.get("currency"):
        return [line]
    currency = as_text(paid["currency"]).upper()
    if currency == line.currency:
        return [line]
    found = [line._replace(
        currency=currency, amount_minor=abs(as_minor(paid["amount"])), fee_minor=0)]
    if line.fee_minor:
        found.append(StatementLine("fee", as_text(entry["id"]), line.currency,
                                   max(line.fee_minor, 0), min(line.fee_minor, 0)))
    return found


def _line(entry: dict[str, Any]) -> StatementLine:
    name, amount, fee = as_text(entry["id"]), as_minor(entry["amount"]), as_minor(entry["fee"])
    currency = as_text(entry["currency"]).upper()
    kind, reference = _about_what(entry, name, amount)
    if kind == "other":
        return StatementLine(
            kind, f"{as_text(entry['type'])}:{name}", currency, abs(amount), fee)
    if kind == "fee":
        return StatementLine(kind, name, currency, max(-amount, 0), fee - max(amount, 0))
    return StatementLine(kind, as_text(reference), currency, abs(amount), fee)


def _about_what(entry: dict[str, Any], name: str, amount: int) -> tuple[LineKind, str]:
    """A balance transaction's kind, and what it is about."""
    source = entry["source"] if isinstance(entry["source"], dict) else {}
    names = source.get("metadata") or {}
    kind = _LINES.get(entry["type"], ("other", "other"))[amount < 0]
    if not amount:
        kind = "fee"  # of a dispute, say, that has a line of its own for what it takes
    elif source.get("object") == "dispute":
        return ("dispute" if amount < 0 else "dispute_won"), source["id"]
    elif kind == "payment":
        return kind, names.get("order") or name
    elif kind in ("refund", "refund_back"):
        return kind, names.get("refund") or source.get("id") or name
    return kind, name
