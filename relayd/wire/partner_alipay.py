"""Alipay: signed page addresses, the gateway's calls, signed messages (RSA2), daily bills.

Law: whatever comes from Alipay is believed for its signature alone, and is for this application
and this seller. What a message says about a refund is the sum of all refunds: such a message only
makes us ask.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from relayd.core.currency import minor_text, parse_minor
from relayd.core.errors import RelayError
from relayd.core.order import Order
from relayd.core.partner import Checkout, EventKind, PartnerEvent, PartnerKind, declared
from relayd.core.refund import Refund
from relayd.core.statement import StatementLine
from relayd.wire.partner import (
    OTHER_SHAPE, SUBJECT, Acknowledgement, Addresses, Moment, PartnerReply, PartnerRequest,
    as_name, flat_names, read_json, rsa_sign, rsa_verified,
)
from relayd.wire.partner_bill import BEIJING, CURRENCY, alipay_lines, day_start_ms, unzipped

WINDOW_MS: Final = 26 * 3_600_000
"""A message is repeated for 25 hours; an older one is no repetition."""
_AHEAD_MS: Final = 300_000
_TIME: Final = "%Y-%m-%d %H:%M:%S"
_FORM: Final = "application/x-www-form-urlencoded;charset=utf-8"
_STATES: Final[dict[str, EventKind]] = {
    "TRADE_SUCCESS": "paid", "TRADE_FINISHED": "paid", "TRADE_CLOSED": "expired"}
# the call failed, and whether it did what was asked is not known
_UNSURE: Final = ("ACQ.SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR")
_SUCCESS: Final = "10000"
_BUSINESS_FAILED: Final = "40004"


class Alipay:
    """An Alipay application and its seller. `gateway` is the whole address of the gateway."""

    kind: Final[PartnerKind] = "alipay"
    acknowledgement: Final = Acknowledgement(200, "text/plain", b"success")

    def __init__(self, name: str, gateway: str, app_id: str, seller_id: str,
                 private_key: RSAPrivateKey, alipay_key: RSAPublicKey) -> None:
        self._name = name
        self._gateway = gateway
        self._app_id = app_id
        self._seller_id = seller_id
        self._private_key = private_key
        self._alipay_key = alipay_key

    def checkout(self, order: Order, addresses: Addresses, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, Checkout]:
        """The page's address carries the whole order, signed: Alipay is not asked anything."""
        request = self._request("alipay.trade.page.pay", {
            "out_trade_no": order.id,
            "total_amount": minor_text(order.amount_minor, order.currency),
            "subject": SUBJECT,
            "product_code": "FAST_INSTANT_TRADE_PAY",
            "time_expire": _beijing(order.expires_at_ms),
        }, moment, notify_url=addresses.webhook, return_url=addresses.returned)
        declared(self.kind, request.fields)
        yield from ()
        return Checkout(order.id, f"{self._gateway}?{request.body.decode()}")

    def status(self, order: Order, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """How the trade stands; before the payer has opened the page there is none."""
        said = yield from self._call(
            "alipay.trade.query", {"out_trade_no": order.id}, moment)
        if said.get("sub_code") in _UNSURE:
            raise RelayError("partner_failed")
        if said.get("code") != _SUCCESS:
            return PartnerEvent(self._name, "", "ignored", order.id)
        return self._trade(said, "", order.id)

    def refund(self, order: Order, refund: Refund, addresses: Addresses, moment: Moment
               ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """A refund; asked again with the same id it is the same one."""
        said = yield from self._call("alipay.trade.refund", {
            "out_trade_no": order.id,
            "refund_amount": minor_text(refund.amount_minor, order.currency),
            "out_request_no": refund.id,
        }, moment)
        if said.get("code") == _BUSINESS_FAILED and said.get("sub_code") not in _UNSURE:
            return PartnerEvent(self._name, "", "refund_failed", order.id, reference=refund.id)
        # `fund_change` may say N of a refund that is done: the query decides
        return (yield from self.refund_status(order, refund.id, moment))

    def refund_status(self, order: Order, reference: str, moment: Moment
                      ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        """How a refund stands. One that was made without a name has the trade's number for it in
        messages, and is asked about by the order's."""
        found = yield from self._refunded(order, reference, moment)
        if found.kind == "ignored" and reference == order.trade:
            found = replace((yield from self._refunded(order, order.id, moment)),
                            reference=reference)
        return found

    def _refunded(self, order: Order, reference: str, moment: Moment
                  ) -> Generator[PartnerRequest, PartnerReply, PartnerEvent]:
        said = yield from self._call("alipay.trade.fastpay.refund.query", {
            "out_trade_no": order.id, "out_request_no": reference}, moment)
        amount = parse_minor(str(said.get("refund_amount", "")), CURRENCY)
        # one that failed, or never came, has no status
        done = said.get("code") == _SUCCESS and amount \
            and said.get("refund_status") == "REFUND_SUCCESS"
        if done and said.get("out_request_no", reference) != reference:
            raise RelayError("partner_failed")
        return PartnerEvent(
            self._name, "", "refunded" if done else "ignored", order.id, CURRENCY,
            amount or 0, self._trade_no(said, ""), reference)

    def order_of(self, trade: str, moment: Moment
                 ) -> Generator[PartnerRequest, PartnerReply, str]:
        """Every message names its order."""
        yield from ()
        return ""

    def statement(self, day: str, moment: Moment
                  ) -> Generator[PartnerRequest, PartnerReply, list[StatementLine]]:
        """The bill of a day of Beijing; a day without trades has none."""
        said = yield from self._call("alipay.data.dataservice.bill.downloadurl.query", {
            "bill_type": "trade", "bill_date": day}, moment)
        address = said.get("bill_download_url")
        if said.get("code") != _SUCCESS or not isinstance(address, str):
            if said.get("sub_code") == "isp.bill_not_exist":
                return []
            raise RelayError("partner_failed")
        reply = yield PartnerRequest("GET", address)
        if reply.status != 200:
            raise RelayError("partner_failed")
        try:
            return [line for text in unzipped(reply.body) for line in alipay_lines(text)]
        except OTHER_SHAPE:
            raise RelayError("partner_failed") from None

    def day_start_ms(self, day: str) -> int:
        """Days are Beijing's."""
        return day_start_ms(day)

    def webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> PartnerEvent:
        """A message about a trade, or about a refund of it."""
        try:
            pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, strict_parsing=True,
                              max_num_fields=200)
        except ValueError:
            raise RelayError("webhook_forged") from None
        said = dict(pairs)
        signature = said.get("sign", "")
        # Alipay's own libraries sign requests without empty fields, and check messages with them
        texts = {_signable(said, ("sign", "sign_type"), empty) for empty in (False, True)}
        if len(said) != len(pairs) or said.get("sign_type") != "RSA2" or not any(
                rsa_verified(self._alipay_key, text, signature) for text in texts):
            raise RelayError("webhook_forged")
        if said.get("app_id") != self._app_id or said.get("seller_id") != self._seller_id:
            raise RelayError("webhook_forged")
        self._check_time(said.get("notify_time", ""), now_ms)
        event = said.get("notify_id", "")
        if not event or said.get("notify_type") != "trade_status_sync":
            raise RelayError("webhook_unreadable")
        if "refund_fee" in said and said.get("out_biz_no"):
            return PartnerEvent(self._name, event, "refunded", said.get("out_trade_no", ""),
                                CURRENCY, 0, self._trade_no(said, event), said["out_biz_no"])
        return self._trade(said, event, said.get("out_trade_no", ""))

    def _check_time(self, text: str, now_ms: int) -> None:
        try:
            told = datetime.strptime(text, _TIME).replace(tzinfo=BEIJING)
        except ValueError:
            raise RelayError("webhook_unreadable") from None
        age_ms = now_ms - int(told.timestamp()) * 1000
        if not -_AHEAD_MS <= age_ms <= WINDOW_MS:
            raise RelayError("webhook_stale")

    def _trade(self, said: Mapping[str, Any], event: str, order: str) -> PartnerEvent:
        kind = _STATES.get(str(said.get("trade_status")), "ignored")
        amount = parse_minor(str(said.get("total_amount", "")), CURRENCY)
        if said.get("out_trade_no") != order or (kind == "paid" and amount is None):
            raise RelayError("webhook_unreadable" if event else "partner_failed")
        return PartnerEvent(self._name, event, kind, order, CURRENCY, amount or 0,
                            self._trade_no(said, event))

    def _trade_no(self, said: Mapping[str, Any], event: str) -> str | None:
        try:
            return as_name(said.get("trade_no"))
        except OTHER_SHAPE:
            raise RelayError("webhook_unreadable" if event else "partner_failed") from None

    def _request(self, method: str, content: dict[str, str], moment: Moment,
                 **more: str) -> PartnerRequest:
        fields = {
            "app_id": self._app_id, "method": method, "format": "JSON", "charset": "utf-8",
            "sign_type": "RSA2", "timestamp": _beijing(moment.now_ms), "version": "1.0",
            "biz_content": orjson.dumps(content).decode(), **more}
        fields["sign"] = rsa_sign(self._private_key, _signable(fields, ("sign",)))
        return PartnerRequest(
            "POST", "", (*fields, *flat_names(content)), {"content-type": _FORM},
            urlencode(fields).encode())

    def _call(self, method: str, content: dict[str, str], moment: Moment
              ) -> Generator[PartnerRequest, PartnerReply, dict[str, Any]]:
        """What the gateway answers: what its signature is over, and nothing that stands beside."""
        reply = yield self._request(method, content, moment)
        whole = read_json(reply)
        text = _object_at(reply.body.decode("utf-8", "replace"),
                          method.replace(".", "_") + "_response")
        if not text or not rsa_verified(
                self._alipay_key, text.encode(), str(whole.get("sign", ""))):
            raise RelayError("partner_failed")
        said: dict[str, Any] = orjson.loads(text)
        if said.get("code") == "20000":
            raise RelayError("partner_failed")
        return said


def _beijing(unix_ms: int) -> str:
    moment = datetime.fromtimestamp(unix_ms // 1000, UTC).astimezone(BEIJING)
    return moment.strftime(_TIME)


def _signable(
    fields: Mapping[str, str], without: tuple[str, ...], empty: bool = False
) -> bytes:
    """The fields as they are signed: sorted by name, not encoded; `empty` ones too."""
    return "&".join(f"{name}={value}" for name, value in sorted(fields.items())
                    if name not in without and (value or empty)).encode("utf-8", "replace")


def _object_at(text: str, name: str) -> str:
    """The JSON object that is the value of the first such name, as it stands in the text."""
    start = text.find("{", text.find(f'"{name}"') + len(name))
    depth, quoted, escaped = 0, False, False
    for place in range(max(start, 0), len(text)):
        character = text[place]
        if quoted:
            quoted = escaped or character != '"'
            escaped = not escaped and character == "\\"
            continue
        quoted = character == '"'
        depth += {"{": 1, "}": -1}.get(character, 0)
        if not depth:
            return text[start:place + 1]
    return ""
