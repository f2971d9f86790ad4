"""Stripe, held against its own library: messages, and the shapes of objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest
import stripe

from relayd.core.errors import RelayError
from relayd.core.refund import Refund
from relayd.core.statement import StatementLine
from relayd.wire.partner import PartnerReply
from relayd.wire.partner_stripe import VERSION, WINDOW_SECONDS
from tests.fakes import partners
from tests.fakes.partners import ADDRESSES, MOMENT, NOW_MS, ORDER, STRIPE_SECRET, json_reply, talk

REFUND = Refund("rf_1", ORDER.id, 500, "pending", NOW_MS)
SESSION = {"id": "cs_test_1", "object": "checkout.session", "client_reference_id": ORDER.id,
           "amount_total": 12345, "currency": "cny", "payment_status": "paid",
           "status": "complete", "payment_intent": "pi_1", "url": None}


def signed(content: object, secret: str = STRIPE_SECRET, at_ms: int = NOW_MS
           ) -> tuple[dict[str, str], bytes]:
    """As Stripe's own library signs a message."""
    body = orjson.dumps(content)
    header = stripe.WebhookSignature.generate_signature_header(
        body.decode(), secret, at_ms // 1000)
    return {"stripe-signature": header}, body


def message(name: str, thing: dict[str, Any], event: str = "evt_1") -> dict[str, Any]:
    return {"id": event, "object": "event", "type": name, "data": {"object": thing}}


def read(name: str, thing: dict[str, Any]) -> Any:
    headers, body = signed(message(name, thing))
    return partners.stripe().webhook(headers, body, NOW_MS)


def test_the_pinned_version_is_that_of_the_library() -> None:
    assert VERSION == stripe.api_version


def test_a_checkout() -> None:
    conversation = partners.stripe().checkout(ORDER, ADDRESSES, MOMENT)
    [request], opened = talk(conversation, json_reply({"id": "cs_1", "url": "https://c.test/1"}))
    assert (opened.session, opened.page) == ("cs_1", "https://c.test/1")
    assert (request.method, request.target) == ("POST", "/v1/checkout/sessions")
    assert request.headers["idempotency-key"] == ORDER.id
    assert request.headers["stripe-version"] == VERSION
    fields = {name: value for name, [value] in parse_qs(request.body.decode()).items()}
    assert set(fields) == set(request.fields)
    assert fields["line_items[0][price_data][unit_amount]"] == "12345"
    assert fields["line_items[0][price_data][currency]"] == "cny"
    assert fields["mode"] == "payment" and fields["client_reference_id"] == ORDER.id
    # at least half an hour from when Stripe reads it
    assert int(fields["expires_at"]) >= NOW_MS // 1000 + 1800 + 30


def test_a_session_lives_no_longer_than_a_day() -> None:
    """`order_minutes` may be 1440, which is as long as Stripe takes."""
    long = replace(ORDER, created_at_ms=NOW_MS, expires_at_ms=NOW_MS + 1440 * 60_000)
    request = next(partners.stripe().checkout(long, ADDRESSES, MOMENT))
    [expires] = parse_qs(request.body.decode())["expires_at"]
    assert NOW_MS // 1000 + 86_000 < int(expires) <= NOW_MS // 1000 + 86_400 - 30


@pytest.mark.parametrize("change, kind", [
    ({}, "paid"),
    ({"payment_status": "unpaid", "status": "open"}, "ignored"),
    ({"payment_status": "unpaid", "status": "complete"}, "ignored"),
    ({"payment_status": "unpaid", "status": "expired"}, "expired"),
    ({"payment_status": "no_payment_required"}, "ignored"),
])
def test_how_an_order_stands(change: dict[str, str], kind: str) -> None:
    [request], said = talk(partners.stripe().status(ORDER, MOMENT),
                           json_reply({**SESSION, **change}))
    assert request.target == "/v1/checkout/sessions/cs_test_1"
    assert (said.kind, said.order, said.amount_minor, said.currency, said.trade) == (
        kind, ORDER.id, 12345, "CNY", "pi_1")
    # the payer has done all, and a bank takes days
    assert said.waits == (change == {"payment_status": "unpaid", "status": "complete"})


def test_an_order_without_a_session_is_open() -> None:
    requests, said = talk(partners.stripe().status(replace(ORDER, session=None), MOMENT))
    assert requests == [] and said.kind == "ignored"


def test_a_session_of_another_order_is_no_answer() -> None:
    with pytest.raises(RelayError) as caught:
        talk(partners.stripe().status(ORDER, MOMENT),
             json_reply({**SESSION, "client_reference_id": "ord_2"}))
    assert caught.value.code == "partner_failed"


@pytest.mark.parametrize("reply, code", [
    (PartnerReply(500), "partner_failed"), (PartnerReply(429), "partner_failed"),
    (PartnerReply(401), "partner_refused"), (PartnerReply(200, {}, b"<html>"), "partner_failed"),
    (json_reply([]), "partner_failed"), (json_reply({}), "partner_failed"),
])
def test_answers_that_are_none(reply: PartnerReply, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        talk(partners.stripe().checkout(ORDER, ADDRESSES, MOMENT), reply)
    assert caught.value.code == code


@pytest.mark.parametrize("status, kind", [
    ("succeeded", "refunded"), ("pending", "ignored"), ("failed", "refund_failed"),
    ("canceled", "refund_failed"), ("requires_action", "ignored")])
def test_refunds(status: str, kind: str) -> None:
    thing = {"id": "re_1", "object": "refund", "status": status, "amount": 500,
             "currency": "cny", "payment_intent": "pi_1",
             "metadata": {"order": ORDER.id, "refund": "rf_1"}}
    conversation = partners.stripe().refund(ORDER, REFUND, ADDRESSES, MOMENT)
    [request], said = talk(conversation, json_reply(thing))
    assert request.headers["idempotency-key"] == "rf_1"
    assert (said.kind, said.reference, said.amount_minor, said.trade) == (
        kind, "rf_1", 500, "pi_1")
    _, asked = talk(partners.stripe().refund_status(ORDER, "rf_1", MOMENT),
                    json_reply({"data": [{**thing, "metadata": None}, thing]}))
    assert (asked.kind, asked.reference) == (kind, "rf_1")
    for name in ("refund.created", "refund.updated", "refund.failed"):
        heard = read(name, thing)
        assert (heard.kind, heard.order, heard.reference) == (kind, ORDER.id, "rf_1")
    # made at Stripe itself: known by the payment alone
    own = read("refund.created", {**thing, "metadata": {}})
    assert (own.order, own.trade, own.reference) == ("", "pi_1", "re_1")


def test_a_refund_that_is_refused_and_one_that_is_not_known() -> None:
    conversation = partners.stripe().refund(ORDER, REFUND, ADDRESSES, MOMENT)
    assert talk(conversation, PartnerReply(400))[1].kind == "refund_failed"
    asked = partners.stripe().refund_status(ORDER, "rf_9", MOMENT)
    assert talk(asked, json_reply({"data": []}))[1].kind == "ignored"


def refund_thing(reference: str = "rf_1", status: str = "succeeded", **change: Any
                 ) -> dict[str, Any]:
    return {"id": f"re_{reference}", "object": "refund", "status": status, "amount": 500,
            "currency": "cny", "payment_intent": "pi_1",
            "metadata": {"order": ORDER.id, "refund": reference}, **change}


def test_a_refund_that_is_asked_for_again_is_looked_for_first() -> None:
    """Stripe forgets a key after a day, and until then says what it said the first time."""
    late = MOMENT._replace(now_ms=NOW_MS + 86_400_000)
    for status, kind in (("pending", "ignored"), ("succeeded", "refunded")):
        conversation = partners.stripe().refund(ORDER, REFUND, ADDRESSES, late)
        page = {"data": [refund_thing("other")], "has_more": True}
        requests, said = talk(conversation, json_reply(page), json_reply(
            {"data": [refund_thing(status=status)], "has_more": False}))
        assert [request.method for request in requests] == ["GET", "GET"]
        assert "starting_after=re_other" in requests[1].target
        assert (said.kind, said.reference) == (kind, "rf_1")
    conversation = partners.stripe().refund(ORDER, REFUND, ADDRESSES, late)
    requests, said = talk(conversation, json_reply({"data": []}), json_reply(refund_thing()))
    assert [request.method for request in requests] == ["GET", "POST"]
    assert said.kind == "refunded"


@pytest.mark.parametrize("page", [
    {}, {"data": None}, {"data": [[]]}, {"data": [{}]},
    {"data": [refund_thing(metadata="x")]}, {"data": [refund_thing(amount=1.5)]},
    {"data": [refund_thing("other")], "has_more": True, "more": None},
])
def test_refunds_that_cannot_be_read(page: object) -> None:
    conversation = partners.stripe().refund_status(ORDER, "rf_1", MOMENT)
    with pytest.raises(RelayError) as caught:
        talk(conversation, json_reply(page), PartnerReply(500))
    assert caught.value.code == "partner_failed"


@pytest.mark.parametrize("amount, minor", [
    (500, 500), ("500", 500), (500.0, 500), (500.5, None), (True, None), ("5_00", None),
    ("500.0", None), (1e300, None), ("9" * 400, None), ([], None), ({}, None)])
def test_amounts_are_whole_numbers_or_none(amount: object, minor: int | None) -> None:
    headers, body = signed(message("refund.updated", refund_thing(amount=amount)))
    if minor is not None:
        assert partners.stripe().webhook(headers, body, NOW_MS).amount_minor == minor
        return
    with pytest.raises(RelayError) as caught:
        partners.stripe().webhook(headers, body, NOW_MS)
    assert caught.value.code == "webhook_unreadable"


@pytest.mark.parametrize("name, change, kind", [
    ("checkout.session.completed", {}, "paid"),
    ("checkout.session.completed", {"payment_status": "unpaid"}, "ignored"),
    ("checkout.session.async_payment_succeeded", {}, "paid"),
    ("checkout.session.async_payment_failed", {"payment_status": "unpaid"}, "failed"),
    ("checkout.session.expired", {"payment_status": "unpaid"}, "expired"),
    ("customer.created", {}, "ignored"),
])
def test_messages_about_sessions(name: str, change: dict[str, str], kind: str) -> None:
    said = read(name, {**SESSION, **change})
    assert (said.kind, said.event, said.partner) == (kind, "evt_1", "p")
    if kind == "paid":
        assert (said.order, said.amount_minor, said.currency) == (ORDER.id, 12345, "CNY")


@pytest.mark.parametrize("name, status, kind", [
    ("charge.dispute.created", "needs_response", "disputed"),
    ("charge.dispute.created", "warning_needs_response", "ignored"),
    ("charge.dispute.funds_withdrawn", "needs_response", "disputed"),
    ("charge.dispute.funds_withdrawn", "won", "ignored"),
    ("charge.dispute.closed", "won", "dispute_won"),
    ("charge.dispute.closed", "lost", "dispute_lost"),
    ("charge.dispute.closed", "warning_closed", "ignored"),
    ("charge.dispute.updated", "needs_response", "ignored"),
    ("charge.dispute.created", "prevented", "ignored"),
    ("charge.dispute.funds_withdrawn", "prevented", "disputed"),
    ("charge.dispute.closed", "prevented", "ignored"),
])
def test_messages_about_disputes(name: str, status: str, kind: str) -> None:
    said = read(name, {"id": "dp_1", "object": "dispute", "amount": 12345, "currency": "cny",
                       "payment_intent": "pi_1", "status": status})
    assert (said.kind, said.order, said.trade, said.reference) == (kind, "", "pi_1", "dp_1")


@pytest.mark.parametrize("taken, kind", [([{"id": "txn_1"}], "dispute_lost"), ([], "ignored")])
def test_a_dispute_that_was_prevented_took_something_or_nothing(
    taken: list[object], kind: str
) -> None:
    said = read("charge.dispute.closed", {
        "id": "dp_1", "object": "dispute", "amount": 12345, "currency": "cny",
        "payment_intent": "pi_1", "status": "prevented", "balance_transactions": taken})
    assert (said.kind, said.reference, said.amount_minor) == (kind, "dp_1", 12345)


def test_what_the_library_accepts_we_accept_and_the_other_way_round() -> None:
    content = message("checkout.session.completed", SESSION)
    headers, body = signed(content)
    for secrets in ((STRIPE_SECRET,), ("whsec_new", STRIPE_SECRET), ("", STRIPE_SECRET)):
        assert partners.stripe(*secrets).webhook(headers, body, NOW_MS).kind == "paid"
    assert stripe.Webhook.construct_event(
        body, headers["stripe-signature"], STRIPE_SECRET, tolerance=10 ** 10).type


def forgeries() -> dict[str, tuple[dict[str, str], bytes]]:
    content = message("checkout.session.completed", SESSION)
    headers, body = signed(content)
    header = headers["stripe-signature"]
    told, _, mac = header.partition(",v1=")
    return {
        "another secret": signed(content, "whsec_other"),
        "an empty secret": signed(content, ""),
        "another body": (headers, body + b" "),
        "another amount": (headers, body.replace(b"12345", b"99999")),
        "no header": ({}, body),
        "no signature": ({"stripe-signature": told}, body),
        "no time": ({"stripe-signature": f"v1={mac}"}, body),
        "two times": ({"stripe-signature": f"{told},t=1,v1={mac}"}, body),
        "an endless time": ({"stripe-signature": f"t={'9' * 5000},v1={mac}"}, body),
        "another time": ({"stripe-signature": f"t=1,v1={mac}"}, body),
        "the old scheme": ({"stripe-signature": header.replace("v1=", "v0=")}, body),
        "upper case": ({"stripe-signature": header.upper()}, body),
        "no text": ({"stripe-signature": f"{told},v1=\udcff"}, body),
        "an empty body": (headers, b""),
    }


@pytest.mark.parametrize("name", forgeries())
def test_forgeries(name: str) -> None:
    headers, body = forgeries()[name]
    with pytest.raises(RelayError) as caught:
        partners.stripe().webhook(headers, body, NOW_MS)
    assert caught.value.code == "webhook_forged"
    if name == "two times":
        return  # the library takes the first of them
    with pytest.raises((stripe.SignatureVerificationError, ValueError, TypeError)):
        stripe.Webhook.construct_event(
            body, headers.get("stripe-signature"), STRIPE_SECRET, tolerance=10 ** 10)


def test_without_a_secret_nothing_is_believed() -> None:
    headers, body = signed(message("checkout.session.completed", SESSION), "")
    for secrets in (("",), ("", "")):
        with pytest.raises(RelayError) as caught:
            partners.stripe(*secrets).webhook(headers, body, NOW_MS)
        assert caught.value.code == "webhook_forged"


@pytest.mark.parametrize("late_seconds, fits", [
    (WINDOW_SECONDS, True), (WINDOW_SECONDS + 1, False), (99_999, False),
    (-WINDOW_SECONDS, True), (-WINDOW_SECONDS - 1, False)])
def test_the_window(late_seconds: int, fits: bool) -> None:
    headers, body = signed(message("checkout.session.completed", SESSION))
    now_ms = NOW_MS + late_seconds * 1000
    if fits:
        assert partners.stripe().webhook(headers, body, now_ms).kind == "paid"
    else:
        with pytest.raises(RelayError) as caught:
            partners.stripe().webhook(headers, body, now_ms)
        assert caught.value.code == "webhook_stale"


@pytest.mark.parametrize("content", [
    [], {}, {"id": "e", "type": "x"}, {"id": "e", "type": "x", "data": []},
    {"id": "e", "type": "checkout.session.completed", "data": {"object": {}}},
    {"id": "e", "type": "charge.dispute.created", "data": {"object": {"status": "won"}}},
    {"id": "", "type": "x", "data": {"object": {}}},
    {"id": 1, "type": "x", "data": {"object": {}}},
    {"id": "e", "type": 5, "data": {"object": {}}},
    message("checkout.session.expired", {**SESSION, "payment_intent": {"id": "pi_1"}}),
    message("checkout.session.expired", {**SESSION, "client_reference_id": 7}),
    {"id": "e", "type": "checkout.session.expired", "data": {"object": []}},
    message("refund.updated", refund_thing(currency=None)),
    message("refund.updated", refund_thing(metadata="x")),
    message("charge.dispute.created", {"id": 1, "amount": 5, "currency": "cny",
                                       "payment_intent": "pi_1", "status": "won"}),
])
def test_signed_messages_that_cannot_be_read(content: object) -> None:
    headers, body = signed(content)
    with pytest.raises(RelayError) as caught:
        partners.stripe().webhook(headers, body, NOW_MS)
    assert caught.value.code == "webhook_unreadable"


def test_a_statement() -> None:
    def entry(kind: str, amount: int, fee: int, source: object, name: str) -> dict[str, object]:
        return {"id": name, "type": kind, "amount": amount, "fee": fee, "currency": "cny",
                "source": source}

    first = {"has_more": True, "data": [
        entry("charge", 12345, 400, {"id": "ch", "object": "charge",
                                     "metadata": {"order": ORDER.id}}, "txn_1"),
        entry("refund", -500, 0, {"id": "re_1", "object": "refund",
                                  "metadata": {"refund": "rf_1"}}, "txn_2")]}
    second = {"has_more": False, "data": [
        entry("refund", -5, 0, {"id": "re_2", "object": "refund", "metadata": {}}, "txn_3"),
        entry("adjustment", -12345, 1500, {"id": "dp_1", "object": "dispute"}, "txn_4"),
        entry("adjustment", 12345, 0, {"id": "dp_2", "object": "dispute"}, "txn_5"),
        entry("payout", -9000, 0, "po_1", "txn_6"), entry("other", 1, 0, None, "txn_7")]}
    requests, lines = talk(partners.stripe().statement("2026-09-21", MOMENT),
                           json_reply(first), json_reply(second))
    assert "starting_after=txn_2" in requests[1].target
    assert f"created%5Bgte%5D={partners.stripe().day_start_ms('2026-09-21') // 1000}" \
        in requests[0].target
    assert lines == [
        StatementLine("payment", ORDER.id, "CNY", 12345, 400),
        StatementLine("refund", "rf_1", "CNY", 500), StatementLine("refund", "re_2", "CNY", 5),
        StatementLine("dispute", "dp_1", "CNY", 12345, 1500),
        StatementLine("dispute_won", "dp_2", "CNY", 12345),
        StatementLine("payout", "txn_6", "CNY", 9000),
        StatementLine("other", "other:txn_7", "CNY", 1)]


@pytest.mark.parametrize("kind, amount, fee, source, line", [
    ("payout_failure", 900, 0, None, StatementLine("pay_in", "txn_1", "CNY", 900)),
    ("payout_cancel", 900, 0, None, StatementLine("pay_in", "txn_1", "CNY", 900)),
    # what a balance below nothing is filled up with, and that when it failed
    ("payout", 900, 0, None, StatementLine("pay_in", "txn_1", "CNY", 900)),
    ("payout_failure", -900, 25, None, StatementLine("payout", "txn_1", "CNY", 900, 25)),
    ("topup", 900, 0, None, StatementLine("pay_in", "txn_1", "CNY", 900)),
    ("topup_reversal", -900, 0, None, StatementLine("payout", "txn_1", "CNY", 900)),
    ("stripe_fee", -70, 0, None, StatementLine("fee", "txn_1", "CNY", 70)),
    ("stripe_fee", 70, 0, None, StatementLine("fee", "txn_1", "CNY", 0, -70)),
    ("tax_fee", -7, 0, None, StatementLine("fee", "txn_1", "CNY", 7)),
    ("reserved_funds", -500, 0, None, StatementLine("held", "txn_1", "CNY", 500)),
    ("refund_failure", 45, 0, {"id": "re_1", "object": "refund", "metadata": {"refund": "rf_1"}},
     StatementLine("refund_back", "rf_1", "CNY", 45)),
    ("refund", 45, -2, {"id": "re_1", "object": "refund", "metadata": {}},
     StatementLine("refund_back", "re_1", "CNY", 45, -2)),
    ("payment_failure_refund", -45, 0, {"id": "py_1", "object": "charge", "metadata": {}},
     StatementLine("other", "payment_failure_refund:txn_1", "CNY", 45)),
    ("adjustment", -45, 3, {"id": "ch_1", "object": "charge"},
     StatementLine("other", "adjustment:txn_1", "CNY", 45, 3)),
    # the fee of a dispute, where it has a line of its own
    ("adjustment", 0, 1500, {"id": "dp_1", "object": "dispute"},
     StatementLine("fee", "txn_1", "CNY", 0, 1500)),
    ("contribution", -5, 0, None, StatementLine("other", "contribution:txn_1", "CNY", 5)),
    ("made_up_next_year", 5, 0, "x", StatementLine("other", "made_up_next_year:txn_1", "CNY", 5)),
])
def test_each_balance_transaction_is_a_line(
    kind: str, amount: int, fee: int, source: object, line: StatementLine
) -> None:
    page = {"has_more": False, "data": [{"id": "txn_1", "type": kind, "amount": amount, "fee": fee,
                                         "currency": "cny", "source": source}]}
    _, lines = talk(partners.stripe().statement("2026-09-21", MOMENT), json_reply(page))
    assert lines == [line]


def test_whose_a_payment_is() -> None:
    for data, order in (([SESSION], ORDER.id), ([], ""), ([{"id": "cs_2"}], "")):
        [request], found = talk(partners.stripe().order_of("pi_1", MOMENT),
                                json_reply({"data": data}))
        assert request.target == "/v1/checkout/sessions?payment_intent=pi_1&limit=1"
        assert found == order
    for reply in (json_reply({}), json_reply({"data": [1]})):
        with pytest.raises(RelayError):
            talk(partners.stripe().order_of("pi_1", MOMENT), reply)


def test_no_secret_in_a_repr() -> None:
    conversation = partners.stripe().checkout(ORDER, ADDRESSES, MOMENT)
    assert partners.STRIPE_KEY not in repr(next(conversation)) + repr(partners.stripe())


@pytest.mark.parametrize(("kind", "amount", "fee", "source", "lines"), [
    ("charge", 920, 57, {"object": "charge", "metadata": {"order": "or_1"}},
     [("payment", "or_1", "USD", 1000, 0), ("fee", "txn_1", "EUR", 57, 0)]),
    ("refund", -462, 0, {"object": "refund", "metadata": {"refund": "rf_1"}},
     [("refund", "rf_1", "USD", 1000, 0)]),
    ("refund_failure", 462, -5, {"object": "refund", "metadata": {"refund": "rf_1"}},
     [("refund_back", "rf_1", "USD", 1000, 0), ("fee", "txn_1", "EUR", 0, -5)]),
    ("adjustment", -920, 1500, {"object": "dispute"},
     [("dispute", "dp_1", "USD", 1000, 0), ("fee", "txn_1", "EUR", 1500, 0)]),
    # what is no payment's stays as it is, and so does what is of one currency
    ("payout", -920, 0, {"object": "payout"}, [("payout", "txn_1", "EUR", 920, 0)]),
    ("adjustment", 5, 1, {"object": "charge"}, [("other", "adjustment:txn_1", "EUR", 5, 1)]),
    ("charge", 920, 57, {"object": "charge", "currency": "eur", "metadata": {"order": "or_1"}},
     [("payment", "or_1", "EUR", 920, 57)]),
    ("charge", 920, 57, {"object": "charge", "currency": None, "metadata": {"order": "or_1"}},
     [("payment", "or_1", "EUR", 920, 57)]),
])
def test_what_was_paid_in_another_currency_is_compared_in_that(
    kind: str, amount: int, fee: int, source: dict[str, object], lines: list[tuple[object, ...]],
) -> None:
    page = {"has_more": False, "data": [{
        "id": "txn_1", "type": kind, "amount": amount, "fee": fee, "currency": "eur",
        "exchange_rate": 0.92,
        "source": {"id": "dp_1", "amount": 1000, "currency": "usd", **source}}]}
    _, found = talk(partners.stripe().statement("2026-09-21", MOMENT), json_reply(page))
    assert found == [StatementLine(*each) for each in lines]  # type: ignore[arg-type]
