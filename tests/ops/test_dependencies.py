"""D4: how old the dependencies are is known without asking anybody."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from relayd.core.assessment import DEPENDENCIES_DAYS
from relayd.ops import dependencies
from relayd.ops.dependencies import Locked, age_days, behind, dependencies_finding, shipped
from tests.shared import ROOT

DAY_MS = 86_400_000
CHOSEN_MS = 1_790_000_000_000 // DAY_MS * DAY_MS


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages as pip installs them, and a relayd that was tested with 2.10.1 of them."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = {"zq-old": "2.9.4", "zq-same": "2.10.1", "zq-new": "2.10.1"}
    locked = Locked(CHOSEN_MS, "", dict.fromkeys([*names, "zq-elsewhere"], "2.10.1"))
    monkeypatch.setattr(dependencies, "shipped", lambda: locked)
    for name, version in names.items():
        install(tmp_path, name, version, CHOSEN_MS)
    return tmp_path


def install(site: Path, name: str, version: str, at_ms: int) -> None:
    package = name.replace("-", "_")
    for old in site.glob(f"{package}-*"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    folder = site / f"{package}-{version}.dist-info"
    folder.mkdir()
    said = folder / "METADATA"
    said.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / "RECORD").write_text(f"{folder.name}/METADATA,,\n{folder.name}/RECORD,,\n")
    os.utime(said, (at_ms / 1000, at_ms / 1000))


def test_D4_what_is_shipped_is_the_lock() -> None:
    found = shipped()
    lock = (ROOT / "requirements.lock").read_bytes()
    assert found.sha256 == hashlib.sha256(lock).hexdigest(), "make lock"
    for name, version in found.versions.items():
        assert f"{name}=={version} ".encode() in lock
    assert len(found.versions) == lock.count(b"==") and found.at_ms % DAY_MS == 0


def test_D4_age_is_since_they_were_chosen(site: Path) -> None:
    install(site, "zq-old", "2.10.1", CHOSEN_MS + 50 * DAY_MS)  # the same, installed later
    assert age_days(CHOSEN_MS + 90 * DAY_MS + 5) == 90 and age_days(CHOSEN_MS - 5) == 0
    install(site, "zq-new", "2.11.0", CHOSEN_MS + 80 * DAY_MS)  # a newer one, by their operator
    assert age_days(CHOSEN_MS + 90 * DAY_MS) == 10


def test_D4_the_doctor_says_what_to_do(site: Path) -> None:
    found = dependencies_finding(CHOSEN_MS)
    assert found.level == "warn" and "zq-old 2.9.4 (tested: 2.10.1)" in found.sentence
    assert "zq-same" not in found.sentence and "lock" in found.remedy
    install(site, "zq-old", "2.10.1", CHOSEN_MS)
    assert dependencies_finding(CHOSEN_MS + DEPENDENCIES_DAYS * DAY_MS).level == "ok"
    found = dependencies_finding(CHOSEN_MS + (DEPENDENCIES_DAYS + 1) * DAY_MS)
    assert found.level == "warn" and "relayd" in found.remedy


def test_many_that_are_behind_are_not_all_named(
    site: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"zq-{letter}" for letter in "abcdefg"]
    for name in names:
        install(site, name, "1.0", CHOSEN_MS)
    locked = Locked(CHOSEN_MS, "", dict.fromkeys(names, "1.0.1"))
    monkeypatch.setattr(dependencies, "shipped", lambda: locked)
    assert behind(locked) == names
    assert dependencies_finding(CHOSEN_MS).sentence.endswith("and 2 more.")


def test_a_package_that_does_not_say_when_it_came(site: Path) -> None:
    install(site, "zq-new", "3.0", CHOSEN_MS + DAY_MS)
    (site / "zq_new-3.0.dist-info" / "RECORD").unlink()
    assert age_days(CHOSEN_MS + 9 * DAY_MS) == 9


@pytest.mark.parametrize(("older", "newer"), [
    ("1.9", "1.10"), ("1.0", "1.0.1"), ("2026.1.4", "2026.12.1"), ("1.0.0", "2")])
def test_versions_are_compared_by_their_numbers(older: str, newer: str) -> None:
    assert dependencies.order(older) < dependencies.order(newer)
