"""Payment partners as they are set up: adapters with their addresses.

Law: an order is asked about, and money is moved, only with a partner that the configuration names.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import quote

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key, load_pem_public_key,
)

from relayd.core.errors import RelayError
from relayd.ops.config_payments import PartnerConfig, PaymentsConfig
from relayd.ops.partner import PartnerClient
from relayd.wire.partner import Adapter, Addresses, Moment
from relayd.wire.partner_alipay import Alipay
from relayd.wire.partner_stripe import Stripe
from relayd.wire.partner_wechat import WeChatPay

WEBHOOK_PATH: Final = "/pay/webhook/"
RETURN_PATH: Final = "/pay/return/"
ORDER_PATH: Final = "/orders/"
NONCE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Partner:
    """One way to pay."""

    name: str
    adapter: Adapter = field(repr=False)
    client: PartnerClient = field(repr=False)


@dataclass(frozen=True, slots=True)
class Payments:
    """All ways to pay, what one order may be, and where the console is."""

    config: PaymentsConfig
    url: str
    partners: Mapping[str, Partner]

    def partner(self, name: str) -> Partner:
        """The partner of this name; raises `partner_not_found`."""
        found = self.partners.get(name)
        if found is None:
            raise RelayError("partner_not_found", param="partner")
        return found

    def addresses(self, partner: str, order_id: str, payer: str | None = None) -> Addresses:
        """Where a partner sends people and messages, and where the payer is, if they wished that
        it be told."""
        back = f"{self.url}{RETURN_PATH}{quote(order_id, safe='')}"
        return Addresses(back, back, f"{self.url}{WEBHOOK_PATH}{partner}", payer or "")

    def order_link(self, order_id: str) -> str:
        """The order's page, for mail."""
        return f"{self.url}{ORDER_PATH}{order_id}"


def payments(config: PaymentsConfig, url: str) -> Payments:
    """All of it as the configuration has it; its keys are known to be readable."""
    return Payments(config, url, {
        name: Partner(name, adapter(each), PartnerClient(each.kind, each.base_url))
        for name, each in config.partners.items()})


class Desk:
    """Gives the present `Payments`: made anew when the configuration is another."""

    def __init__(self, read: Callable[[], tuple[PaymentsConfig, str]]) -> None:
        self._read = read
        self._made: Payments | None = None

    def __call__(self) -> Payments:
        """As the configuration is now."""
        config, url = self._read()
        if self._made is None or self._made.config is not config or self._made.url != url:
            self._made = payments(config, url)
        return self._made


def adapter(config: PartnerConfig) -> Adapter:
    """The adapter of a partner's kind.

    The merchant's key was examined as the configuration was read (ops/configfile_payments.py): to
    do so again, on the event loop at a reload, would take 25 to 50 ms for each partner.
    """
    if config.kind == "stripe":
        return Stripe(config.name, config.credential, config.webhook_secrets)
    private_key = cast(RSAPrivateKey, load_pem_private_key(
        config.private_key.encode(), None, unsafe_skip_rsa_key_validation=True))
    partner_key = cast(RSAPublicKey, load_pem_public_key(config.partner_key.encode()))
    if config.kind == "alipay":
        return Alipay(config.name, config.base_url, config.app_id, config.seller_id,
                      private_key, partner_key)
    return WeChatPay(config.name, config.app_id, (config.merchant_id, config.serial),
                     private_key, config.credential.encode(),
                     {config.platform_key_id: partner_key})


def moment(now_ms: int) -> Moment:
    """The time, and a text that nobody has used."""
    return Moment(now_ms, secrets.token_hex(NONCE_BYTES))
