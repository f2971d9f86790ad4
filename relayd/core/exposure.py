"""A key that came over the network in clear: a proxy got it without TLS and said so."""

from __future__ import annotations

from typing import NamedTuple


class Exposure(NamedTuple):
    """Which key, whose, and when it was first seen so."""

    key: str
    account: str
    at_ms: int


def in_clear(proto: bytes | None) -> bool:
    """Whether X-Forwarded-Proto, as the nearest proxy passed it on, says http on any stretch."""
    return proto is not None and b"http" in (
        word.strip().lower() for word in proto.split(b","))
