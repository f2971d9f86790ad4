"""Bills: what is no bill, and what is packed to be larger than anybody reads."""

from __future__ import annotations

import io
import zipfile

import pytest

from relayd.core.errors import RelayError
from relayd.core.statement import StatementLine
from relayd.wire import partner_bill
from relayd.wire.partner_bill import alipay_lines, unzipped, wechat_lines


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no zip"])
def test_what_is_no_zip(data: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        list(unzipped(data))
    assert caught.value.code == "partner_failed"


def test_what_is_packed_too_tightly(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"0" * 100_000)
    assert len(list(unzipped(packed.getvalue()))) == 1
    monkeypatch.setattr(partner_bill, "UNPACKED_BYTES_MAX", 99_999)
    with pytest.raises(RelayError):
        list(unzipped(packed.getvalue()))


def test_other_tables_have_no_lines() -> None:
    for text in ("", "a,b\r\n1,2", "#comment"):
        assert alipay_lines(text) == [] and wechat_lines(text) == []


def test_amounts_that_are_none() -> None:
    head = "支付宝交易号,商户订单号,业务类型,订单金额（元）,退款批次号/请求号,服务费（元）"
    with pytest.raises(RelayError):
        alipay_lines(f"{head}\r\n1,ord_1,交易,1e3,,0.00")


def test_a_return_alone_ends_no_line() -> None:
    """As in what somebody else's goods on the same account are called."""
    head = "支付宝交易号,商户订单号,业务类型,商品名称,订单金额（元）,退款批次号/请求号,服务费（元）"
    rows = "1,ord_1,交易,two\rlines,5.00,,0.00\r\n2,ord_2,交易,x,6.00,,0.00"
    assert [line.reference for line in alipay_lines(f"{head}\r\n{rows}")] == ["ord_1", "ord_2"]


def test_goods_may_have_commas_and_quotes_in_their_names() -> None:
    """Somebody else's goods of the same merchant."""
    head = ("微信订单号,商户订单号,交易状态,货币种类,商户退款单号,退款状态,商品名称,手续费,费率,"
            "订单金额,申请退款金额")
    rows = ('`4,`ord_1,`SUCCESS,`CNY,`0,`,`"tea, green,`0.03,`0.60%,`5.00,`0.00\r\n'
            "`5,`ord_2,`SUCCESS,`CNY,`0,`,`x,`0.04,`0.60%,`6.00,`0.00\r\n"
            "总交易单数,总金额\r\n`2,`11.00\r\n")
    assert wechat_lines(f"\ufeff{head}\r\n{rows}") == [
        StatementLine("payment", "ord_1", "CNY", 500, 3),
        StatementLine("payment", "ord_2", "CNY", 600, 4)]


def test_a_row_of_a_kind_that_nobody_knows_is_no_payment() -> None:
    head = "支付宝交易号,商户订单号,业务类型,订单金额（元）,退款批次号/请求号,服务费（元）"
    assert alipay_lines(f"{head}\r\n1,ord_1,退款（冲退）,-5.00,,0.10") == [
        StatementLine("other", "退款（冲退）:1", "CNY", 500, -10)]
    head = "微信订单号,商户订单号,交易状态,货币种类,商户退款单号,退款状态,订单金额,申请退款金额,手续费"
    assert wechat_lines(f"{head}\r\n`4,`ord_1,`REVOKED,`CNY,`0,`,`5.00,`0.00,`0.00") == [
        StatementLine("other", "REVOKED:4", "CNY", 500, 0)]


def test_a_table_that_cannot_be_read() -> None:
    with pytest.raises(RelayError) as caught:
        alipay_lines("支付宝交易号," + "x" * 200_000)
    assert caught.value.code == "partner_failed"


@pytest.mark.parametrize(("state", "line"), [
    ("SUCCESS", StatementLine("refund", "rf_1", "CNY", 200, -1)),
    ("PROCESSING", StatementLine("refund", "rf_1", "CNY", 200, -1)),
    ("FAIL", None), ("CHANGE", None), ("", None),
    ("REVERSED", StatementLine("other", "REFUND.REVERSED:rf_1", "CNY", 200, -1)),
])
def test_a_refund_that_went_has_its_own_amount_and_name(
    state: str, line: StatementLine | None
) -> None:
    head = "微信订单号,商户订单号,交易状态,货币种类,商户退款单号,退款状态,订单金额,申请退款金额,手续费"
    rows = (f"`4,`ord_1,`REFUND,`CNY,`rf_1,`{state},`5.00,`2.00,`-0.01\r\n"
            "`5,`ord_2,`SUCCESS,`CNY,`0,`,`6.00,`0.00,`0.04\r\n总交易单数,总金额\r\n`2,`7.00")
    paid = StatementLine("payment", "ord_2", "CNY", 600, 4)
    assert wechat_lines(f"{head}\r\n{rows}") == ([line, paid] if line else [paid])
