"""From when and until when a certificate is valid, from its PEM file."""

from __future__ import annotations

import ssl
# the standard library's only reader of a certificate file; typeshed leaves it out
from _ssl import _test_decode_cert  # type: ignore[attr-defined]


def validity(path: str) -> tuple[str, str]:
    """Both moments of the file's first certificate, as it has them. Raises OSError, ValueError or
    KeyError where it cannot be read."""
    found = _test_decode_cert(path)
    return str(found["notBefore"]), str(found["notAfter"])


def ends_at_seconds(path: str) -> float | None:
    """Unix time at which the file's first certificate ends; None where it cannot be read."""
    return _seconds(path, 1)


def begins_at_seconds(path: str) -> float | None:
    """Unix time from which on the file's first certificate is valid; None as above."""
    return _seconds(path, 0)


def _seconds(path: str, which: int) -> float | None:
    try:
        return float(ssl.cert_time_to_seconds(validity(path)[which]))
    except (OSError, ValueError, KeyError):
        return None
