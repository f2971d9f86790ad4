"""What all partners share: answers that are none, names of fields, signatures."""

from __future__ import annotations

import pytest

from relayd.core.errors import RelayError
from relayd.wire.partner import (
    MINOR_MAX, PartnerReply, PartnerRequest, as_minor, as_name, as_text, flat_names, read_json,
    rsa_sign, rsa_verified,
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


@pytest.mark.parametrize(("status", "code"), [
    (199, "partner_refused"), (200, None), (201, None), (299, None), (300, "partner_refused"),
    (408, "partner_refused"), (410, "partner_refused"), (428, "partner_refused"),
    (499, "partner_refused"), (500, "partner_failed"), (503, "partner_failed"),
])
def test_which_answers_are_tried_again(status: int, code: str | None) -> None:
    try:
        assert read_json(PartnerReply(status, {}, b'{"a":1}')) == {"a": 1} and code is None
    except RelayError as error:
        assert error.code == code


@pytest.mark.parametrize(("value", "minor"), [
    (None, 0), (0, 0), (1234, 1234), (-5, -5), ("1234", 1234), ("-5", -5), ("007", 7),
    (1234.0, 1234), (MINOR_MAX, MINOR_MAX), (-MINOR_MAX, -MINOR_MAX), ("9" * 15, 10 ** 15 - 1),
])
def test_amounts(value: object, minor: int) -> None:
    found = as_minor(value)
    assert found == minor and type(found) is int


@pytest.mark.parametrize("value", [
    True, False, 12.5, "12.5", "", " 1", "1\n", "+1", "1e3", "١", "9" * 16, "9" * 17,
    MINOR_MAX + 1, -MINOR_MAX - 1, 1e300, float("nan"), float("inf"), [1], {}, b"1",
])
def test_an_amount_is_never_rounded_or_guessed(value: object) -> None:
    with pytest.raises(ValueError):
        as_minor(value)


def test_names_that_a_partner_gives() -> None:
    assert as_text("x") == as_name("x") == "x"
    assert as_name(None) is as_name("") is None
    for value in (None, "", 1, b"x", ["x"]):
        with pytest.raises(ValueError):
            as_text(value)
    with pytest.raises(ValueError):
        as_name(0)


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
