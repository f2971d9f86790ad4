"""`[payments]`: partners with their credentials, which are references as everywhere.

Law: a partner without its webhook's secret or the partner's own public key is a fault: without
them anybody could say that something was paid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key, load_pem_public_key,
)
from yarl import URL

from relayd.core.currency import PLACES, minor_text, parse_minor
from relayd.core.operator import Processor
from relayd.core.partner import CURRENCIES, PARTNER_KINDS, PartnerKind
from relayd.ops.config import Config
from relayd.ops.config_payments import BASE_URLS, PartnerConfig, PaymentsConfig
from relayd.ops.configfile_address import is_host, parse_listen
from relayd.ops.configfile_credential import Surroundings, read_credentials, read_pem
from relayd.ops.configfile_section import Section

MINUTES_MIN, MINUTES_MAX = 30, 1440
"""Stripe's own bounds of a session's life."""
API_KEY_BYTES: Final = 32
PARTNER_FIELDS: Final = ("order", "amount", "currency")
"""What every partner is told, in the register's words; core/partner.py has them in its own."""
ADDRESS_FIELD: Final = "ip"
"""What a partner is told besides, where `h5` is on."""
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_ID: Final = re.compile(r"[A-Za-z0-9_]{1,64}")
_DEFAULT: Final = PaymentsConfig()
_MAX_UNITS: Final = 9_000_000
"""What one transfer of the ledger holds of any currency: more is paid and cannot be credited."""
_ALIASES: Final = {"secret": "credential", "api_key": "credential", "key": "credential",
                   "webhook": "webhook_secret", "mchid": "merchant_id", "appid": "app_id",
                   "public_key": "partner_key", "platform_key": "partner_key", "url": "base_url"}


def read_payments(section: Section, around: Surroundings) -> PaymentsConfig:
    """The whole section; without partners it says that nothing can be paid."""
    currency = section.choice("currency", tuple(PLACES), _DEFAULT.currency)
    low = _amount(section, "top_up_min", currency, _DEFAULT.top_up_min)
    high = _amount(section, "top_up_max", currency, _DEFAULT.top_up_max)
    if low > high:
        section.fault("top_up_max", "is below top_up_min")
    config = PaymentsConfig(
        currency, low, high,
        section.integer("order_minutes", _DEFAULT.order_minutes, MINUTES_MIN, MINUTES_MAX),
        _partners(section.table("partners"), currency, around))
    section.done({"min": "top_up_min", "max": "top_up_max", "partner": "partners"})
    return config


def judge_payments(root: Section, config: Config) -> None:
    """Partners are third parties, and may be told what the register says (S2)."""
    payments = config.payments
    for partner in payments.partners.values():
        where = (*root.path, "payments", "partners", partner.name, "processor")
        row = config.operator.processor(partner.processor)
        if partner.processor and row is None:
            root.findings.fault(where, "is not in [[operator.processors]]", "Name one of them")
        elif row is not None and not set(PARTNER_FIELDS) <= set(row.fields):
            root.findings.fault(where, "may not be told of payments, as the register has it",
                                f"It needs the fields {', '.join(PARTNER_FIELDS)}")
        elif partner.h5 and not _may_have_address(partner, row):
            root.findings.fault(where, "may not be told network addresses, and h5 is on",
                                f"Its row in the register needs the field {ADDRESS_FIELD}")
        elif row is None and not _is_loopback(partner.base_url):
            root.findings.warning(where, "is missing: the partner is a third party",
                                  "Add it to [[operator.processors]] and name it here")
    known = {price.currency for price in config.prices.prices}
    if payments.partners and known and payments.currency not in known:
        root.findings.warning(
            (*root.path, "payments", "currency"), "is not the currency of any price",
            f"Calls are paid in {', '.join(sorted(known))}: this balance could not be used")


def _may_have_address(partner: PartnerConfig, row: Processor | None) -> bool:
    """Whether people can read that the partner is told network addresses."""
    return ADDRESS_FIELD in row.fields if row is not None else _is_loopback(partner.base_url)


def _amount(section: Section, name: str, currency: str, default: int) -> int:
    text = section.text(name)
    if text is None:
        return default
    minor = parse_minor(text, currency)
    most = _MAX_UNITS * 10 ** PLACES[currency]
    if minor is None or not 0 < minor <= most:
        section.fault(name, f"is not an amount from {minor_text(1, currency)} to"
                            f" {minor_text(most, currency)} in {currency}",
                      'Such as "50" or "12.50", as a text')
        return default
    return minor


def _partners(
    section: Section, currency: str, around: Surroundings
) -> dict[str, PartnerConfig]:
    found = {}
    for name in section.values:
        table = section.table(name)
        if not _NAME.fullmatch(name):
            section.fault(name, "cannot be a partner's name", "Small letters, digits and hyphens")
        kind = cast(PartnerKind, table.choice("kind", PARTNER_KINDS, "stripe"))
        if not table.has("kind"):
            table.fault("kind", "is missing", f"One of {', '.join(PARTNER_KINDS)}")
        takes = CURRENCIES[kind]
        if takes is not None and currency not in takes:
            table.fault("kind", f"takes {', '.join(sorted(takes))} alone",
                        f"[payments] currency is {currency}")
        read = _READERS[kind](name, kind, table, around)
        found[name] = replace(read, processor=table.text("processor") or "")
        table.done(_ALIASES)
    return found


def _stripe(name: str, kind: PartnerKind, table: Section, around: Surroundings) -> PartnerConfig:
    return PartnerConfig(
        name, kind, _base_url(table, kind),
        credential=_secret(table, "credential", around),
        webhook_secrets=_secrets(table, "webhook_secret", around))


def _alipay(name: str, kind: PartnerKind, table: Section, around: Surroundings) -> PartnerConfig:
    return PartnerConfig(
        name, kind, _base_url(table, kind),
        app_id=_identity(table, "app_id"), seller_id=_identity(table, "seller_id"),
        private_key=_private(table, around), partner_key=_public(table, around))


def _wechat(name: str, kind: PartnerKind, table: Section, around: Surroundings) -> PartnerConfig:
    secret = _secret(table, "credential", around)
    if secret and len(secret.encode()) != API_KEY_BYTES:
        table.fault("credential", f"does not refer to an APIv3 key of {API_KEY_BYTES} characters")
    return PartnerConfig(
        name, kind, _base_url(table, kind), credential=secret,
        app_id=_identity(table, "app_id"), merchant_id=_identity(table, "merchant_id"),
        serial=_identity(table, "serial"), platform_key_id=_identity(table, "platform_key_id"),
        private_key=_private(table, around), partner_key=_public(table, around),
        h5=table.boolean("h5", default=False))


_READERS: Final[dict[PartnerKind, Callable[..., PartnerConfig]]] = {
    "stripe": _stripe, "alipay": _alipay, "wechat": _wechat}


def _base_url(table: Section, kind: PartnerKind) -> str:
    text = table.text("base_url", BASE_URLS[kind]) or BASE_URLS[kind]
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    safe = url.scheme == "https" or (url.scheme == "http" and _is_loopback(text))
    if not is_host(url.raw_host or "") or url.query_string or url.user or not safe:
        table.fault("base_url", "is not an https URL", f"The partner's own is {BASE_URLS[kind]}")
    return text


def _is_loopback(text: str) -> bool:
    try:
        url = URL(text)
        return parse_listen(f"{url.host}:{url.explicit_port or 80}").is_private
    except ValueError:
        return False


def _identity(table: Section, name: str) -> str:
    text = table.text(name)
    if text is None:
        if not table.has(name):
            table.fault(name, "is missing", "The partner's own console shows it")
        return ""
    if not _ID.fullmatch(text):
        table.fault(name, "is not an id that partners use", "Letters, digits and _ alone")
    return text


def _secrets(table: Section, name: str, around: Surroundings) -> tuple[str, ...]:
    value = table.raw(name)
    found = read_credentials(value, (*table.path, name), around, table.findings)
    if value is None:
        table.fault(name, "is missing", "Without it nothing that a partner says is believed")
    return found


def _secret(table: Section, name: str, around: Surroundings) -> str:
    found = _secrets(table, name, around)
    if len(found) > 1:
        table.fault(name, "is a list", "It takes one reference")
    return found[0] if found else ""


def _pem(table: Section, name: str, around: Surroundings) -> str:
    value = table.raw(name)
    if value is None:
        table.fault(name, "is missing", "A PEM file")
        return ""
    return read_pem(value, (*table.path, name), around, table.findings)


def _private(table: Section, around: Surroundings) -> str:
    """The merchant's own key, which signs what we say."""
    text = _pem(table, "private_key", around)
    if not text:
        return ""
    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        table.fault("private_key", "is not an RSA private key of 2048 bits or more in PEM",
                    "Without a password")
    return text


def _public(table: Section, around: Surroundings) -> str:
    """The partner's own key, by which we know what it says."""
    text = _pem(table, "partner_key", around)
    if not text:
        return ""
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey) or key.key_size < 2048:
        table.fault("partner_key", "is not an RSA public key of 2048 bits or more in PEM",
                    "The partner's key, not the merchant's own")
    return text
