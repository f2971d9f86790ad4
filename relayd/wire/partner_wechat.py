"""WeChat Pay, API v3: orders by QR code (native) or on the payer's own telephone (H5), signed and
sealed messages, refunds, bills.

Law: whatever comes from WeChat Pay is believed for its signature alone, by a key that is known
here, and no older than the window; what is sealed opens only with the merchant's own key. Orders
are native ones: an H5 order tells WeChat Pay the payer's network address, so it is made only where
the payer chose it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relayd.core.errors import RelayError
from relayd.core.order import ON_PHONE, Order
from relayd.core.partner import Checkout, EventKind, PartnerEvent, PartnerKind
from relayd.core.refund import Refund
from relayd.core.statement import StatementLine
from relayd.wire.partner import (
    OTHER_SHAPE, SUBJECT, Acknowledgement, Addresses, Moment, PartnerReply, PartnerRequest,
    as_minor, as_name, as_text, flat_names, read_json, rsa_sign, rsa_verified,
)
from relayd.wire.partner_bill import BEIJING, day_start_ms, wechat_lines

WINDOW_SECONDS: Final = 300
SCHEME: Final = "WECHATPAY2-SHA256-RSA2048"
_PROBE: Final = "WECHATPAY/SIGNTEST/"
_JSON: Final = "application/json"
_TRADES: Final[dict[str, EventKind]] = {
    # a trade that was refunded in part or whole was paid
    "SUCCESS": "paid", "REFUND": "paid", "CLOSED": "expired", "REVOKED": "expired",
    "PAYERROR": "failed"}
_REFUNDS: Final[dict[str, EventKind]] = {
    "SUCCESS": "refunded", "CLOSED": "refund_failed", "ABNORMAL": "refund_failed"}
_NOT_THERE: Final = 404


class WeChatPay:
    """A merchant. `platform_keys` are WeChat Pay's own, by their ids or certificates' serials."""

    kind: Final[PartnerKind] = "wechat"
    acknowledgement: Final = Acknowledgement(204, _JSON, b"")

    def __init__(self, name: str, app_id: str, merchant: tuple[str, str],
                 private_key: RSAPrivateKey, api_key: bytes,
                 platform_keys: Mapping[str, RSAPublicKey]) -> None:
        self._name = name
        self._app_id = app_id
        self._merchant_id, self._serial = merchant
        self._private_key = private_key
        self._sealer = AESGCM(api_key)
        self._platform_keys = platform_keys

    def checkout(self, order: Order, addresses: Addresses, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, Checkout]:
        """A native order: the page is an address that the payer's phone reads as a QR code. With
        the payer's network address an H5 order: the page opens WeChat on the phone it is on."""
        content: dict[str, Any] = {
            "appid": self._app_id, "mchid": self._merchant_id, "description": SUBJECT,
            "out_trade_no": order.id, "time_expire": _rfc3339(order.expires_at_ms),
            "notify_url": addresses.webhook,
            "amount": {"total": order.amount_minor, "currency": order.currency},
        }
        if not addresses.payer:
            reply = yield self._post("/v3/pay/transactions/native", content, moment)
            return Checkout(order.id, self._address(reply, "code_url", moment))
        content["scene_info"] = {"payer_client_ip": addresses.payer, "h5_info": {"type": "Wap"}}
        reply = yield self._post("/v3/pay/transactions/h5", content, moment)
        page = self._address(reply, "h5_url", moment)
        back = urlencode({"redirect_url": addresses.returned})
        return Checkout(ON_PHONE + order.id, f"{page}{'&' if '?' in page else '?'}{back}")

    def _address(self, reply: PartnerReply, name: str, moment: Moment) -> str:
        address = self._read(reply, moment).get(name)
        if not isinstance(address, str):
            raise RelayError("partner_failed")
        return address

    def status(self, order: Order, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """How the order stands."""
        reply = yield self._get(
            f"/v3/pay/transactions/out-trade-no/{quote(order.id, safe='')}",
            {"mchid": self._merchant_id}, moment)
        if reply.status == _NOT_THERE:
            return PartnerEvent(self._name, "", "ignored", order.id)
        return _of_order(order, self._trade(self._read(reply, moment), ""))

    def refund(self, order: Order, refund: Refund, addresses: Addresses, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """A refund; asked again with the same id it is the same one. Whoever asks again looks
        first: a refusal, which need not be signed, then says nothing of one that is under way."""
        if moment.now_ms > refund.asked_at_ms:
            said = yield from self._found(order, refund.id, moment)
            if said is not None:
                return said
            moment = moment._replace(nonce=moment.nonce[::-1])
        reply = yield self._post("/v3/refund/domestic/refunds", {
            "out_trade_no": order.id, "out_refund_no": refund.id,
            "notify_url": addresses.webhook,
            "amount": {"refund": refund.amount_minor, "total": order.amount_minor,
                       "currency": order.currency},
        }, moment)
        if reply.status in (400, 403):
            return PartnerEvent(self._name, "", "refund_failed", order.id, reference=refund.id)
        return _of_refund(order, refund.id, self._refund(
            self._read(reply, moment), "", "status"))

    def refund_status(self, order: Order, reference: str, moment: Moment
                      ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """How a refund stands."""
        said = yield from self._found(order, reference, moment)
        return said or PartnerEvent(self._name, "", "ignored", order.id, reference=reference)

    def _found(self, order: Order, reference: str, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent | None]:
        """How a refund stands; None where WeChat Pay has none of this name."""
        reply = yield self._get(
            f"/v3/refund/domestic/refunds/{quote(reference, safe='')}", {}, moment)
        if reply.status == _NOT_THERE:
            return None
        return _of_refund(order, reference, self._refund(
            self._read(reply, moment), "", "status"))

    def order_of(self, trade: str, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, str]:
        """Every message names its order."""
        yield from ()
        return ""

    def statement(self, day: str, moment: Moment
                  ) -> Generator[PartnerRequest, PartnerReply, list[StatementLine]]:
        """The bill of a day of Beijing; a day without trades has none."""
        reply = yield self._get(
            "/v3/bill/tradebill", {"bill_date": day, "bill_type": "ALL"}, moment)
        if reply.status == 400 and b"NO_STATEMENT_EXIST" in reply.body:
            return []
        told = self._read(reply, moment)
        try:
            bill = yield self._download(str(told["download_url"]), moment)
            # the sum that WeChat Pay's own, signed answer gives
            if bill.status != 200 or hashlib.sha1(
                    bill.body, usedforsecurity=False).hexdigest() != told["hash_value"].lower():
                raise RelayError("partner_failed")
            return wechat_lines(bill.body.decode("utf-8"))
        except OTHER_SHAPE:
            raise RelayError("partner_failed") from None

    def day_start_ms(self, day: str) -> int:
        """Days are Beijing's."""
        return day_start_ms(day)

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> PartnerEvent:
        """A message about a trade or a refund."""
        self._verify(headers, body, now_ms)
        try:
            said = orjson.loads(body)
            thing = self._opened(said["resource"])
            name, event = as_text(said["event_type"]), as_text(said["id"])
            if thing["mchid"] != self._merchant_id:
                raise RelayError("webhook_forged")
            if name == "TRANSACTION.SUCCESS":
                return self._trade(thing, event)
            if name.startswith("REFUND."):
                return self._refund(thing, event, "refund_status")
            return PartnerEvent(self._name, event, "ignored", "")
        except OTHER_SHAPE:
            raise RelayError("webhook_unreadable") from None

    def _verify(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> None:
        """Raises `webhook_forged`, `webhook_stale`; probes with wrong signatures are sent on
        purpose, and fail."""
        told = headers.get("wechatpay-timestamp", "")
        nonce = headers.get("wechatpay-nonce", "")
        signature = headers.get("wechatpay-signature", "")
        key = self._platform_keys.get(headers.get("wechatpay-serial", ""))
        plain = told.isascii() and told.isdigit() and len(told) <= 12
        text = b"%b\n%b\n%b\n" % (told.encode("utf-8", "replace"),
                                  nonce.encode("utf-8", "replace"), body)
        if key is None or not plain or signature.startswith(_PROBE) \
                or not rsa_verified(key, text, signature):
            raise RelayError("webhook_forged")
        if abs(now_ms // 1000 - int(told)) > WINDOW_SECONDS:
            raise RelayError("webhook_stale")

    def _opened(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        try:
            plain = self._sealer.decrypt(
                resource["nonce"].encode(), base64.b64decode(resource["ciphertext"]),
                str(resource.get("associated_data") or "").encode())
        except InvalidTag:
            raise RelayError("webhook_forged") from None
        value = orjson.loads(plain)
        if not isinstance(value, dict):
            raise RelayError("webhook_unreadable")
        return value

    def _trade(self, said: Mapping[str, Any], event: str) -> PartnerEvent:
        try:
            kind = _TRADES.get(said["trade_state"], "ignored")
            amount = said.get("amount") or {}
            if kind == "paid" and said["appid"] != self._app_id:
                raise RelayError("webhook_forged" if event else "partner_failed")
            return PartnerEvent(
                self._name, event, kind, as_text(said["out_trade_no"]),
                as_name(amount.get("currency")) or "", as_minor(amount.get("total")),
                as_name(said.get("transaction_id")))
        except OTHER_SHAPE:
            raise RelayError("webhook_unreadable" if event else "partner_failed") from None

    def _refund(self, said: Mapping[str, Any], event: str, state: str) -> PartnerEvent:
        try:
            # messages have no currency: domestic refunds are in yuan
            return PartnerEvent(
                self._name, event, _REFUNDS.get(said[state], "ignored"),
                as_text(said["out_trade_no"]), as_name(said["amount"].get("currency")) or "CNY",
                as_minor(said["amount"]["refund"]), as_name(said.get("transaction_id")),
                as_text(said["out_refund_no"]))
        except OTHER_SHAPE:
            raise RelayError("webhook_unreadable" if event else "partner_failed") from None

    def _read(self, reply: PartnerReply, moment: Moment) -> dict[str, Any]:
        """The JSON object of an answer that is WeChat Pay's own, and no old one."""
        value = read_json(reply)
        try:
            self._verify(reply.headers, reply.body, moment.now_ms)
        except RelayError:
            raise RelayError("partner_failed") from None
        return dict(value)

    def _post(self, path: str, content: dict[str, Any], moment: Moment) -> PartnerRequest:
        body = orjson.dumps(content)
        return PartnerRequest("POST", path, tuple(flat_names(content)),
                              self._headers("POST", path, body, moment), body)

    def _get(self, path: str, query: dict[str, str], moment: Moment) -> PartnerRequest:
        target = f"{path}?{urlencode(query)}" if query else path
        return PartnerRequest(
            "GET", target, tuple(query), self._headers("GET", target, b"", moment))

    def _download(self, address: str, moment: Moment) -> PartnerRequest:
        """Signed as any other request; the address is one that WeChat Pay gave."""
        path = "/" + address.split("/", 3)[3]
        again = moment._replace(nonce=moment.nonce + "2")
        return PartnerRequest("GET", address, (), self._headers("GET", path, b"", again))

    def _headers(self, method: str, target: str, body: bytes, moment: Moment) -> dict[str, str]:
        told = str(moment.now_ms // 1000)
        text = f"{method}\n{target}\n{told}\n{moment.nonce}\n".encode() + body + b"\n"
        token = (f'mchid="{self._merchant_id}",nonce_str="{moment.nonce}",'
                 f'signature="{rsa_sign(self._private_key, text)}",timestamp="{told}",'
                 f'serial_no="{self._serial}"')
        found = {"authorization": f"{SCHEME} {token}", "accept": _JSON, "user-agent": "relayd"}
        if body:
            found["content-type"] = _JSON
        key_id = next(iter(self._platform_keys))
        # by a key's id WeChat Pay signs with that key; a certificate's serial says nothing there
        return {**found, "wechatpay-serial": key_id} if key_id.startswith("PUB_KEY_ID") else found


def _of_order(order: Order, said: PartnerEvent) -> PartnerEvent:
    """An answer about the order that was asked about; about another one it is no answer."""
    if said.order != order.id:
        raise RelayError("partner_failed")
    return said


def _of_refund(order: Order, reference: str, said: PartnerEvent) -> PartnerEvent:
    """The same of a refund."""
    if said.reference != reference:
        raise RelayError("partner_failed")
    return _of_order(order, said)


def _rfc3339(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).astimezone(BEIJING)
    return moment.isoformat(timespec="seconds")
