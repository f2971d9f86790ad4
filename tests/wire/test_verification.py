"""H3: a message is believed by its signature; the library of Standard Webhooks signs."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from relayd.core.errors import RelayError
from relayd.wire.verification import SIGNATURES_MAX, Told, read, secret_of

NOW_MS = 1_790_000_000_000
SECRET, OTHER = ("whsec_" + base64.b64encode(bytes([n]) * 32).decode() for n in (7, 8))
DATA = {"reference": "ref", "verdict": "verified", "level": "document", "check": "n-1"}


def body(kind: str = "identity.checked", **data: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-09-21T13:33:20Z", "data": {
        **DATA, **data}}).encode()


def signed(raw: bytes, secret: str = SECRET, at_ms: int = NOW_MS) -> dict[str, str]:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at_ms // 1000),
            "webhook-signature": Webhook(secret).sign("msg_1", at, raw.decode())}


def heard(headers: dict[str, str], raw: bytes, *secrets: str) -> Told | None:
    return read(headers, raw, [secret_of(each) for each in secrets or (SECRET,)], NOW_MS)


def code(headers: dict[str, str], raw: bytes) -> str:
    with pytest.raises(RelayError) as caught:
        heard(headers, raw)
    return caught.value.code


def test_H3_what_the_library_signs_is_read() -> None:
    raw = body(document="zq7content-passport", name="Ann")
    told = heard(signed(raw), raw)
    assert told is not None and told.reference == "ref" and "ref" not in repr(told)
    assert (told.answer.verdict, told.answer.level, told.answer.reference) == (
        "verified", "document", "n-1")
    # while the secret is replaced either will do, also beside signatures of others
    both = signed(raw) | {"webhook-signature": "v1a,xx " + signed(raw, OTHER)["webhook-signature"]}
    assert heard(both, raw, SECRET, OTHER) == told


def test_other_types_say_nothing() -> None:
    raw = body("identity.begun")
    assert heard(signed(raw), raw) is None


@pytest.mark.parametrize("change", [
    {"webhook-signature": ""}, {"webhook-signature": "v1,AAAA"}, {"webhook-id": "msg_2"},
    {"webhook-timestamp": str(NOW_MS // 1000 + 1)}, {"webhook-timestamp": "x"},
    {"webhook-timestamp": ""}, {"webhook-timestamp": "9" * 13}, {"webhook-id": "\u00e9"},
    {"webhook-timestamp": "\u0661\u0662"}, {"webhook-signature": "v1,\udc80"},
])
def test_H3_what_is_forged_is_refused(change: dict[str, str]) -> None:
    raw = body()
    assert code(signed(raw) | change, raw) == "webhook_forged"


def test_a_signature_is_of_these_bytes_and_this_secret() -> None:
    raw = body()
    assert code(signed(raw), raw + b" ") == code(signed(raw, OTHER), raw) == "webhook_forged"
    assert code({}, raw) == "webhook_forged"
    many = " ".join(["v1,AA=="] * SIGNATURES_MAX + [signed(raw)["webhook-signature"]])
    assert code(signed(raw) | {"webhook-signature": many}, raw) == "webhook_forged"


@pytest.mark.parametrize("off_ms", [-301_000, 301_000])
def test_an_old_message_is_refused(off_ms: int) -> None:
    raw = body()
    assert code(signed(raw, at_ms=NOW_MS + off_ms), raw) == "webhook_stale"
    assert heard(signed(raw, at_ms=NOW_MS + off_ms * 299 // 301), raw)


@pytest.mark.parametrize("raw", [
    b"", b"[]", b"{}", b'{"type":"identity.checked"}', b"\xff", body(verdict="maybe"),
    body(level="blood"), body(reference=7), body(check=None), b'{"type":"\xff"}',
    b'{"more":' + b"[" * 3000 + b"]" * 3000 + b"}",
])
def test_what_is_no_verdict_is_unreadable(raw: bytes) -> None:
    headers = {"webhook-id": "m", "webhook-timestamp": str(NOW_MS // 1000)}
    headers["webhook-signature"] = signature(headers, raw)
    assert code(headers, raw) == "webhook_unreadable"


def signature(headers: dict[str, str], raw: bytes) -> str:
    """As the library does, for bytes that are no text."""
    text = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'.encode() + raw
    return "v1," + base64.b64encode(hmac.digest(secret_of(SECRET), text, "sha256")).decode()


@given(st.dictionaries(st.sampled_from(
    ["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text(max_size=60)),
    st.binary(max_size=80))
def test_nothing_else_is_ever_raised(headers: dict[str, str], raw: bytes) -> None:
    assert code(headers, raw) == "webhook_forged"


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!", "whsec_QUJD", "whsec_" + "QUJD" * 30])
def test_what_is_no_secret(text: str) -> None:
    with pytest.raises(ValueError):
        secret_of(text)
