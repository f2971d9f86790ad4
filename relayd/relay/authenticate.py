"""Who asks: the API key of a request, looked up by its keyed hash.

Law: a key is compared by its digest under a secret pepper, so that the time of the look-up tells
nothing of other keys; it is never kept, logged or sent on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from relayd.core.errors import RelayError
from relayd.core.key import PREFIX, digest
from relayd.core.snapshot import KeyGrant, Snapshot

_BEARER: Final = b"bearer "
_OURS: Final = PREFIX.encode()
_SUBPROTOCOL: Final = b"openai-insecure-api-key."
_KEY_FIELDS: Final = (b"x-api-key", b"api-key", b"x-goog-api-key")
KEY_BYTES_MAX: Final = 256


def presented(fields: Mapping[bytes, bytes], query: str) -> bytes | None:
    """The key that a request presents, wherever its SDK puts it; one of ours wins over others."""
    bearer = fields.get(b"authorization")
    first: bytes | None = None
    if bearer is not None and bearer[:7].lower() == _BEARER:
        first = bearer[7:].strip()
        if first.startswith(_OURS):
            return first
    for key in _others(fields, query):
        if key.startswith(_OURS):
            return key
        first = first or key
    return first


def _others(fields: Mapping[bytes, bytes], query: str) -> list[bytes]:
    keys = [fields[name] for name in _KEY_FIELDS if name in fields]
    if "key=" in query:
        parts = (part for part in query.split("&") if part.startswith("key="))
        keys += [unquote_to_bytes(part[4:]) for part in parts]
    protocols = fields.get(b"sec-websocket-protocol")
    if protocols is not None:
        words = (word.strip() for word in protocols.split(b","))
        keys += [word[len(_SUBPROTOCOL):] for word in words if word.startswith(_SUBPROTOCOL)]
    return keys


def authenticate(
    fields: Mapping[bytes, bytes], query: str, snapshot: Snapshot, pepper: bytes, now_ms: int
) -> KeyGrant:
    """The grant of the key that is presented; raises RelayError 401 or 403."""
    key = presented(fields, query)
    if not key:
        raise RelayError("missing_key")
    if len(key) > KEY_BYTES_MAX:
        raise RelayError("invalid_key")
    grant = snapshot.keys.get(digest(pepper, key))
    if grant is None:
        raise RelayError("invalid_key")
    check(grant, now_ms)
    return grant


def check(grant: KeyGrant, now_ms: int) -> None:
    """Raises expired_key or account_suspended where a known key may not be used."""
    if grant.expires_at_ms is not None and grant.expires_at_ms <= now_ms:
        raise RelayError("expired_key")
    if grant.suspended:
        raise RelayError("account_suspended")
