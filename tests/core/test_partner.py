"""The gate before partners: what is not declared does not leave."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.core.partner import (
    CURRENCIES, DECLARED, ON_WISH, PARTNER_KINDS, PartnerKind, declared,
)

PERSONAL = ("email", "customer_email", "name", "username", "phone", "ip", "client_ip", "payer",
            "payer_client_ip", "scene_info.payer_client_ip", "scene_info.device_id", "device_id",
            "user_agent", "customer", "buyer_logon_id", "card")


@pytest.mark.parametrize("kind", PARTNER_KINDS)
def test_what_is_declared_passes(kind: PartnerKind) -> None:
    declared(kind, DECLARED[kind])
    assert kind in CURRENCIES


@pytest.mark.parametrize("kind", PARTNER_KINDS)
@pytest.mark.parametrize("name", PERSONAL)
def test_what_is_personal_does_not(kind: PartnerKind, name: str) -> None:
    with pytest.raises(RelayError) as caught:
        declared(kind, ["amount", name])
    assert caught.value.code == "undeclared_field"


def test_a_network_address_leaves_where_the_payer_wished_it_alone() -> None:
    declared("wechat", [*DECLARED["wechat"], *ON_WISH["wechat"]], wished=True)
    for kind, wished in (("wechat", False), ("stripe", True), ("alipay", True)):
        for name in ON_WISH["wechat"]:
            with pytest.raises(RelayError):
                declared(kind, [name], wished=wished)  # type: ignore[arg-type]
    with pytest.raises(RelayError):
        declared("wechat", ["scene_info.device_id"], wished=True)
