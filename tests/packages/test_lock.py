"""The lock has what setup.cfg asks for, with hashes; the bill of materials has the same."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from relayd import __version__
from tests.shared import ROOT
from tools import lock

ENTRY = re.compile(r"([a-z0-9-]+)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def read() -> dict[str, tuple[str, set[str]]]:
    """The lock: version and hashes by name."""
    text = lock.LOCK.read_text("utf-8")
    found = {m[1]: (m[2], set(re.findall("[0-9a-f]{64}", m[3]))) for m in ENTRY.finditer(text)}
    rest = ENTRY.sub("", text)
    assert all(line.startswith("#") for line in rest.splitlines())
    return found


def item(name: str, version: str, digest: str, **metadata: Any) -> dict[str, Any]:
    """One item of pip's report."""
    return {"metadata": {"name": name, "version": version, **metadata},
            "download_info": {"archive_info": {"hashes": {"sha256": digest}}}}


def test_it_satisfies_what_is_asked_for() -> None:
    locked = read()
    requirements = [Requirement(line) for line in lock.wanted()]
    assert len(requirements) >= 8
    for requirement in requirements:
        version = Version(locked[lock.normal(requirement.name)][0])
        assert version in requirement.specifier, requirement.name
    # a wheel for each Python and architecture, or one that serves all
    each = len(lock.PYTHONS) * len(lock.PLATFORMS)
    assert {len(hashes) for _, hashes in locked.values()} <= set(range(1, each + 1))
    assert {len(locked[name][1]) for name in ("uvloop", "httptools", "tiktoken")} <= {2, each}


def test_the_bill_of_materials_is_of_the_lock() -> None:
    document = json.loads(lock.SBOM.read_text("utf-8"))
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    own = document["metadata"]["component"]
    assert own["name"] == "relayd" and own["version"] == __version__ == lock.own_version()
    parts = {part["name"]: (part["version"], {
        each["content"] for each in part["externalReferences"][0]["hashes"]})
        for part in document["components"]}
    assert parts == read()
    references = {part["bom-ref"] for part in document["components"]} | {own["bom-ref"]}
    tree = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    assert set(tree) == references
    assert {ref for needs in tree.values() for ref in needs} == references - {own["bom-ref"]}


def test_no_place_is_named() -> None:
    """Where a package comes from is the installer's affair."""
    for file in (lock.LOCK, lock.SBOM):
        places = re.findall(r"[a-z]+://\S+", file.read_text("utf-8"))
        assert {place for place in places if "cyclonedx.org/schema" not in place} == set()


def test_resolutions_are_merged() -> None:
    locked: dict[str, lock.Locked] = {}
    lock.merge(locked, [item("A_b", "1.0", "11", requires_dist=[
        "c.d>=1; python_version < '4'", "e; extra == 'x'"], license="MIT"),
        item("c-d", "2", "22")])
    lock.merge(locked, [item("a-b", "1.0", "33", license_expression="BSD-3-Clause")])
    assert lock.lock_text(locked).splitlines()[2:] == [
        "a-b==1.0 \\", "    --hash=sha256:11 \\", "    --hash=sha256:33", "c-d==2 \\",
        "    --hash=sha256:22"]
    assert locked["a-b"].needs == {"c-d"} and locked["a-b"].license == "MIT"
    with pytest.raises(ValueError, match="c-d: 2 here and 3 there"):
        lock.merge(locked, [item("c.d", "3", "44")])
    document = lock.sbom(locked, "9", ["a-b"])
    assert [entry["dependsOn"] for entry in document["dependencies"]] == [
        ["pkg:pypi/a-b@1.0"], ["pkg:pypi/c-d@2"], []]


@pytest.mark.parametrize(("metadata", "license"), [
    ({"license_expression": "MIT"}, "MIT"), ({"license": "a\nlong text"}, ""), ({}, ""),
    ({"classifier": ["X", "License :: OSI Approved :: Apache Software License"]},
     "Apache Software License"),
])
def test_licenses(metadata: Mapping[str, Any], license: str) -> None:
    assert lock.license_of(metadata) == license


def test_requirements_are_read(tmp_path: Path) -> None:
    file = tmp_path / "setup.cfg"
    file.write_text("[options]\ninstall_requires =\n    # why\n    a_b >=1,<2\n    c\n")
    assert lock.names(lock.wanted(file)) == ["a-b", "c"]
    assert ROOT == lock.ROOT


def test_what_is_shipped_has_a_day_that_stays_with_the_lock() -> None:
    locked = {"a": lock.Locked("a", "1.0"), "b-c": lock.Locked("b-c", "2")}
    first = lock.shipped_text(locked, "text", "", "2026-01-02")
    assert tomllib.loads(first)["versions"] == {"a": "1.0", "b-c": "2"}
    assert lock.shipped_text(locked, "text", first, "2026-03-04") == first
    assert "chosen = 2026-03-04" in lock.shipped_text(locked, "other", first, "2026-03-04")
