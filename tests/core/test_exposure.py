"""When a request came in clear, by a proxy's word."""

from __future__ import annotations

import pytest

from relayd.core.exposure import in_clear


@pytest.mark.parametrize(("proto", "clear"), [
    (None, False), (b"https", False), (b"http", True), (b"HTTP", True), (b"http, https", True),
    (b"https ,http", True), (b"wss", False), (b"", False), (b"httpx", False),
])
def test_any_stretch_counts(proto: bytes | None, clear: bool) -> None:
    assert in_clear(proto) is clear
