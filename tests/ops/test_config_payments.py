"""Payments as values: no secret in a repr, and a page of its own for each kind's address."""

from __future__ import annotations

from urllib.parse import urlsplit

from relayd.core.partner import PARTNER_KINDS
from relayd.ops.config import Config
from relayd.ops.config_payments import BASE_URLS, PartnerConfig


def test_addresses() -> None:
    assert set(BASE_URLS) == set(PARTNER_KINDS)
    assert {urlsplit(url).scheme for url in BASE_URLS.values()} == {"https"}


def test_no_secret_in_a_repr() -> None:
    config = PartnerConfig("p", "stripe", "https://x.test", credential="quokka",
                           webhook_secrets=("quokka",), private_key="quokka",
                           partner_key="quokka")
    assert "quokka" not in repr(config)


def test_nothing_can_be_paid_by_default() -> None:
    payments = Config(providers={}, routes=()).payments
    assert payments.partners == {}
    assert 0 < payments.top_up_min <= payments.top_up_max
