"""Alipay, held against python-alipay-sdk: each accepts what the other signs."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import pytest
from alipay import AliPay
from alipay.exceptions import AliPayValidationError

from relayd.core.errors import RelayError
from relayd.core.refund import Refund
from relayd.core.statement import StatementLine
from relayd.wire.partner import PartnerReply
from relayd.wire.partner_alipay import WINDOW_MS
from tests.fakes import partners
from tests.fakes.partners import ADDRESSES, APP_ID, MOMENT, NOW_MS, ORDER, SELLER_ID, talk

REFUND = Refund("rf_1", ORDER.id, 500, "pending", NOW_MS)
NOTIFY = {
    "app_id": APP_ID, "seller_id": SELLER_ID, "notify_id": "n_1", "charset": "utf-8",
    "notify_type": "trade_status_sync", "notify_time": "2026-09-21 22:13:20", "version": "1.0",
    "out_trade_no": ORDER.id, "trade_no": "2026092122001", "trade_status": "TRADE_SUCCESS",
    "total_amount": "123.45", "buyer_logon_id": "tes***@sandbox.com", "subject": "API credit",
    "body": "",
}


@cache
def oracle(own: str = "merchant", other: str = "alipay") -> AliPay:
    """The library, as the merchant, or as Alipay: then with the keys the other way round.

    It tests the primes of its keys, which takes longer than all that it is asked here."""
    return AliPay(appid=APP_ID, app_private_key_string=partners.private_pem(own),
                  alipay_public_key_string=partners.public_pem(other))


def signed(fields: dict[str, str], key: str = "alipay") -> bytes:
    """As Alipay signs a message: with the library in Alipay's place."""
    full = {name: value for name, value in fields.items() if value}
    text = "&".join(f"{name}={full[name]}" for name in sorted(full))
    sign = oracle(key)._sign(text)
    return urlencode({**fields, "sign": sign, "sign_type": "RSA2"}).encode()


def read(**change: str) -> Any:
    return partners.alipay().webhook({}, signed({**NOTIFY, **change}), NOW_MS)


def answer(method: str, said: dict[str, object], key: str = "alipay") -> PartnerReply:
    """As the gateway answers."""
    content = orjson.dumps(said).decode()
    sign = oracle(key)._sign(content)
    name = method.replace(".", "_") + "_response"
    return PartnerReply(200, {}, f'{{"{name}":{content},"sign":"{sign}"}}'.encode())


def fields_of(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(), strict_parsing=True))


def test_the_page_s_address_is_signed_as_the_library_signs_it() -> None:
    requests, opened = talk(partners.alipay().checkout(ORDER, ADDRESSES, MOMENT))
    assert requests == [] and opened.session == ORDER.id
    fields = fields_of(urlsplit(opened.page).query.encode())
    content = orjson.loads(fields["biz_content"])
    assert content["total_amount"] == "123.45" and content["out_trade_no"] == ORDER.id
    assert fields["notify_url"] == ADDRESSES.webhook
    sign = fields.pop("sign")
    # the library in Alipay's place believes it, also with the type inside what is signed
    text = "&".join(f"{name}={value}" for name, value in sorted(fields.items()))
    assert oracle("alipay", "merchant")._verify(text, sign)
    assert not oracle("alipay", "alipay")._verify(text, sign)


@pytest.mark.parametrize("status, kind", [
    ("WAIT_BUYER_PAY", "ignored"), ("TRADE_CLOSED", "expired"), ("TRADE_SUCCESS", "paid"),
    ("TRADE_FINISHED", "paid"), ("SOMETHING", "ignored")])
def test_how_an_order_stands(status: str, kind: str) -> None:
    reply = answer("alipay.trade.query", {
        "code": "10000", "msg": "Success {\"}", "trade_status": status, "trade_no": "t_1",
        "out_trade_no": ORDER.id, "total_amount": "123.45"})
    [request], said = talk(partners.alipay().status(ORDER, MOMENT), reply)
    assert fields_of(request.body)["method"] == "alipay.trade.query"
    assert (said.kind, said.amount_minor, said.currency, said.trade) == (kind, 12345, "CNY", "t_1")
    heard = read(trade_status=status)
    assert (heard.kind, heard.event, heard.order) == (kind, "n_1", ORDER.id)


def test_the_library_reads_our_kind_of_answer_and_refuses_a_changed_one() -> None:
    reply = answer("alipay.trade.query", {"code": "10000", "msg": "Success"})
    name = "alipay_trade_query_response"
    assert oracle()._verify_and_return_sync_response(reply.body.decode(), name)["code"] == "10000"
    changed = reply.body.replace(b"10000", b"10001")
    with pytest.raises(AliPayValidationError):
        oracle()._verify_and_return_sync_response(changed.decode(), name)
    with pytest.raises(RelayError) as caught:
        talk(partners.alipay().status(ORDER, MOMENT), PartnerReply(200, {}, changed))
    assert caught.value.code == "partner_failed"


@pytest.mark.parametrize("beside", [
    '"alipay_trade_query_response":{forged},{signed}',  # of two of one name the later is read
    '{signed},"alipay_trade_query_response":{forged}',
    '"a":{{{signed}}},"alipay_trade_query_response":{forged}',
])
def test_what_stands_beside_a_signed_answer_is_not_believed(beside: str) -> None:
    waits = {"code": "10000", "out_trade_no": ORDER.id, "trade_status": "WAIT_BUYER_PAY"}
    forged = {**waits, "trade_status": "TRADE_SUCCESS", "trade_no": "t_1",
              "total_amount": "123.45"}
    signed_part, sign = answer("alipay.trade.query", waits).body.decode()[1:].split(',"sign"')
    body = beside.format(signed=signed_part, forged=orjson.dumps(forged).decode())
    try:
        _, said = talk(partners.alipay().status(ORDER, MOMENT),
                       PartnerReply(200, {}, f'{{{body},"sign"{sign}'.encode()))
    except RelayError as error:
        assert error.code == "partner_failed"
    else:
        assert said.kind == "ignored"


@pytest.mark.parametrize("reply, code", [
    (PartnerReply(500), "partner_failed"), (PartnerReply(403), "partner_refused"),
    (PartnerReply(200, {}, b"{}"), "partner_failed"),
    (PartnerReply(200, {}, b'{"alipay_trade_query_response":{}}'), "partner_failed"),
    (answer("alipay.trade.query", {"code": "20000"}), "partner_failed"),
    (answer("alipay.trade.query", {"code": "10000"}, key="merchant"), "partner_failed"),
    (answer("alipay.trade.query", {"code": "10000", "out_trade_no": "ord_2",
                                   "trade_status": "TRADE_SUCCESS"}), "partner_failed"),
    # not known, which is not the same as not there: it would end with its time, unasked
    (answer("alipay.trade.query", {"code": "40004", "sub_code": "ACQ.SYSTEM_ERROR"}),
     "partner_failed"),
    (answer("alipay.trade.query", {"code": "10000", "out_trade_no": ORDER.id, "trade_no": [],
                                   "trade_status": "WAIT_BUYER_PAY"}), "partner_failed"),
])
def test_answers_that_are_none(reply: PartnerReply, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        talk(partners.alipay().status(ORDER, MOMENT), reply)
    assert caught.value.code == code


def test_a_trade_that_is_not_there_yet() -> None:
    reply = answer("alipay.trade.query", {"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST"})
    assert talk(partners.alipay().status(ORDER, MOMENT), reply)[1].kind == "ignored"


def test_refunds() -> None:
    done = answer("alipay.trade.fastpay.refund.query", {
        "code": "10000", "refund_amount": "5.00", "refund_status": "REFUND_SUCCESS",
        "trade_no": "trade_1", "out_request_no": "rf_1"})
    asked = answer("alipay.trade.refund", {"code": "10000", "fund_change": "N"})
    conversation = partners.alipay().refund(ORDER, REFUND, ADDRESSES, MOMENT)
    requests, said = talk(conversation, asked, done)
    content = orjson.loads(fields_of(requests[0].body)["biz_content"])
    assert content == {"out_trade_no": ORDER.id, "refund_amount": "5.00",
                       "out_request_no": "rf_1"}
    assert (said.kind, said.amount_minor, said.reference, said.trade) == (
        "refunded", 500, "rf_1", "trade_1")
    # no status: it never came, or failed
    for nothing in ({"code": "10000"}, {"code": "10000", "refund_amount": "5.00"}):
        reply = answer("alipay.trade.fastpay.refund.query", nothing)
        assert talk(partners.alipay().refund_status(ORDER, "rf_1", MOMENT),
                    reply)[1].kind == "ignored"


def test_a_refund_that_was_made_without_a_name_is_asked_about_by_the_order_s() -> None:
    """As in Alipay's own console: its message has the trade's number for a name."""
    said = read(refund_fee="5.00", out_biz_no="trade_1", trade_status="TRADE_CLOSED")
    assert said.reference == ORDER.trade == "trade_1"
    method = "alipay.trade.fastpay.refund.query"
    requests, asked = talk(
        partners.alipay().refund_status(ORDER, said.reference, MOMENT),
        answer(method, {"code": "10000"}), answer(method, {
            "code": "10000", "refund_amount": "5.00", "refund_status": "REFUND_SUCCESS",
            "trade_no": "trade_1", "out_request_no": ORDER.id}))
    assert [orjson.loads(fields_of(request.body)["biz_content"])["out_request_no"]
            for request in requests] == ["trade_1", ORDER.id]
    assert (asked.kind, asked.amount_minor, asked.reference, asked.trade) == (
        "refunded", 500, "trade_1", "trade_1")


@pytest.mark.parametrize("change", [{"trade_no": 5}, {"out_request_no": "rf_2"}])
def test_refunds_that_cannot_be_read(change: dict[str, object]) -> None:
    reply = answer("alipay.trade.fastpay.refund.query", {
        "code": "10000", "refund_amount": "5.00", "refund_status": "REFUND_SUCCESS",
        "trade_no": "trade_1", "out_request_no": "rf_1", **change})
    with pytest.raises(RelayError) as caught:
        talk(partners.alipay().refund_status(ORDER, "rf_1", MOMENT), reply)
    assert caught.value.code == "partner_failed"


@pytest.mark.parametrize("sub_code, kind", [
    ("ACQ.TRADE_HAS_FINISHED", "refund_failed"), ("ACQ.SYSTEM_ERROR", "ignored")])
def test_refunds_that_are_refused(sub_code: str, kind: str) -> None:
    replies = [answer("alipay.trade.refund", {"code": "40004", "sub_code": sub_code}),
               answer("alipay.trade.fastpay.refund.query", {"code": "10000"})]
    conversation = partners.alipay().refund(ORDER, REFUND, ADDRESSES, MOMENT)
    assert talk(conversation, *replies[:1 if kind == "refund_failed" else 2])[1].kind == kind


def test_a_message_about_a_refund_only_makes_us_ask() -> None:
    # refund_fee is the sum of all refunds, so its amount is nobody's
    said = read(refund_fee="10.00", out_biz_no="rf_1", trade_status="TRADE_CLOSED")
    assert (said.kind, said.amount_minor, said.reference) == ("refunded", 0, "rf_1")


def test_what_the_library_accepts_we_accept() -> None:
    body = signed(NOTIFY)
    assert partners.alipay().webhook({}, body, NOW_MS).kind == "paid"
    fields = fields_of(body)
    assert oracle().verify(fields, fields.pop("sign"))


def test_a_message_with_an_empty_field() -> None:
    """Signed without it, or, as the library checks it, with it."""
    empty = {**NOTIFY, "passback_params": ""}
    assert partners.alipay().webhook({}, signed(empty), NOW_MS).kind == "paid"
    text = "&".join(f"{name}={empty[name]}" for name in sorted(empty))
    whole = {**empty, "sign": oracle("alipay")._sign(text), "sign_type": "RSA2"}
    assert partners.alipay().webhook({}, urlencode(whole).encode(), NOW_MS).kind == "paid"
    assert oracle().verify(whole, whole.pop("sign"))


def forgeries() -> dict[str, bytes]:
    body = signed(NOTIFY)
    return {
        "another key": signed(NOTIFY, "merchant"),
        "another amount": body.replace(b"123.45", b"999.99"),
        "another order": body.replace(ORDER.id.encode(), b"ord_2"),
        "another status": signed({**NOTIFY, "trade_status": "WAIT"}).replace(b"WAIT", b"TRADE"),
        "no signature": urlencode(NOTIFY).encode(),
        "an empty signature": urlencode({**NOTIFY, "sign": "", "sign_type": "RSA2"}).encode(),
        "another type": body.replace(b"RSA2", b"RSA"),
        "a field twice": body + b"&total_amount=1.00",
        "a field more": body + b"&x=1",
        "another application": signed({**NOTIFY, "app_id": "2021000000000002"}),
        "another seller": signed({**NOTIFY, "seller_id": "2088000000000002"}),
        "no seller": signed({**NOTIFY, "seller_id": ""}),
        "no form": b"{}",
        "no text": b"\xff\xfe",
        "nothing": b"",
        "an endless form": b"&".join(b"a%d=1" % number for number in range(1000)),
    }


@pytest.mark.parametrize("name", forgeries())
def test_forgeries(name: str) -> None:
    with pytest.raises(RelayError) as caught:
        partners.alipay().webhook({}, forgeries()[name], NOW_MS)
    assert caught.value.code == "webhook_forged"


@pytest.mark.parametrize("late_ms, code", [
    (WINDOW_MS, None), (WINDOW_MS + 1000, "webhook_stale"), (-300_000, None),
    (-301_000, "webhook_stale")])
def test_the_window(late_ms: int, code: str | None) -> None:
    body = signed(NOTIFY)
    if code is None:
        assert partners.alipay().webhook({}, body, NOW_MS + late_ms).kind == "paid"
    else:
        with pytest.raises(RelayError) as caught:
            partners.alipay().webhook({}, body, NOW_MS + late_ms)
        assert caught.value.code == code


@pytest.mark.parametrize("change", [
    {"notify_time": "yesterday"}, {"notify_id": ""}, {"notify_type": "other"},
    {"total_amount": "1e3"}, {"total_amount": ""}])
def test_signed_messages_that_cannot_be_read(change: dict[str, str]) -> None:
    with pytest.raises(RelayError) as caught:
        read(**change)
    assert caught.value.code == "webhook_unreadable"


def bill(*rows: str) -> bytes:
    """A zip as Alipay makes it, with the sums in a table of their own."""
    head = ("支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,对方账户,订单金额（元）,"
            "商家实收（元）,退款批次号/请求号,服务费（元）,备注")
    text = "\r\n".join(["#支付宝业务明细查询", "#账号：[20880000]", head, *rows,
                        "#-------业务明细列表结束----", "#导出时间：[2026年09月22日]"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("20880000_20260921_业务明细.csv", text.encode("gb18030"))
        archive.writestr("20880000_20260921_业务明细(汇总).csv", "#汇总\r\n".encode("gb18030"))
    return packed.getvalue()


def test_a_statement() -> None:
    told = answer("alipay.data.dataservice.bill.downloadurl.query", {
        "code": "10000", "bill_download_url": "https://dwbillcenter.alipay.com/x?token=1"})
    rows = (f"202609\t,{ORDER.id}\t,交易,API,a,b,payer@x.test,123.45,123.45,,-0.74,",
            f"202609\t,{ORDER.id}\t,退款,API,a,b,payer@x.test,-5.00,-5.00,rf_1\t,0.03,")
    requests, lines = talk(partners.alipay().statement("2026-09-21", MOMENT), told,
                           PartnerReply(200, {}, bill(*rows)))
    assert requests[1].target == "https://dwbillcenter.alipay.com/x?token=1"
    assert lines == [StatementLine("payment", ORDER.id, "CNY", 12345, 74),
                     StatementLine("refund", "rf_1", "CNY", 500, -3)]
    # 16:00 UTC of the day before is midnight in Beijing
    assert partners.alipay().day_start_ms("2026-09-21") % 86_400_000 == 16 * 3_600_000


def test_a_day_without_a_bill() -> None:
    method = "alipay.data.dataservice.bill.downloadurl.query"
    none = answer(method, {"code": "40004", "sub_code": "isp.bill_not_exist"})
    assert talk(partners.alipay().statement("2026-09-21", MOMENT), none)[1] == []
    for replies in ([answer(method, {"code": "40004"})],
                    [answer(method, {"code": "10000", "bill_download_url": "https://x"}),
                     PartnerReply(200, {}, b"no zip")]):
        with pytest.raises(RelayError) as caught:
            talk(partners.alipay().statement("2026-09-21", MOMENT), *replies)
        assert caught.value.code == "partner_failed"
