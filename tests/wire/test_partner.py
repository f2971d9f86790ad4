"""What all partners share: answers that are none, names of fields, signatures."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.wire.partner import (
    PartnerReply, PartnerRequest, flat_names, read_json, rsa_sign, rsa_verified,
)
from tests.fakes.partners import rsa_key


@pytest.mark.parametrize("reply, code", [
    (PartnerReply(500, {}, b"{}"), "partner_failed"), (PartnerReply(429), "partner_failed"),
    # the same order is being opened by another request
    (PartnerReply(409, {}, b"{}"), "partner_failed"),
    (PartnerReply(404, {}, b"{}"), "partner_refused"), (PartnerReply(302), "partner_refused"),
    (PartnerReply(200, {}, b""), "partner_failed"), (PartnerReply(200, {}, b"[]"),
                                                     "partner_failed")])
def test_answers_that_are_none(reply: PartnerReply, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        read_json(reply)
    assert caught.value.code == code


def test_names() -> None:
    assert list(flat_names({"a": 1, "b": {"c": {"d": 2}, "e": None}})) == ["a", "b.c.d", "b.e"]


def test_signatures() -> None:
    key = rsa_key("merchant")
    signature = rsa_sign(key, b"text")
    assert rsa_verified(key.public_key(), b"text", signature)
    for text, given in ((b"text ", signature), (b"text", signature[:-4]), (b"text", ""),
                        (b"text", "\udcff"), (b"text", "!" + signature)):
        assert not rsa_verified(key.public_key(), text, given)
    assert not rsa_verified(rsa_key("alipay").public_key(), b"text", signature)


def test_a_repr_tells_nothing() -> None:
    request = PartnerRequest("POST", "/secret", (), {"authorization": "secret"}, b"secret")
    assert "secret" not in repr(request) + repr(PartnerReply(200, {"a": "secret"}, b"secret"))
