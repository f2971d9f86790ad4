"""When a certificate ends, from its PEM file: for the metrics."""

from __future__ import annotations

import ssl
# the standard library's only reader of a certificate file; typeshed leaves it out
from _ssl import _test_decode_cert  # type: ignore[attr-defined]


def ends_at_seconds(path: str) -> float | None:
    """Unix time at which the file's first certificate ends; None where it cannot be read."""
    try:
        return float(ssl.cert_time_to_seconds(str(_test_decode_cert(path)["notAfter"])))
    except (OSError, ValueError, KeyError):
        return None
