"""S1: a relay connects to those who stand in its configuration, and to nobody else.

It lives in a network namespace of its own, where the kernel shows each connection that is begun.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.shared import ROOT

UNSHARE = ["unshare", "-r", "-n"]
FAR = "http://198.51.100.9:3128"


def allowed() -> bool:
    try:
        return subprocess.run([*UNSHARE, "ip", "link"], capture_output=True).returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not allowed(), reason="no network namespaces, or no ip, here")


def lived(folder: Path, *words: str) -> dict[str, Any]:
    """What a relay's life came to; proxies of the environment are there to be ignored."""
    proxies = {name: FAR for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy",
                                      "https_proxy", "all_proxy")}
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.fakes.egress_play", str(folder), *words],
        cwd=ROOT, env=os.environ | proxies, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["missed"] == 0
    return found


def test_S1_nobody_is_connected_to_who_is_not_in_the_configuration(tmp_path: Path) -> None:
    found = lived(tmp_path)
    known = {("127.0.0.1", port, "tcp"): name for name, port in found["known"].items()}
    places = {tuple(place) for place in found["places"]}
    assert places - set(known) == set()
    assert {known[place] for place in places} >= {
        "provider", "partners", "mail", "relay", "console"}
    assert found["turned"] >= 12


def test_the_watch_sees_a_stray_connection_and_a_look_up(tmp_path: Path) -> None:
    found = lived(tmp_path, "--stray")
    known = set(found["known"].values())
    strays = {(port, kind) for _, port, kind in found["places"] if port not in known}
    assert strays == {(443, "tcp"), (53, "udp")}
