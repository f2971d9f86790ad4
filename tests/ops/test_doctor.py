"""The doctor's findings on this machine, against made-up machines."""

from __future__ import annotations

import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from relayd.core.timestamp import DAY_MS
from relayd.ops import clock
from relayd.ops.config import ServerConfig
from relayd.ops.doctor import (
    Finding, certificate_finding, clock_finding, core_finding, exit_code, private_finding,
    space_finding, swap_finding, writable_finding,
)
from tests.shared import ROOT


def test_the_unit_has_what_remedies_refer_to() -> None:
    unit = (ROOT / "config" / "relayd.service").read_text("utf-8").splitlines()
    assert {"LimitCORE=0", "MemorySwapMax=0", "UMask=0077", "Type=notify"} <= set(unit)
    [stop] = [line for line in unit if line.startswith("TimeoutStopSec=")]
    assert int(stop.removeprefix("TimeoutStopSec=").removesuffix("s")) \
        > ServerConfig().drain_seconds


def test_exit_code() -> None:
    assert exit_code([]) == exit_code([Finding("ok", "a", "b"), Finding("warn", "a", "b")]) == 0
    assert exit_code([Finding("ok", "a", "b"), Finding("fail", "a", "b")]) == 1


@pytest.mark.parametrize(("now_ms", "level"), [
    (0, "fail"), (1_767_225_600_000, "ok"), (1_767_225_599_999, "fail"),
    (4_102_444_800_000, "fail"),
])
def test_clock(now_ms: int, level: str) -> None:
    assert clock_finding(now_ms).level == level


SWAPS = "Filename Type Size Used Priority\n"
AREA = "/dev/sda2 partition 1 0 -2\n"


@pytest.mark.parametrize(("swaps", "limits", "level"), [
    (SWAPS, [], "ok"), (SWAPS + AREA, [], "fail"), (SWAPS + AREA, ["0"], "ok"),
    (SWAPS + AREA, ["0", "max"], "fail"), (None, [], "warn"),
])
def test_C2_swap(swaps: str | None, limits: list[str], level: str, tmp_path: Path) -> None:
    if swaps is not None:
        (tmp_path / "swaps").write_text(swaps)
    for number, limit in enumerate(limits):
        service = tmp_path / f"relayd@{number}.service"
        service.mkdir()
        (service / "memory.swap.max").write_text(f"{limit}\n")
    assert swap_finding(tmp_path, tmp_path).level == level


@pytest.mark.parametrize(("pattern", "limit", "level"), [
    ("core", 0, "ok"), ("core", 4096, "warn"), ("|/usr/share/apport %p", 0, "warn"),
    ("|/usr/lib/systemd/systemd-coredump %P", 0, "ok"),
    ("|/usr/lib/systemd/systemd-coredump %P", 4096, "warn"), (None, 0, "ok"),
])
def test_cores(
    pattern: str | None, limit: int, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    if pattern is not None:
        (tmp_path / "sys/kernel").mkdir(parents=True)
        (tmp_path / "sys/kernel/core_pattern").write_text(pattern + "\n")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    finding = core_finding(tmp_path)
    piped = pattern is not None and "apport" in pattern
    assert finding.level == level
    assert ("go to a program" in finding.sentence) is piped
    assert ("kernel.core_pattern" in finding.remedy) is piped


@pytest.mark.parametrize(("mode", "level"), [(0o700, "ok"), (0o600, "ok"), (0o750, "fail"),
                                             (0o604, "fail")])
def test_private(mode: int, level: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("x")
    path.chmod(mode)
    finding = private_finding("store", path)
    assert finding.level == level
    if level == "fail":
        assert finding.remedy.startswith(f"chmod {mode & 0o700:04o} ")


def test_private_that_is_missing(tmp_path: Path) -> None:
    assert private_finding("store", tmp_path / "none").level == "fail"


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert space_finding(tmp_path / "none").level == "fail"
    for mib, level in ((1, "fail"), (128, "warn"), (2048, "ok")):
        found = type("F", (), {"f_bavail": mib * 256, "f_frsize": 4096})
        monkeypatch.setattr("os.statvfs", lambda path, found=found: found)
        finding = space_finding(tmp_path)
        assert finding.level == level and finding.sentence.startswith(f"{mib} MiB are free")


def test_writable(tmp_path: Path) -> None:
    assert writable_finding(tmp_path).level == "ok"
    assert writable_finding(tmp_path / "none").level == "fail"


def test_a_file_system_that_is_read_only_is_told_from_another_user_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "user" in writable_finding(tmp_path).remedy
    monkeypatch.setattr(os, "statvfs", lambda path: ReadOnly)
    found = writable_finding(tmp_path)
    assert "read-only" in found.sentence and "mount" in found.remedy


@pytest.mark.parametrize(("days", "level"), [(100, "ok"), (10, "warn"), (-1, "fail")])
def test_certificate(days: int, level: str, tmp_path: Path) -> None:
    path = tmp_path / "tls.crt"
    expires = datetime.now(UTC) + timedelta(days=days, hours=1)
    trustme.CA().issue_cert("a.example", not_after=expires).cert_chain_pems[0].write_to_path(
        str(path))
    finding = certificate_finding(str(path), clock.unix_ms())
    assert finding.level == level
    if level != "fail":
        assert f"{days} more days" in finding.sentence
    assert certificate_finding(str(path), clock.unix_ms() + 200 * DAY_MS).level == "fail"


def test_a_certificate_of_tomorrow(tmp_path: Path) -> None:
    path = tmp_path / "tls.crt"
    now = datetime.now(UTC)
    made = trustme.CA().issue_cert("a.example", not_before=now + timedelta(days=1, hours=1),
                                   not_after=now + timedelta(days=90))
    made.cert_chain_pems[0].write_to_path(str(path))
    finding = certificate_finding(str(path), clock.unix_ms())
    assert finding.level == "fail" and "not valid before" in finding.sentence
    assert certificate_finding(str(path), clock.unix_ms() + 2 * DAY_MS).level == "ok"


def test_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert certificate_finding(str(tmp_path / "x"), 0).level == "fail"
    assert certificate_finding(str(tmp_path / "none"), 0).level == "fail"
