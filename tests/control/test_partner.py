"""Partners are made of the configuration, and made anew with another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relayd.control.partner import Desk, moment, payments
from relayd.core.errors import RelayError
from relayd.ops.config_payments import PaymentsConfig
from tests.fakes.partners import broken_pem
from tests.fakes.till import URL, Till, till

__all__ = ["till"]


async def test_kinds_and_addresses(till: Till) -> None:
    made = till.payments
    assert {name: made.partner(name).adapter.kind for name in made.partners} == {
        "card": "stripe", "alipay": "alipay", "wechat": "wechat"}
    addresses = made.addresses("card", "ord_1")
    assert addresses.webhook == f"{URL}/pay/webhook/card"
    assert addresses.returned == f"{URL}/pay/return/ord_1"
    with pytest.raises(RelayError) as caught:
        made.partner("nobody")
    assert caught.value.code == "partner_not_found"
    keys = till.demo._keys
    assert keys.stripe_key not in repr(made) and "PRIVATE" not in repr(made)


async def test_the_desk_follows_the_configuration(till: Till) -> None:
    config = till.demo.config()
    now = [config]
    desk = Desk(lambda: (now[0], URL))
    first = desk()
    assert desk() is first
    now[0] = replace(config, top_up_max=5000)
    assert desk().config.top_up_max == 5000 and desk() is not first


def test_a_key_is_examined_where_the_configuration_is_read_and_no_more_at_a_reload(
    till: Till
) -> None:
    config = till.demo.config()
    broken = {name: replace(each, private_key=broken_pem("merchant")) if each.private_key else each
              for name, each in config.partners.items()}
    assert set(payments(replace(config, partners=broken), URL).partners) == set(config.partners)


def test_without_partners() -> None:
    assert payments(PaymentsConfig(), URL).partners == {}


def test_a_nonce_is_new_each_time() -> None:
    found = {moment(1).nonce for _ in range(100)}
    assert len(found) == 100 and {len(each) for each in found} == {32}
