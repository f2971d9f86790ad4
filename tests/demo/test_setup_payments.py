"""The demo's payments as text: no secret in it, and nothing where nothing can be paid."""

from __future__ import annotations

from relayd.demo.partner_keys import payments_config
from relayd.demo.setup_payments import payments_files, payments_lines
from relayd.ops.config_payments import PaymentsConfig
from tests.fakes.till import keys


def test_secrets_are_in_files() -> None:
    config = payments_config(keys(), "http://127.0.0.1:9")
    files, text = payments_files(config), "\n".join(payments_lines(config))
    assert len(files) == 7 and all(name in text for name in files)
    assert not [secret for secret in files.values() if secret in text]


def test_nothing() -> None:
    assert payments_lines(PaymentsConfig()) == [] and payments_files(PaymentsConfig()) == {}
