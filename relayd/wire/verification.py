"""A verifier's message about an identity, signed as Standard Webhooks has it (version 1).

Law: no I/O. The signature is checked over the bytes as they came before any of them is read, and
of a message only what is kept is read: verdict, level, the verifier's number, our reference.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from relayd.core.errors import RelayError
from relayd.core.verification import Answer, Level, Verdict

TYPE: Final = "identity.checked"
PREFIX: Final = "whsec_"
SECRET_BYTES: Final = range(24, 65)
TOLERANCE_SECONDS: Final = 300
SIGNATURES_MAX: Final = 16
_ID, _AT, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


@dataclass(frozen=True, slots=True)
class Told:
    """What a message says. `reference` is what the person was sent there with."""

    reference: str = field(repr=False)
    answer: Answer


class _Data(msgspec.Struct):
    reference: str
    verdict: Verdict
    level: Level
    check: str


class _Kind(msgspec.Struct):
    type: str


class _Message(msgspec.Struct):
    data: _Data


_kind: Final = msgspec.json.Decoder(_Kind)
_message: Final = msgspec.json.Decoder(_Message)


def secret_of(text: str) -> bytes:
    """The key that a text stands for: `whsec_` and base64. ValueError where it is none."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("is not base64") from None
    if len(key) not in SECRET_BYTES:
        raise ValueError("is not 24 to 64 bytes long")
    return key


def read(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[bytes], now_ms: int,
) -> Told | None:
    """What a message says; None for a type that is not known. Header names are in lower case.

    Raises `webhook_forged`, `webhook_stale` or `webhook_unreadable`.
    """
    _verify(headers, body, secrets, now_ms)
    try:
        if _kind.decode(body).type != TYPE:
            return None
        said = _message.decode(body).data
    except (ValueError, RecursionError):
        raise RelayError("webhook_unreadable") from None
    return Told(said.reference, Answer(said.verdict, said.level, said.check))


def _verify(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[bytes], now_ms: int,
) -> None:
    number, at = headers.get(_ID, ""), headers.get(_AT, "")
    if not (number.isascii() and at.isascii() and at.isdigit() and len(at) <= 12):
        raise RelayError("webhook_forged")
    signed = f"{number}.{at}.".encode() + body
    shown = headers.get(_SIGNATURE, "").split(" ")[:SIGNATURES_MAX]
    found = False
    for secret in secrets:
        wanted = "v1," + base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
        for each in shown:  # all of them, so that the time says nothing
            found |= hmac.compare_digest(each.encode("utf-8", "replace"), wanted.encode())
    if not found:
        raise RelayError("webhook_forged")
    if abs(now_ms // 1000 - int(at)) > TOLERANCE_SECONDS:
        raise RelayError("webhook_stale")
