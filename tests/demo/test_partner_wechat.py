"""The demo's third partner signs and seals as WeChat Pay: wechatpayv3 reads it."""

from __future__ import annotations

import hashlib

from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.utils import build_authorization

from relayd.demo.partner_keys import (
    APP_ID, MERCHANT_ID, PLATFORM_KEY_ID, SERIAL, private_pem, public_pem,
)
from relayd.demo.partner_trade import Book
from relayd.demo.partner_wechat import WeChatFace
from tests.fakes.till import keys

ORDER = {"out_trade_no": "ord_1", "time_expire": "2026-09-22T00:00:00+08:00",
         "notify_url": "http://x.test/w", "amount": {"total": 1000, "currency": "CNY"}}


def face() -> tuple[WeChatFace, Book]:
    book = Book(lambda: 1_790_000_000_000)
    return WeChatFace(book, keys()), book


def test_the_library_opens_its_messages() -> None:
    own = keys()
    made, book = face()
    status, said = made.post("/v3/pay/transactions/native", ORDER, "http://p.test")
    [trade] = book.trades.values()
    assert (status, said) == (200, {"code_url": f"http://p.test/page/{trade.session}"})
    book.pay(trade)
    library = WeChatPay(WeChatPayType.NATIVE, MERCHANT_ID, private_pem(own.merchant), SERIAL,
                        appid=APP_ID, apiv3_key=own.api_key, notify_url="http://x.test/w",
                        public_key=public_pem(own.partner), public_key_id=PLATFORM_KEY_ID)
    headers, body = made.message(trade, "paid")
    assert library.callback(headers, body)["resource"]["trade_state"] == "SUCCESS"
    back = book.refund(trade, "r", 5)
    headers, body = made.message(trade, "refunded", back)
    assert library.callback(headers, body)["resource"]["out_refund_no"] == "r"


def test_an_order_on_a_telephone() -> None:
    made, book = face()
    scene = {"payer_client_ip": "203.0.113.7", "h5_info": {"type": "Wap"}}
    status, said = made.post("/v3/pay/transactions/h5", {**ORDER, "scene_info": scene}, "http://p")
    [trade] = book.trades.values()
    assert (status, said) == (200, {"h5_url": f"http://p/page/{trade.session}?prepay_id=demo"})
    for wrong in ({}, {**scene, "payer_client_ip": "x"}, {**scene, "h5_info": {"type": "x"}}):
        assert made.post("/v3/pay/transactions/h5", {**ORDER, "scene_info": wrong}, "")[0] == 400
    assert made.post("/v3/pay/transactions/h5", ORDER, "")[0] == 400


def test_the_library_s_token_is_believed() -> None:
    made, _ = face()
    token = build_authorization("/v3/x?a=1", "GET", MERCHANT_ID, SERIAL, keys().merchant)
    assert made.is_merchant("GET", "/v3/x?a=1", b"", token)
    assert not made.is_merchant("GET", "/v3/x?a=2", b"", token)
    assert not made.is_merchant("GET", "/v3/x?a=1", b"", "")


def test_what_is_not_there() -> None:
    made, _ = face()
    assert made.post("/v3/other", {}, "")[0] == 404
    assert made.post("/v3/pay/transactions/native", {}, "")[0] == 400
    assert made.get("/v3/pay/transactions/out-trade-no/ord_1", {}, "")[0] == 404
    assert made.get("/v3/refund/domestic/refunds/r", {}, "")[0] == 404
    _, told = made.get("/v3/bill/tradebill", {"bill_date": "2026-09-21"}, "http://p.test")
    assert told["hash_value"] == hashlib.sha1(made.bill("2026-09-21")).hexdigest()
