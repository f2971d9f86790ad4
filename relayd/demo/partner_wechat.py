"""The demo's third partner, in WeChat Pay's words: orders, sealed messages, refunds, bills."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relayd.core.currency import minor_text
from relayd.demo.partner_keys import (
    APP_ID, CURRENCY, MERCHANT_ID, PLATFORM_KEY_ID, SERIAL, PartnerKeys,
)
from relayd.demo.partner_trade import Book, Returned, Told, Trade
from relayd.wire.partner import rsa_sign, rsa_verified
from relayd.wire.partner_bill import BEIJING, day_start_ms

_TOKEN: Final = re.compile(
    r'WECHATPAY2-SHA256-RSA2048 mchid="([^"]*)",nonce_str="([^"]*)",signature="([^"]*)",'
    r'timestamp="([0-9]*)",serial_no="([^"]*)"')
_STATES: Final = {"open": "NOTPAY", "paid": "SUCCESS", "failed": "PAYERROR"}
_HEADS: Final = ("交易时间,公众账号ID,商户号,微信订单号,商户订单号,用户标识,交易状态,货币种类,"
                 "微信退款单号,商户退款单号,退款状态,商品名称,手续费,费率,订单金额,申请退款金额")
Answer = tuple[int, dict[str, Any]]


class WeChatFace:
    """What WeChat Pay answers and says."""

    def __init__(self, book: Book, keys: PartnerKeys) -> None:
        self._book = book
        self._keys = keys

    def is_merchant(self, method: str, target: str, body: bytes, authorization: str) -> bool:
        """Whether the merchant's key signed this request."""
        found = _TOKEN.fullmatch(authorization)
        if found is None or (found[1], found[5]) != (MERCHANT_ID, SERIAL):
            return False
        text = f"{method}\n{target}\n{found[4]}\n{found[2]}\n".encode() + body + b"\n"
        return rsa_verified(self._keys.merchant.public_key(), text, found[3])

    def post(self, path: str, said: Mapping[str, Any], origin: str) -> Answer:
        """A POST: an order, or a refund."""
        try:
            if path == "/v3/pay/transactions/native":
                # a phone would read weixin://...; here it is the page itself
                return 200, {"code_url": self._begun(said, origin)}
            if path == "/v3/pay/transactions/h5":
                scene = said["scene_info"]
                ip_address(scene["payer_client_ip"])
                if scene["h5_info"]["type"] not in ("iOS", "Android", "Wap"):
                    raise ValueError
                return 200, {"h5_url": f"{self._begun(said, origin)}?prepay_id=demo"}
            if path == "/v3/refund/domestic/refunds":
                return self._refund(said)
        except (KeyError, TypeError, ValueError):
            return 400, {"code": "PARAM_ERROR", "message": "demo"}
        return 404, {"code": "NOT_FOUND", "message": "demo"}

    def _begun(self, said: Mapping[str, Any], origin: str) -> str:
        """The page of an order."""
        expires = datetime.fromisoformat(said["time_expire"])
        trade = self._book.begin("wechat", Told(
            said["out_trade_no"], said["amount"]["currency"], said["amount"]["total"],
            said["notify_url"], "", int(expires.timestamp()) * 1000))
        return f"{origin}/page/{trade.session}"

    def _refund(self, said: Mapping[str, Any]) -> Answer:
        found = self._book.of_order("wechat", said["out_trade_no"])
        made = None if found is None else self._book.refund(
            found, said["out_refund_no"], said["amount"]["refund"])
        if found is None or made is None:
            return 403, {"code": "NOT_ENOUGH", "message": "demo"}
        return 200, {**_returned(found, made), "status": "SUCCESS"}

    def get(self, path: str, query: Mapping[str, str], origin: str) -> Answer:
        """A GET: how an order or a refund stands, or where a bill is."""
        if path.startswith("/v3/pay/transactions/out-trade-no/"):
            trade = self._book.of_order("wechat", path.rpartition("/")[2])
            return _missing() if trade is None else (200, _trade(trade))
        if path.startswith("/v3/refund/domestic/refunds/"):
            asked = path.rpartition("/")[2]
            answers = [_returned(trade, made) for trade in self._book.trades.values()
                       for made in trade.refunds if asked in (made.asked, made.id)]
            return (200, {**answers[0], "status": "SUCCESS"}) if answers else _missing()
        if path == "/v3/bill/tradebill":
            day = query["bill_date"]
            value = hashlib.sha1(self.bill(day), usedforsecurity=False).hexdigest()
            return 200, {"hash_type": "SHA1", "hash_value": value, "download_url":
                         f"{origin}/wechat/v3/billdownload/file?token={day}"}
        return _missing()

    def message(self, trade: Trade, what: str, made: Returned | None = None
                ) -> tuple[dict[str, str], bytes]:
        """A message, sealed and signed."""
        name, thing = "TRANSACTION.SUCCESS", _trade(trade)
        if made is not None:
            name = "REFUND.SUCCESS"
            thing = {**_returned(trade, made), "refund_status": "SUCCESS"}
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self._keys.api_key.encode()).encrypt(
            nonce.encode(), orjson.dumps(thing), b"demo")
        body = orjson.dumps({
            "id": f"EV-{secrets.token_hex(12)}", "event_type": name, "summary": "demo",
            "resource_type": "encrypt-resource", "create_time": _rfc3339(self._book.now_ms()),
            "resource": {"algorithm": "AEAD_AES_256_GCM", "original_type": "transaction",
                         "nonce": nonce, "associated_data": "demo",
                         "ciphertext": base64.b64encode(sealed).decode()}})
        return self.signed(body), body

    def signed(self, body: bytes) -> dict[str, str]:
        """The headers of a message or an answer that is sent now."""
        told, nonce = str(self._book.now_ms() // 1000), secrets.token_hex(16)
        text = f"{told}\n{nonce}\n".encode() + body + b"\n"
        return {"Wechatpay-Timestamp": told, "Wechatpay-Nonce": nonce,
                "Wechatpay-Serial": PLATFORM_KEY_ID,
                "Wechatpay-Signature": rsa_sign(self._keys.partner, text),
                "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
                "Content-Type": "application/json"}

    def bill(self, day: str) -> bytes:
        """A day's bill."""
        start = day_start_ms(day)
        rows, lines = [_HEADS], self._book.day("wechat", start)
        for line in lines:
            refund = line.what == "refund"
            cells = (
                _rfc3339(line.at_ms), APP_ID, MERCHANT_ID, line.trade.number,
                line.trade.told.order, "demo", "REFUND" if refund else "SUCCESS", CURRENCY,
                line.name if refund else "0", line.name if refund else "0",
                "SUCCESS" if refund else "", "API credit",
                minor_text(0 if refund else line.trade.fee, CURRENCY), "0.60%",
                minor_text(0 if refund else line.amount, CURRENCY),
                minor_text(line.amount if refund else 0, CURRENCY))
            rows.append(",".join("`" + cell for cell in cells))
        rows += ["总交易单数,应结订单总金额", f"`{len(lines)},`0.00"]
        return "\ufeff".encode() + "\r\n".join(rows).encode()


def _missing() -> Answer:
    return 404, {"code": "ORDER_NOT_EXIST", "message": "demo"}


def _trade(trade: Trade) -> dict[str, Any]:
    state = "REFUND" if trade.refunds else _STATES.get(trade.state, "CLOSED")
    return {"appid": APP_ID, "mchid": MERCHANT_ID, "out_trade_no": trade.told.order,
            "transaction_id": trade.number, "trade_type": "NATIVE", "trade_state": state,
            "amount": {"total": trade.told.amount, "currency": trade.told.currency},
            "payer": {"openid": "demo"}}


def _returned(trade: Trade, made: Returned) -> dict[str, Any]:
    return {"mchid": MERCHANT_ID, "out_trade_no": trade.told.order,
            "transaction_id": trade.number, "out_refund_no": made.asked or made.id,
            "refund_id": made.id, "amount": {"total": trade.told.amount, "refund": made.amount,
                                             "currency": trade.told.currency}}


def _rfc3339(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms // 1000, BEIJING).isoformat(timespec="seconds")
