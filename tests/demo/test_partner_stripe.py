"""The demo's card partner signs and speaks as Stripe: its own library reads it."""

from __future__ import annotations

import stripe

from relayd.demo.partner_keys import PartnerKeys
from relayd.demo.partner_stripe import StripeFace, refund, session
from relayd.demo.partner_trade import Book
from tests.fakes.till import keys

FORM = {"client_reference_id": "ord_1", "line_items[0][price_data][currency]": "cny",
        "line_items[0][price_data][unit_amount]": "1000", "success_url": "http://x.test/b",
        "expires_at": "99999"}


def face() -> tuple[StripeFace, Book, PartnerKeys]:
    book = Book(lambda: 1_000_000)
    return StripeFace(book, keys(), "http://x.test/w"), book, keys()


def test_the_library_reads_its_messages() -> None:
    made, book, own = face()
    status, said = made.post("checkout/sessions", FORM, "k", "http://p.test")
    assert status == 200 and said["url"] == f"http://p.test/page/{said['id']}"
    trade = book.trades[said["id"]]
    book.pay(trade)
    for what, name in (("paid", "checkout.session.completed"),
                       ("expired", "checkout.session.expired")):
        headers, body = made.message(trade, what)
        event = stripe.Webhook.construct_event(
            body, headers["Stripe-Signature"], own.webhook_secret, tolerance=10 ** 10)
        assert event.type == name and event.data.object["payment_status"] == "paid"
    book.dispute(trade)
    _, body = made.message(trade, "disputed")
    assert b"charge.dispute.created" in body
    back = book.refund(trade, "r", 5)
    assert back is not None and refund(trade, back)["metadata"]["refund"] == "r"
    assert session(trade)["payment_intent"] == trade.number


def test_the_same_key_is_answered_the_same() -> None:
    made, book, own = face()
    first = made.post("checkout/sessions", FORM, "k", "http://p.test")
    assert made.post("checkout/sessions", FORM, "k", "http://p.test") == first
    assert made.post("checkout/sessions", {**FORM, "expires_at": "1"}, "k", "")[0] == 400
    assert made.post("checkout/sessions", {}, "l", "")[0] == 400
    assert made.post("refunds", {"payment_intent": "pi_0", "amount": "1"}, "m", "")[0] == 400
    assert made.get("checkout/sessions/cs_0", {})[0] == 404
    assert made.is_merchant(f"Bearer {own.stripe_key}") and not made.is_merchant("Bearer x")
