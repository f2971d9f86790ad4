"""The keys of the demo's payment partners: the merchant's, the partners', the shared secrets.

Law: they are made on the spot and belong to one demo; none is in the package.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from relayd.ops.config_payments import PartnerConfig, PaymentsConfig

APP_ID: Final = "demo_app"
SELLER_ID: Final = "2088000000000000"
MERCHANT_ID: Final = "1900000000"
SERIAL: Final = "DE30"
PLATFORM_KEY_ID: Final = "PUB_KEY_ID_DEMO"
CURRENCY: Final = "CNY"
_BITS: Final = 2048
_EXPONENT: Final = 65537


@dataclass(frozen=True, slots=True)
class PartnerKeys:
    """What both sides hold. In a repr there is none of it."""

    merchant: rsa.RSAPrivateKey = field(repr=False)
    partner: rsa.RSAPrivateKey = field(repr=False)
    stripe_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    api_key: str = field(repr=False)


def make_keys() -> PartnerKeys:
    """New ones."""
    return PartnerKeys(
        rsa.generate_private_key(_EXPONENT, _BITS), rsa.generate_private_key(_EXPONENT, _BITS),
        "sk_demo_" + secrets.token_hex(16), "whsec_" + secrets.token_hex(24),
        secrets.token_hex(16))


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """The key in PEM, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    """Its public half in PEM."""
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def payments_config(keys: PartnerKeys, origin: str) -> PaymentsConfig:
    """`[payments]` with all three, at this origin."""
    own, theirs = private_pem(keys.merchant), public_pem(keys.partner)
    return PaymentsConfig(CURRENCY, 100, 1_000_000, 30, {
        "card": PartnerConfig(
            "card", "stripe", f"{origin}/stripe", credential=keys.stripe_key,
            webhook_secrets=(keys.webhook_secret,)),
        "alipay": PartnerConfig(
            "alipay", "alipay", f"{origin}/alipay/gateway.do", app_id=APP_ID,
            seller_id=SELLER_ID, private_key=own, partner_key=theirs),
        "wechat": PartnerConfig(
            "wechat", "wechat", f"{origin}/wechat", credential=keys.api_key, app_id=APP_ID,
            merchant_id=MERCHANT_ID, serial=SERIAL, platform_key_id=PLATFORM_KEY_ID,
            private_key=own, partner_key=theirs, h5=True),
    })
