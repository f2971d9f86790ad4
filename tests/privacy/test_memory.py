"""audit-canary on a real daemon: nothing on disk; nothing in memory either where it is wiped.

TLS is on both sides. Requests of every kind, failing ones too, go one by one and then at once;
connections are then open and idle, which is when an ordinary server still holds the last body.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relayd.core.canary_report import canonical
from relayd.ops.scrape import fetch, samples
from relayd.store import canary
from relayd.store.signing import open_signer, valid
from tests.privacy.hardened import Hardened, hardened

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into its memory")


async def figure(daemon: Hardened, name: str) -> float:
    _, page = await fetch(f"127.0.0.1:{daemon.ops_address[1]}", "/metrics")
    return next(sample.value for sample in samples(page) if sample.name == name)


async def test_nothing_stays(tmp_path: Path) -> None:
    async with hardened(tmp_path / "daemon", wipe=True) as daemon:
        code, report, said = await daemon.audit("--memory")
        assert (code, report["found"], report["clean"]) == (0, [], True), said
        assert (report["memory"], report["memory_wiped"]) == ("searched", True)
        places = {each["place"]: each for each in report["searched"]}
        assert {"memory", "store", "logs", "open files", "metrics", "temporary files"} <= set(
            places)
        assert places["memory"]["bytes"] > 50_000_000 and places["store"]["files"] > 5
        assert report["requests"] > 300 and report["came_back"] > 40
        assert {"200", "101", "400", "401", "404", "413", "429", "500", "502"} <= set(
            report["by_status"])
        # clients that went away left nothing under way
        assert await figure(daemon, "relayd_calls_in_flight") == 0
        document = canary.read(daemon.store)
        signer = open_signer(daemon.store)
        assert document is not None and canonical(report) in document
        assert signer.sign(canonical(report)).hex().encode() in document
        assert valid(signer.public, canonical(report), signer.sign(canonical(report)))


async def test_without_wiping_the_search_finds_what_is_there(tmp_path: Path) -> None:
    async with hardened(tmp_path / "daemon", wipe=False) as daemon:
        code, report, _ = await daemon.audit("--memory")
        assert code == 1 and report["clean"] is False and report["memory_wiped"] is False
        assert {each["place"] for each in report["found"]} == {"memory"}
        assert {each["form"] for each in report["found"]} >= {"utf-8", "utf-32-le"}
