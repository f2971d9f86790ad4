"""The demo's second partner signs as Alipay: python-alipay-sdk reads it, and is read."""

from __future__ import annotations

from urllib.parse import parse_qsl

from alipay import AliPay

from relayd.demo.partner_alipay import AlipayFace
from relayd.demo.partner_keys import APP_ID, private_pem, public_pem
from relayd.demo.partner_trade import Book
from tests.fakes.till import keys

NOW_MS = 1_790_000_000_000


def library() -> AliPay:
    own = keys()
    return AliPay(appid=APP_ID, app_private_key_string=private_pem(own.merchant),
                  alipay_public_key_string=public_pem(own.partner))


def face() -> tuple[AlipayFace, Book]:
    book = Book(lambda: NOW_MS)
    return AlipayFace(book, keys()), book


def asked(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


def test_the_library_opens_a_page_and_is_answered() -> None:
    made, book = face()
    page = library().api_alipay_trade_page_pay(
        "API credit", "ord_1", "12.34", "http://x.test/b", "http://x.test/w",
        time_expire="2026-09-22 00:00:00")
    trade = made.page(asked(page))
    assert trade is not None and trade.told.amount == 1234
    assert made.page({**asked(page), "app_id": "other"}) is None
    assert made.page({**asked(page), "sign": ""}) is None
    book.pay(trade)
    call = library().sign_data(library().build_body(
        "alipay.trade.query", {"out_trade_no": "ord_1"}))
    answer = made.call(asked(call), "http://p.test").decode()
    said = library()._verify_and_return_sync_response(answer, "alipay_trade_query_response")
    assert said["trade_status"] == "TRADE_SUCCESS" and said["total_amount"] == "12.34"


def test_the_library_believes_its_messages() -> None:
    made, book = face()
    page = library().api_alipay_trade_page_pay(
        "API credit", "ord_1", "12.34", "http://x.test/b", "http://x.test/w",
        time_expire="2026-09-22 00:00:00")
    trade = made.page(asked(page))
    assert trade is not None
    book.pay(trade)
    _, body = made.message(trade, "paid")
    fields = asked(body.decode())
    assert library().verify(fields, fields.pop("sign"))
    # sent again: the same message at another time
    _, again = made.signed(body)
    assert asked(again.decode())["notify_id"] == asked(body.decode())["notify_id"]


def test_who_is_not_the_merchant() -> None:
    made, _ = face()
    assert b"isv.invalid-signature" in made.call({"method": "alipay.trade.query"}, "")
