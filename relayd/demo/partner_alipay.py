"""The demo's second partner, in Alipay's words: the gateway, signed answers, messages, bills."""

from __future__ import annotations

import io
import secrets
import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import orjson

from relayd.core.currency import minor_text, parse_minor
from relayd.demo.partner_keys import APP_ID, CURRENCY, SELLER_ID, PartnerKeys
from relayd.demo.partner_trade import Book, Returned, Told, Trade
from relayd.wire.partner import rsa_sign, rsa_verified
from relayd.wire.partner_bill import BEIJING, day_start_ms

_TIME: Final = "%Y-%m-%d %H:%M:%S"
_STATES: Final = {"open": "WAIT_BUYER_PAY", "paid": "TRADE_SUCCESS"}
_HEADS: Final = ("支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,对方账户,订单金额（元）,"
                 "商家实收（元）,退款批次号/请求号,服务费（元）,备注")
Said = dict[str, Any]


class AlipayFace:
    """What Alipay answers and says."""

    def __init__(self, book: Book, keys: PartnerKeys) -> None:
        self._book = book
        self._keys = keys

    def is_merchant(self, fields: Mapping[str, str]) -> bool:
        """Whether the merchant's key signed these fields."""
        return fields.get("app_id") == APP_ID and rsa_verified(
            self._keys.merchant.public_key(), _signable(fields), fields.get("sign", ""))

    def page(self, fields: Mapping[str, str]) -> Trade | None:
        """The trade that a signed address of the page opens; None where it opens none."""
        if not self.is_merchant(fields) or fields.get("method") != "alipay.trade.page.pay":
            return None
        content = orjson.loads(fields["biz_content"])
        expires = datetime.strptime(content["time_expire"], _TIME).replace(tzinfo=BEIJING)
        return self._book.begin("alipay", Told(
            content["out_trade_no"], CURRENCY,
            parse_minor(content["total_amount"], CURRENCY) or 0, fields["notify_url"],
            fields["return_url"], int(expires.timestamp()) * 1000))

    def call(self, fields: Mapping[str, str], origin: str) -> bytes:
        """The gateway's answer to a signed call."""
        method = fields.get("method", "")
        content = orjson.loads(fields.get("biz_content", "{}"))
        if not self.is_merchant(fields):
            said: Said = {"code": "40002", "sub_code": "isv.invalid-signature"}
        elif method == "alipay.data.dataservice.bill.downloadurl.query":
            said = {"code": "10000", "bill_download_url":
                    f"{origin}/alipay/bill?day={content['bill_date']}"}
        else:
            said = self._about_trade(method, content)
        text = orjson.dumps({"msg": "demo", **said}).decode()
        sign = rsa_sign(self._keys.partner, text.encode())
        return f'{{"{method.replace(".", "_")}_response":{text},"sign":"{sign}"}}'.encode()

    def _about_trade(self, method: str, content: Said) -> Said:
        trade = self._book.of_order("alipay", content.get("out_trade_no", ""))
        if trade is None:
            return {"code": "40004", "sub_code": "ACQ.TRADE_NOT_EXIST"}
        named = {"code": "10000", "out_trade_no": trade.told.order, "trade_no": trade.number}
        if method == "alipay.trade.query":
            return {**named, "trade_status": _status(trade),
                    "total_amount": minor_text(trade.told.amount, CURRENCY)}
        asked = content.get("out_request_no", "")
        if method == "alipay.trade.fastpay.refund.query":
            made = next((each for each in trade.refunds if asked in (each.asked, each.id)), None)
            return named if made is None else {
                **named, "refund_status": "REFUND_SUCCESS", "out_request_no": asked,
                "refund_amount": minor_text(made.amount, CURRENCY)}
        amount = parse_minor(content.get("refund_amount", ""), CURRENCY) or 0
        made = self._book.refund(trade, asked, amount)
        if made is None:
            return {"code": "40004", "sub_code": "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"}
        return {**named, "fund_change": "Y", "refund_fee": minor_text(amount, CURRENCY)}

    def message(self, trade: Trade, what: str, made: Returned | None = None
                ) -> tuple[dict[str, str], bytes]:
        """A message, signed. About a refund it has the sum of all refunds, as Alipay's have."""
        fields = {
            "app_id": APP_ID, "seller_id": SELLER_ID, "charset": "utf-8", "version": "1.0",
            "notify_id": secrets.token_hex(16), "notify_type": "trade_status_sync",
            "out_trade_no": trade.told.order, "trade_no": trade.number,
            "trade_status": _status(trade),
            "total_amount": minor_text(trade.told.amount, CURRENCY)}
        if made is not None:
            fields["refund_fee"] = minor_text(trade.told.amount - trade.left, CURRENCY)
            fields["out_biz_no"] = made.asked or made.id
        return self.signed(urlencode(fields).encode())

    def signed(self, body: bytes) -> tuple[dict[str, str], bytes]:
        """A message as it is sent now: its time and its signature are new each time."""
        plain = {name: value for name, value in parse_qsl(body.decode())
                 if name not in ("sign", "sign_type", "notify_time")}
        plain["notify_time"] = _beijing(self._book.now_ms())
        sign = rsa_sign(self._keys.partner, _signable(plain))
        form = urlencode({**plain, "sign": sign, "sign_type": "RSA2"}).encode()
        return {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, form

    def bill(self, day: str) -> bytes:
        """A day's bill, packed."""
        start = day_start_ms(day)
        rows = ["#支付宝业务明细查询", _HEADS]
        for line in self._book.day("alipay", start):
            refund = line.what == "refund"
            amount = minor_text(-line.amount if refund else line.amount, CURRENCY)
            fee = minor_text(0 if refund else -line.trade.fee, CURRENCY)
            at = _beijing(line.at_ms)
            rows.append(
                f"{line.trade.number}\t,{line.trade.told.order}\t,{'退款' if refund else '交易'},"
                f"API credit,{at},{at},demo***@example.org,{amount},{amount},"
                f"{line.name if refund else ''}\t,{fee},")
        rows.append("#----业务明细列表结束----")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{SELLER_ID}_{day}_业务明细.csv",
                             "\r\n".join(rows).encode("gb18030"))
        return packed.getvalue()


def _status(trade: Trade) -> str:
    closed = trade.state == "paid" and not trade.left
    return "TRADE_CLOSED" if closed else _STATES.get(trade.state, "TRADE_CLOSED")


def _beijing(unix_ms: int) -> str:
    epoch = datetime(1970, 1, 1, tzinfo=BEIJING) + timedelta(hours=8)
    return (epoch + timedelta(seconds=unix_ms // 1000)).strftime(_TIME)


def _signable(fields: Mapping[str, str]) -> bytes:
    """Sorted by name; the merchant signs the type as well, Alipay does not."""
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items())
                    if name != "sign" and value).encode()
