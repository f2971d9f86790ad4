"""Keys, adapters and messages of payment partners, made on the spot, for tests."""

from __future__ import annotations

import base64
import functools
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relayd.core.order import Order
from relayd.wire.partner import Addresses, Moment, PartnerReply, rsa_sign
from relayd.wire.partner_alipay import Alipay
from relayd.wire.partner_stripe import Stripe
from relayd.wire.partner_wechat import WeChatPay

NOW_MS = 1_790_000_000_000
MOMENT = Moment(NOW_MS, "b4b1f2c5a7e84c36a0d7d0f8a1c9e355")
ADDRESSES = Addresses("https://relay.test/pay/return?order=ord_1", "https://relay.test/pay/back",
                      "https://relay.test/pay/webhook/p")
ORDER = Order("ord_01JD00000000000000000000AB", "acct_1", "p", "CNY", 12345, "pending",
              NOW_MS - 1000, NOW_MS + 1_800_000, session="cs_test_1", trade="trade_1")
STRIPE_KEY, STRIPE_SECRET = "sk_test_relay", "whsec_relay"
APP_ID, SELLER_ID = "2021000000000001", "2088000000000001"
WX_APP, WX_MERCHANT, WX_SERIAL = "wx0000000000000001", "1900000001", "3A5B1C"
WX_KEY_ID, WX_API_KEY = "PUB_KEY_ID_0119000000012026", "0123456789abcdef0123456789ABCDEF"


@functools.cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """A key of 2048 bits under this name, the same for the whole run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(name: str) -> str:
    return rsa_key(name).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()).decode()


def broken_pem(name: str) -> str:
    """The same, with an exponent that does not fit the rest."""
    numbers = rsa_key(name).private_numbers()
    other = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d + 2, numbers.dmp1, numbers.dmq1, numbers.iqmp,
        numbers.public_numbers)
    return other.private_key(unsafe_skip_rsa_key_validation=True).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()).decode()


def public_pem(name: str) -> str:
    return rsa_key(name).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def stripe(*secrets: str) -> Stripe:
    return Stripe("p", STRIPE_KEY, secrets or (STRIPE_SECRET,))


def alipay() -> Alipay:
    return Alipay("p", "https://openapi.alipay.test/gateway.do", APP_ID, SELLER_ID,
                  rsa_key("merchant"), rsa_key("alipay").public_key())


def wechat() -> WeChatPay:
    return WeChatPay("p", WX_APP, (WX_MERCHANT, WX_SERIAL), rsa_key("merchant"),
                     WX_API_KEY.encode(), {WX_KEY_ID: rsa_key("wechat").public_key()})


def wechat_headers(body: bytes, now_ms: int = NOW_MS, key: str = "wechat",
                   serial: str = WX_KEY_ID) -> dict[str, str]:
    """The headers with which WeChat Pay signs a message or an answer."""
    told = str(now_ms // 1000)
    text = f"{told}\nnonce1\n".encode() + body + b"\n"
    return {"wechatpay-timestamp": told, "wechatpay-nonce": "nonce1",
            "wechatpay-serial": serial, "wechatpay-signature": rsa_sign(rsa_key(key), text),
            "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048"}


def wechat_message(event_type: str, thing: dict[str, Any], event: str = "evt_1",
                   api_key: str = WX_API_KEY) -> bytes:
    """The body of a message: what it is about is sealed with the merchant's key."""
    sealed = AESGCM(api_key.encode()).encrypt(
        b"nonce_of_12b", orjson.dumps(thing), b"transaction")
    return orjson.dumps({
        "id": event, "create_time": "2026-09-21T00:00:00+08:00", "event_type": event_type,
        "resource_type": "encrypt-resource", "summary": "x", "resource": {
            "algorithm": "AEAD_AES_256_GCM", "original_type": "transaction",
            "ciphertext": base64.b64encode(sealed).decode(), "nonce": "nonce_of_12b",
            "associated_data": "transaction"}})


def wechat_reply(content: dict[str, Any], status: int = 200, **how: Any) -> PartnerReply:
    body = orjson.dumps(content)
    return PartnerReply(status, wechat_headers(body, **how), body)


def talk(conversation: Any, *replies: PartnerReply) -> tuple[list[Any], Any]:
    """Runs a conversation with these replies: (its requests, what it returns)."""
    requests = []
    try:
        requests.append(next(conversation))
        for reply in replies:
            requests.append(conversation.send(reply))
    except StopIteration as end:
        return requests, end.value
    raise AssertionError("the conversation goes on")


def json_reply(content: object, status: int = 200) -> PartnerReply:
    return PartnerReply(status, {}, orjson.dumps(content))
