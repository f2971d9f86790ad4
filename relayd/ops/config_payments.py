"""`[payments]` as values: the ways to pay, and what one order may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from relayd.core.partner import PartnerKind

BASE_URLS: Final[dict[PartnerKind, str]] = {
    "stripe": "https://api.stripe.com",
    "alipay": "https://openapi.alipay.com/gateway.do",
    "wechat": "https://api.mch.weixin.qq.com",
}


@dataclass(frozen=True, slots=True)
class PartnerConfig:
    """One partner. Which fields have a value follows from `kind`; keys are PEM texts. `processor`:
    its row in the register of third parties. `h5`: holders may also choose to pay on the telephone
    they are on, which tells the partner their network address."""

    name: str
    kind: PartnerKind
    base_url: str
    credential: str = field(default="", repr=False)
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)
    app_id: str = ""
    seller_id: str = ""
    merchant_id: str = ""
    serial: str = ""
    platform_key_id: str = ""
    private_key: str = field(default="", repr=False)
    partner_key: str = field(default="", repr=False)
    processor: str = ""
    h5: bool = False


@dataclass(frozen=True, slots=True)
class PaymentsConfig:
    """Amounts are minor units of `currency`. No partner: nothing can be paid here."""

    currency: str = "USD"
    top_up_min: int = 500
    top_up_max: int = 1_000_000
    order_minutes: int = 30
    partners: Mapping[str, PartnerConfig] = field(default_factory=dict)
