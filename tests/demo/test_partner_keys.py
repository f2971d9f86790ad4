"""Keys of a demo: new ones, and a configuration that the real adapters take."""

from __future__ import annotations

from relayd.control.partner import payments
from relayd.demo.partner_keys import make_keys, payments_config, private_pem, public_pem


def test_keys() -> None:
    keys = make_keys()
    config = payments_config(keys, "http://127.0.0.1:9")
    assert len(keys.api_key) == 32
    assert set(payments(config, "http://x.test").partners) == {"card", "alipay", "wechat"}
    assert private_pem(keys.merchant).startswith("-----BEGIN PRIVATE KEY-----")
    assert public_pem(keys.partner).startswith("-----BEGIN PUBLIC KEY-----")
    assert keys.stripe_key not in repr(keys) + repr(config)
