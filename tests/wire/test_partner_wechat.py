"""WeChat Pay, held against wechatpayv3: each accepts what the other signs and seals."""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from wechatpayv3 import WeChatPay as Oracle
from wechatpayv3 import WeChatPayType
from wechatpayv3.utils import build_authorization, rsa_verify

from relayd.core.errors import RelayError
from relayd.core.refund import Refund
from relayd.core.statement import StatementLine
from relayd.wire.partner import PartnerReply, rsa_verified
from relayd.wire.partner_wechat import WINDOW_SECONDS
from tests.fakes import partners
from tests.fakes.partners import (
    ADDRESSES, MOMENT, NOW_MS, ORDER, WX_API_KEY, WX_APP, WX_KEY_ID, WX_MERCHANT, WX_SERIAL,
    rsa_key, talk, wechat_headers, wechat_message, wechat_reply,
)

REFUND = Refund("rf_1", ORDER.id, 500, "pending", NOW_MS)
TRADE = {"appid": WX_APP, "mchid": WX_MERCHANT, "out_trade_no": ORDER.id,
         "transaction_id": "4200001", "trade_state": "SUCCESS", "trade_type": "NATIVE",
         "amount": {"total": 12345, "payer_total": 12345, "currency": "CNY"},
         "payer": {"openid": "o123"}}
TOKEN = re.compile(r'WECHATPAY2-SHA256-RSA2048 mchid="(\w+)",nonce_str="(\w+)",'
                   r'signature="([^"]+)",timestamp="(\d+)",serial_no="(\w+)"')


def oracle(kind: WeChatPayType = WeChatPayType.NATIVE) -> Oracle:
    return Oracle(kind, WX_MERCHANT, partners.private_pem("merchant"), WX_SERIAL,
                  appid=WX_APP, apiv3_key=WX_API_KEY, notify_url="https://relay.test/n",
                  public_key=partners.public_pem("wechat"), public_key_id=WX_KEY_ID)


def read(event_type: str, thing: dict[str, Any], **how: Any) -> Any:
    body = wechat_message(event_type, thing)
    return partners.wechat().webhook(wechat_headers(body, **how), body, NOW_MS)


def refund_thing(**change: Any) -> dict[str, Any]:
    return {"mchid": WX_MERCHANT, "out_trade_no": ORDER.id, "out_refund_no": "rf_1",
            "transaction_id": "4200001", "refund_id": "5030",
            "amount": {"total": 12345, "refund": 500, "payer_total": 12345}, **change}


def test_an_order() -> None:
    conversation = partners.wechat().checkout(ORDER, ADDRESSES, MOMENT)
    reply = wechat_reply({"code_url": "weixin://wxpay/bizpayurl?pr=1"})
    [request], opened = talk(conversation, reply)
    assert opened.page == "weixin://wxpay/bizpayurl?pr=1"
    assert orjson.loads(request.body)["amount"] == {"total": 12345, "currency": "CNY"}
    assert orjson.loads(request.body)["time_expire"].endswith("+08:00")
    assert set(request.fields) >= {"amount.total", "amount.currency", "out_trade_no"}
    found = TOKEN.fullmatch(request.headers["authorization"])
    assert found is not None
    merchant, nonce, signature, told, serial = found.groups()
    assert (merchant, nonce, serial) == (WX_MERCHANT, MOMENT.nonce, WX_SERIAL)
    assert request.headers["wechatpay-serial"] == WX_KEY_ID
    text = f"POST\n/v3/pay/transactions/native\n{told}\n{nonce}\n{request.body.decode()}\n"
    assert rsa_verified(rsa_key("merchant").public_key(), text.encode(), signature)


PAYER = "203.0.113.77"
H5_URL = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2016&package=1"


def test_an_order_on_the_payer_s_telephone_is_the_library_s_own(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ADDRESSES._replace(payer=PAYER)
    [request], opened = talk(partners.wechat().checkout(ORDER, asked, MOMENT),
                             wechat_reply({"h5_url": H5_URL}))
    assert opened.page == H5_URL + "&redirect_url=" + quote(ADDRESSES.returned, safe="")
    assert replace(ORDER, session=opened.session).on_phone and not ORDER.on_phone
    library, heard = oracle(WeChatPayType.H5), []
    monkeypatch.setattr(library._core, "request", lambda path, **how: heard.append((path, how)))
    library.pay("API credit", ORDER.id, {"total": 12345, "currency": "CNY"},
                time_expire=orjson.loads(request.body)["time_expire"],
                notify_url=ADDRESSES.webhook,
                scene_info={"payer_client_ip": PAYER, "h5_info": {"type": "Wap"}})
    [(path, how)] = heard
    assert (request.target, orjson.loads(request.body)) == (path, how["data"])
    assert {"scene_info.payer_client_ip", "scene_info.h5_info.type"} <= set(request.fields)
    assert PAYER not in repr(asked) + repr(request) + repr(opened)


def test_a_native_order_tells_no_address() -> None:
    [request], opened = talk(partners.wechat().checkout(ORDER, ADDRESSES, MOMENT),
                             wechat_reply({"code_url": "weixin://x"}))
    assert b"scene_info" not in request.body and not replace(
        ORDER, session=opened.session).on_phone


@pytest.mark.parametrize("reply, page", [
    ({"h5_url": "https://wx.tenpay.com/x"}, "https://wx.tenpay.com/x?redirect_url="),
    ({"code_url": "weixin://x"}, None), ({"h5_url": 3}, None), ({}, None)])
def test_where_an_h5_order_goes_on(reply: dict[str, Any], page: str | None) -> None:
    conversation = partners.wechat().checkout(
        ORDER, ADDRESSES._replace(payer="2001:db8::7"), MOMENT)
    if page is not None:
        assert talk(conversation, wechat_reply(reply))[1].page.startswith(page)
        return
    with pytest.raises(RelayError) as caught:
        talk(conversation, wechat_reply(reply))
    assert caught.value.code == "partner_failed"


def test_our_token_is_the_library_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    [request], _ = talk(partners.wechat().status(ORDER, MOMENT), wechat_reply(TRADE))
    monkeypatch.setattr(sys.modules["wechatpayv3.utils"].time, "time", lambda: NOW_MS / 1000)
    assert request.headers["authorization"] == build_authorization(
        request.target, "GET", WX_MERCHANT, WX_SERIAL, rsa_key("merchant"),
        nonce_str=MOMENT.nonce)


@pytest.mark.parametrize("state, kind", [
    ("SUCCESS", "paid"), ("REFUND", "paid"), ("NOTPAY", "ignored"), ("CLOSED", "expired"),
    ("USERPAYING", "ignored"), ("PAYERROR", "failed"), ("REVOKED", "expired")])
def test_how_an_order_stands(state: str, kind: str) -> None:
    [request], said = talk(partners.wechat().status(ORDER, MOMENT),
                           wechat_reply({**TRADE, "trade_state": state}))
    assert request.target == (
        f"/v3/pay/transactions/out-trade-no/{ORDER.id}?mchid={WX_MERCHANT}")
    assert (said.kind, said.order, said.trade) == (kind, ORDER.id, "4200001")
    assert (said.amount_minor, said.currency) == (12345, "CNY")


@pytest.mark.parametrize("reply, code", [
    (PartnerReply(500), "partner_failed"), (PartnerReply(401), "partner_refused"),
    (wechat_reply(TRADE, key="merchant"), "partner_failed"),
    (wechat_reply(TRADE, serial="OTHER"), "partner_failed"),
    (PartnerReply(200, {}, orjson.dumps(TRADE)), "partner_failed"),
    (wechat_reply({}), "partner_failed"),
    (wechat_reply({**TRADE, "appid": "wx_other"}), "partner_failed"),
])
def test_answers_that_are_none(reply: PartnerReply, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        talk(partners.wechat().status(ORDER, MOMENT), reply)
    assert caught.value.code == code


def test_an_order_that_is_not_there_yet() -> None:
    assert talk(partners.wechat().status(ORDER, MOMENT), PartnerReply(404))[1].kind == "ignored"


@pytest.mark.parametrize("state, kind", [
    ("SUCCESS", "refunded"), ("PROCESSING", "ignored"), ("CLOSED", "refund_failed"),
    ("ABNORMAL", "refund_failed")])
def test_refunds(state: str, kind: str) -> None:
    reply = wechat_reply(refund_thing(status=state, amount={
        "total": 12345, "refund": 500, "currency": "CNY"}))
    [request], said = talk(partners.wechat().refund(ORDER, REFUND, ADDRESSES, MOMENT), reply)
    content = orjson.loads(request.body)
    assert content["amount"] == {"refund": 500, "total": 12345, "currency": "CNY"}
    assert content["out_refund_no"] == "rf_1"
    _, asked = talk(partners.wechat().refund_status(ORDER, "rf_1", MOMENT), reply)
    heard = read(f"REFUND.{state}", refund_thing(refund_status=state))
    for each in (said, asked, heard):
        assert (each.kind, each.reference, each.amount_minor, each.currency, each.order) == (
            kind, "rf_1", 500, "CNY", ORDER.id)


def test_answers_about_something_else_are_none() -> None:
    pay = partners.wechat()
    for conversation, reply in (
            (pay.status(ORDER, MOMENT), {**TRADE, "out_trade_no": "ord_2"}),
            (pay.refund_status(ORDER, "rf_1", MOMENT),
             refund_thing(status="SUCCESS", out_refund_no="rf_2")),
            (pay.refund(ORDER, REFUND, ADDRESSES, MOMENT),
             refund_thing(status="SUCCESS", out_trade_no="ord_2"))):
        with pytest.raises(RelayError) as caught:
            talk(conversation, wechat_reply(reply))
        assert caught.value.code == "partner_failed"


def test_a_refund_that_is_asked_for_again_is_looked_for_first() -> None:
    late = MOMENT._replace(now_ms=REFUND.asked_at_ms + 60_000)
    conversation = partners.wechat().refund(ORDER, REFUND, ADDRESSES, late)
    requests, said = talk(conversation, wechat_reply(refund_thing(status="PROCESSING")))
    assert [request.method for request in requests] == ["GET"] and said.kind == "ignored"
    conversation = partners.wechat().refund(ORDER, REFUND, ADDRESSES, late)
    requests, said = talk(conversation, PartnerReply(404), PartnerReply(403))
    assert [request.method for request in requests] == ["GET", "POST"]
    assert said.kind == "refund_failed"
    nonces = {request.headers["authorization"].partition('nonce_str="')[2][:32]
              for request in requests}
    assert len(nonces) == 2


@pytest.mark.parametrize("thing", [
    refund_thing(amount=None), refund_thing(amount="5"), refund_thing(amount={"refund": 5.5}),
    refund_thing(amount={"refund": True}), refund_thing(transaction_id=1),
    refund_thing(out_refund_no=None), refund_thing(out_trade_no=["x"])])
def test_messages_about_refunds_that_cannot_be_read(thing: dict[str, Any]) -> None:
    with pytest.raises(RelayError) as caught:
        read("REFUND.SUCCESS", {**thing, "refund_status": "SUCCESS"})
    assert caught.value.code == "webhook_unreadable"


def test_refunds_that_are_refused_or_unknown() -> None:
    refused = partners.wechat().refund(ORDER, REFUND, ADDRESSES, MOMENT)
    assert talk(refused, PartnerReply(400))[1].kind == "refund_failed"
    unknown = partners.wechat().refund_status(ORDER, "rf_1", MOMENT)
    assert talk(unknown, PartnerReply(404))[1].kind == "ignored"


def test_what_the_library_opens_we_open() -> None:
    body = wechat_message("TRANSACTION.SUCCESS", TRADE)
    headers = wechat_headers(body)
    named = {"-".join(part.capitalize() for part in name.split("-")): value
             for name, value in headers.items()}
    assert oracle().callback(named, body)["resource"]["transaction_id"] == "4200001"
    said = partners.wechat().webhook(headers, body, NOW_MS)
    assert (said.kind, said.event, said.order, said.amount_minor, said.trade) == (
        "paid", "evt_1", ORDER.id, 12345, "4200001")
    assert rsa_verify(headers["wechatpay-timestamp"], "nonce1", body.decode(),
                      headers["wechatpay-signature"], rsa_key("wechat").public_key())


def forgeries() -> dict[str, tuple[dict[str, str], bytes]]:
    body = wechat_message("TRANSACTION.SUCCESS", TRADE)
    headers = wechat_headers(body)
    other = wechat_message("TRANSACTION.SUCCESS", TRADE, api_key="x" * 32)
    mine = wechat_message("TRANSACTION.SUCCESS", {**TRADE, "mchid": "1900000002"})
    app = wechat_message("TRANSACTION.SUCCESS", {**TRADE, "appid": "wx_other"})
    return {
        "another key": (wechat_headers(body, key="merchant"), body),
        "another key's id": (wechat_headers(body, serial="PUB_KEY_ID_X"), body),
        "another body": (headers, body + b" "),
        "another time": ({**headers, "wechatpay-timestamp": "1"}, body),
        "no number": ({**headers, "wechatpay-timestamp": "x"}, body),
        "another nonce": ({**headers, "wechatpay-nonce": "nonce2"}, body),
        "no nonce": ({**headers, "wechatpay-nonce": "\udcff"}, body),
        "no signature": ({**headers, "wechatpay-signature": ""}, body),
        "a probe": ({**headers, "wechatpay-signature":
                     "WECHATPAY/SIGNTEST/" + headers["wechatpay-signature"]}, body),
        "no headers": ({}, body),
        "sealed with another key": (wechat_headers(other), other),
        "another merchant": (wechat_headers(mine), mine),
        "another application": (wechat_headers(app), app),
    }


@pytest.mark.parametrize("name", forgeries())
def test_forgeries(name: str) -> None:
    headers, body = forgeries()[name]
    with pytest.raises(RelayError) as caught:
        partners.wechat().webhook(headers, body, NOW_MS)
    assert caught.value.code == "webhook_forged"


@pytest.mark.parametrize("late_seconds, fits", [
    (WINDOW_SECONDS, True), (WINDOW_SECONDS + 1, False), (99_999, False),
    (-WINDOW_SECONDS - 1, False)])
def test_the_window(late_seconds: int, fits: bool) -> None:
    body = wechat_message("TRANSACTION.SUCCESS", TRADE)
    now_ms = NOW_MS + late_seconds * 1000
    if fits:
        assert partners.wechat().webhook(wechat_headers(body), body, now_ms).kind == "paid"
    else:
        with pytest.raises(RelayError) as caught:
            partners.wechat().webhook(wechat_headers(body), body, now_ms)
        assert caught.value.code == "webhook_stale"


@pytest.mark.parametrize("late_seconds, fits", [
    (WINDOW_SECONDS, True), (WINDOW_SECONDS + 1, False), (-WINDOW_SECONDS - 1, False)])
def test_the_window_of_answers(late_seconds: int, fits: bool) -> None:
    asked = partners.wechat().status(
        ORDER, MOMENT._replace(now_ms=NOW_MS + late_seconds * 1000))
    if fits:
        assert talk(asked, wechat_reply(TRADE))[1].kind == "paid"
    else:
        with pytest.raises(RelayError) as caught:
            talk(asked, wechat_reply(TRADE))
        assert caught.value.code == "partner_failed"


@pytest.mark.parametrize("body", [
    b"[]", b"{}", b"x", b'{"resource":{}}', wechat_message("REFUND.SUCCESS", {"mchid": "x"}),
    wechat_message("TRANSACTION.SUCCESS", {"mchid": WX_MERCHANT}),
    wechat_message("REFUND.SUCCESS", {"mchid": WX_MERCHANT})])
def test_signed_messages_that_cannot_be_read(body: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        partners.wechat().webhook(wechat_headers(body), body, NOW_MS)
    assert caught.value.code in ("webhook_unreadable", "webhook_forged")


def test_other_messages_are_ignored() -> None:
    assert read("COUPON.USE", {"mchid": WX_MERCHANT}).kind == "ignored"


BILL = "\ufeff" + "\r\n".join([
    "交易时间,公众账号ID,商户号,微信订单号,商户订单号,用户标识,交易状态,货币种类,微信退款单号,"
    "商户退款单号,退款状态,商品名称,手续费,费率,订单金额,申请退款金额",
    f"`2026-09-21 10:00:00,`wx,`19,`4200001,`{ORDER.id},`o123,`SUCCESS,`CNY,`0,`0,`,`API,`0.74000,"
    "`0.60%,`123.45,`0.00",
    f"`2026-09-21 11:00:00,`wx,`19,`4200001,`{ORDER.id},`o123,`REFUND,`CNY,`50,`rf_1,`SUCCESS,"
    "`API,`-0.03000,`0.60%,`0.00,`5.00",
    f"`2026-09-21 12:00:00,`wx,`19,`4200001,`{ORDER.id},`o123,`REFUND,`CNY,`50,`rf_2,`CHANGE,"
    "`API,`0.00000,`0.60%,`0.00,`5.00",
    "总交易单数,应结订单总金额,退款总金额", "`3,`123.45,`5.00"])


def test_a_statement() -> None:
    data = BILL.encode()
    told = wechat_reply({"hash_type": "SHA1", "hash_value": hashlib.sha1(data).hexdigest(),
                         "download_url": "https://api.mch.weixin.qq.com/v3/billdownload/file?t=1"})
    requests, lines = talk(partners.wechat().statement("2026-09-21", MOMENT), told,
                           PartnerReply(200, {}, data))
    tokens = [TOKEN.fullmatch(each.headers["authorization"]) for each in requests]
    assert len({found[2] for found in tokens if found}) == 2, "a nonce twice"
    assert lines == [StatementLine("payment", ORDER.id, "CNY", 12345, 74),
                     StatementLine("refund", "rf_1", "CNY", 500, -3)]
    assert partners.wechat().day_start_ms("2026-09-21") % 86_400_000 == 16 * 3_600_000
    with pytest.raises(RelayError):
        talk(partners.wechat().statement("2026-09-21", MOMENT), told,
             PartnerReply(200, {}, data + b" "))


def test_a_day_without_a_bill() -> None:
    none = PartnerReply(400, {}, b'{"code":"NO_STATEMENT_EXIST"}')
    assert talk(partners.wechat().statement("2026-09-21", MOMENT), none)[1] == []
