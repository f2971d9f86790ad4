"""Who listens on a port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from relayd.ops.occupant import occupant

ME = f" by {Path('/proc/self/comm').read_text().strip()} (pid {os.getpid()})"


@pytest.mark.parametrize(("family", "host"), [
    (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")])
def test_who_listens_is_named(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port = sock.getsockname()[1]
        assert occupant(port) == ""
        sock.listen()
        assert occupant(port) == ME
        with socket.create_connection((host if host != "0.0.0.0" else "127.0.0.1", port)):
            assert occupant(port) == ME
    assert occupant(port) == ""
