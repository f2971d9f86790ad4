"""`[payments]`: partners with all that they need, and nothing without the means to check it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding, NoEncryption, PrivateFormat, PublicFormat,
)

from relayd.core.currency import PLACES, to_nano
from relayd.core.posting import move
from relayd.ops.config_payments import PartnerConfig
from relayd.ops.configfile import examine_text
from tests.fakes.partners import broken_pem, private_pem, public_pem

SMALL = rsa.generate_private_key(65537, 1024)
ENVIRON = {"KEY": "sk_quokka", "HOOK": "whsec_quokka", "NEXT": "whsec_wombat",
           "V3": "0123456789abcdef0123456789abcdef"}
STRIPE = """
[payments]
currency = "CNY"
top_up_min = "10"
top_up_max = "5000.50"
order_minutes = 60
[payments.partners.card]
kind = "stripe"
credential = { env = "KEY" }
webhook_secret = [{ env = "HOOK" }, { env = "NEXT" }]
"""
ALIPAY = """
[payments]
currency = "CNY"
[payments.partners.alipay]
kind = "alipay"
app_id = "2021000000000001"
seller_id = "2088000000000001"
private_key = { file = "own.pem" }
partner_key = { file = "partner.pem" }
"""
WECHAT = """
[payments]
currency = "CNY"
[payments.partners.wechat]
kind = "wechat"
base_url = "http://127.0.0.1:9000"
app_id = "wx01"
merchant_id = "1900000001"
serial = "3A5B1C"
credential = { env = "V3" }
platform_key_id = "PUB_KEY_ID_01"
private_key = { file = "own.pem" }
partner_key = { file = "partner.pem" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("own.pem", private_pem("merchant")), ("partner.pem", public_pem("alipay")),
                       ("small.pem", SMALL.private_bytes(
                           Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()),
                       ("small_public.pem", SMALL.public_key().public_bytes(
                           Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()),
                       ("broken.pem", broken_pem("merchant")), ("plain.txt", "quokka")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def test_stripe(folder: Path) -> None:
    config = examine_text(STRIPE, environ=ENVIRON, folder=folder).config
    assert config is not None
    payments = config.payments
    assert (payments.currency, payments.top_up_min, payments.top_up_max) == ("CNY", 1000, 500050)
    assert payments.order_minutes == 60
    assert payments.partners["card"] == PartnerConfig(
        "card", "stripe", "https://api.stripe.com", "sk_quokka",
        ("whsec_quokka", "whsec_wombat"))
    assert "quokka" not in repr(config)


def test_alipay_and_wechat(folder: Path) -> None:
    alipay = examine_text(ALIPAY, environ={}, folder=folder).config
    wechat = examine_text(WECHAT, environ=ENVIRON, folder=folder).config
    assert alipay is not None and wechat is not None
    first, second = alipay.payments.partners["alipay"], wechat.payments.partners["wechat"]
    assert first.private_key == second.private_key == private_pem("merchant")
    assert first.partner_key == public_pem("alipay")
    assert (second.merchant_id, second.serial, second.platform_key_id) == (
        "1900000001", "3A5B1C", "PUB_KEY_ID_01")
    assert second.base_url == "http://127.0.0.1:9000"


@pytest.mark.parametrize("text, key", [
    (STRIPE.replace('webhook_secret = [{ env = "HOOK" }, { env = "NEXT" }]', ""),
     "payments.partners.card.webhook_secret"),
    (STRIPE.replace("[{ env = \"HOOK\" }, { env = \"NEXT\" }]", '""'),
     "payments.partners.card.webhook_secret"),
    (STRIPE.replace("[{ env = \"HOOK\" }, { env = \"NEXT\" }]", "[]"),
     "payments.partners.card.webhook_secret"),
    (STRIPE.replace("[{ env = \"HOOK\" }, { env = \"NEXT\" }]", '{ env = "EMPTY" }'),
     "payments.partners.card.webhook_secret.env"),
    (STRIPE.replace('credential = { env = "KEY" }', 'credential = "sk_quokka"'),
     "payments.partners.card.credential"),
    (STRIPE.replace('credential = { env = "KEY" }', 'credential = [{ env = "KEY" },'
                    ' { env = "V3" }]'), "payments.partners.card.credential"),
    (STRIPE.replace('kind = "stripe"', ""), "payments.partners.card.kind"),
    (STRIPE.replace('"10"', '"0"'), "payments.top_up_min"),
    (STRIPE.replace('"10"', '"10.001"'), "payments.top_up_min"),
    (STRIPE.replace('"10"', '"9000"'), "payments.top_up_max"),
    (STRIPE.replace('"10"', "10"), "payments.top_up_min"),
    # more than the ledger holds in one transfer: it would be paid and never credited
    (STRIPE.replace("CNY", "KRW").replace("5000.50", "9000001"), "payments.top_up_max"),
    (STRIPE.replace("5000.50", "9000000.01"), "payments.top_up_max"),
    (STRIPE.replace("= 60", "= 29"), "payments.order_minutes"),
    (STRIPE.replace("CNY", "XAU"), "payments.currency"),
    (STRIPE.replace(".card]", ".Card]"), "payments.partners.Card"),
    (STRIPE + 'base_url = "http://api.partner.test"', "payments.partners.card.base_url"),
    (STRIPE + 'base_url = "https://u:p@x.test"', "payments.partners.card.base_url"),
    (STRIPE + 'base_url = "https://x.test/?a=b"', "payments.partners.card.base_url"),
    (STRIPE + 'base_url = "https:///x"', "payments.partners.card.base_url"),
    (STRIPE + 'base_url = "https://xn--.test"', "payments.partners.card.base_url"),
    (STRIPE + 'app_id = "x"', "payments.partners.card.app_id"),
    (ALIPAY.replace("CNY", "USD"), "payments.partners.alipay.kind"),
    (ALIPAY.replace('seller_id = "2088000000000001"', ""), "payments.partners.alipay.seller_id"),
    (ALIPAY.replace("2088000000000001", "20 88"), "payments.partners.alipay.seller_id"),
    # each key in the other's place: then anybody who has our public key could sign as Alipay
    (ALIPAY.replace("own.pem", "partner.pem"), "payments.partners.alipay.private_key"),
    (ALIPAY.replace('"partner.pem"', '"own.pem"'), "payments.partners.alipay.partner_key"),
    (ALIPAY.replace("own.pem", "small.pem"), "payments.partners.alipay.private_key"),
    (ALIPAY.replace('"partner.pem"', '"small_public.pem"'),
     "payments.partners.alipay.partner_key"),
    (ALIPAY.replace("own.pem", "broken.pem"), "payments.partners.alipay.private_key"),
    (ALIPAY.replace("own.pem", "plain.txt"), "payments.partners.alipay.private_key.file"),
    (ALIPAY.replace("own.pem", "gone.pem"), "payments.partners.alipay.private_key.file"),
    (ALIPAY.replace('{ file = "own.pem" }', '{ env = "KEY" }'),
     "payments.partners.alipay.private_key"),
    (WECHAT.replace('{ env = "V3" }', '{ env = "KEY" }'), "payments.partners.wechat.credential"),
])
def test_faults(folder: Path, text: str, key: str) -> None:
    reading = examine_text(text, environ={**ENVIRON, "EMPTY": ""}, folder=folder)
    assert [fault.key for fault in reading.faults] == [key]
    assert "quokka" not in str(reading.faults)


def test_commands_that_need_no_secret_follow_none(folder: Path) -> None:
    for text in (STRIPE, ALIPAY, WECHAT):
        reading = examine_text(text, environ={}, folder=folder / "gone", secrets="skip")
        assert reading.faults == []


def test_h5_is_off_unless_asked_for(folder: Path) -> None:
    for text, h5 in ((WECHAT, False), (WECHAT + "h5 = true", True), (WECHAT + "h5 = 1", None)):
        reading = examine_text(text, environ=ENVIRON, folder=folder)
        if h5 is None:
            assert [fault.key for fault in reading.faults] == ["payments.partners.wechat.h5"]
            continue
        assert reading.config is not None
        assert reading.config.payments.partners["wechat"].h5 is h5
    assert examine_text(ALIPAY + "h5 = true", environ=ENVIRON, folder=folder).faults


@pytest.mark.parametrize("row, processor, fine", [
    ('["order", "amount", "currency"]', True, False),
    ('["order", "amount", "currency", "ip"]', True, True),
    ('["order", "amount", "currency", "ip"]', False, False)])
def test_who_is_told_network_addresses_is_in_the_register_with_them(
    folder: Path, row: str, processor: bool, fine: bool
) -> None:
    text = WECHAT.replace('base_url = "http://127.0.0.1:9000"', "") + "h5 = true\n" + (
        'processor = "Stripe"' if processor else "") + REGISTER.format(fields=row)
    keys = [fault.key for fault in examine_text(
        text, environ=ENVIRON, folder=folder).faults]
    assert keys == ([] if fine else ["payments.partners.wechat.processor"])


REGISTER = """
[[operator.processors]]
name = "Stripe"
purpose = "payment"
fields = {fields}
region = "Ireland"
since = 2026-01-31
"""


@pytest.mark.parametrize("more, fields, kind, key", [
    ('processor = "Stripe"', '["order", "amount", "currency"]', None, None),
    ('processor = "Other"', '["order", "amount", "currency"]', "faults", "processor"),
    ('processor = "Stripe"', '["order"]', "faults", "processor"),
    ("", '["order", "amount", "currency"]', "warnings", "processor"),
    ('base_url = "http://127.0.0.1:9"', '["order"]', None, None),
])
def test_a_partner_is_in_the_register(
    folder: Path, more: str, fields: str, kind: str | None, key: str | None
) -> None:
    text = STRIPE + more + REGISTER.replace("{fields}", fields)
    reading = examine_text(text, environ=ENVIRON, folder=folder)
    found = {name: [each.key for each in getattr(reading, name)
                    if "payments" in each.key] for name in ("faults", "warnings")}
    assert found == {"faults": [], "warnings": [],
                     **({kind: [f"payments.partners.card.{key}"]} if kind else {})}


def test_a_balance_that_no_call_could_use(folder: Path) -> None:
    (folder / "prices.toml").write_text('[[price]]\nmodel = "m"\ninput = "1"\n')
    reading = examine_text(STRIPE, environ=ENVIRON, folder=folder)
    assert "payments.currency" in [each.key for each in reading.warnings]


@pytest.mark.parametrize("currency", sorted(PLACES))
def test_the_most_that_can_be_topped_up_can_be_credited(folder: Path, currency: str) -> None:
    text = STRIPE.replace("CNY", currency).replace("5000.50", "9000000")
    reading = examine_text(text, environ=ENVIRON, folder=folder)
    assert reading.config is not None
    most = reading.config.payments.top_up_max
    assert move("top_up", "order:x", to_nano(most, currency), currency, account="a", partner="p")
