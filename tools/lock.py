"""Locks the dependencies: `python -m tools.lock` writes requirements.lock, sbom.cdx.json and
relayd/ops/dependencies.toml, which tells the installed relayd how old they are.

pip resolves what setup.cfg asks for, and tells the hash of each wheel that it would install, once
per Python and architecture that relayd is packaged for. Versions are the same for all of them.

Law: the files name packages, versions and hashes, and never where they were found, so that any
index or folder of wheels serves. The same resolution gives the same bytes, also on another day.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
LOCK: Final = ROOT / "requirements.lock"
SBOM: Final = ROOT / "sbom.cdx.json"
SHIPPED: Final = ROOT / "relayd" / "ops" / "dependencies.toml"
PYTHONS: Final = ("3.11", "3.13")
"""Those of Debian 12 and 13."""
PLATFORMS: Final = ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64")
OLDER: Final = ("manylinux_2_17", "manylinux2014")
"""Platforms whose wheels run on the above too; pip does not know when it is asked for one."""
HEAD: Final = """\
# The dependencies of relayd with their hashes: wheels for CPython {pythons} on Linux,
# x86_64 and aarch64. Written by `make lock`; installed with pip install --require-hashes -r.
"""


@dataclass(slots=True)
class Locked:
    """One package: `hashes` are the SHA-256 of its wheels, `needs` the names it depends on."""

    name: str
    version: str
    license: str = ""
    hashes: set[str] = field(default_factory=set)
    needs: set[str] = field(default_factory=set)


def normal(name: str) -> str:
    """A package's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(setup: Path = ROOT / "setup.cfg") -> list[str]:
    """The requirements of relayd itself."""
    parser = configparser.ConfigParser(inline_comment_prefixes=None, interpolation=None)
    parser.read(setup, "utf-8")
    lines = parser["options"]["install_requires"].splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def resolve(requirements: Iterable[str], python: str, platform: str) -> list[dict[str, Any]]:
    """What pip would install there: items of its installation report."""
    machine = platform.partition("_x86")[0].partition("_aarch")[0]
    tail = platform.removeprefix(machine)
    platforms = [platform, *(older + tail for older in OLDER)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
             "--only-binary=:all:", f"--target={folder}", f"--python-version={python}",
             "--implementation=cp", *(f"--platform={name}" for name in platforms),
             "--report=-", *requirements],
            check=True, text=True, stdout=subprocess.PIPE)
    items: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return items


def merge(locked: dict[str, Locked], items: Iterable[Mapping[str, Any]]) -> None:
    """Adds what one resolution found; raises ValueError where versions differ."""
    for item in items:
        metadata = item["metadata"]
        name = normal(metadata["name"])
        entry = locked.setdefault(name, Locked(name, metadata["version"]))
        if entry.version != metadata["version"]:
            raise ValueError(f"{name}: {entry.version} here and {metadata['version']} there")
        entry.license = entry.license or license_of(metadata)
        entry.hashes.add(item["download_info"]["archive_info"]["hashes"]["sha256"])
        entry.needs |= {normal(re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0])
                        for need in metadata.get("requires_dist", ())
                        if "extra ==" not in need}


def license_of(metadata: Mapping[str, Any]) -> str:
    """An SPDX expression, else the last words of a classifier, else nothing."""
    if metadata.get("license_expression"):
        return str(metadata["license_expression"])
    for line in metadata.get("classifier", ()):
        if line.startswith("License ::"):
            return str(line.rpartition(" :: ")[2])
    short = str(metadata.get("license", ""))
    return short if 0 < len(short) < 60 and "\n" not in short else ""


def lock_text(locked: Mapping[str, Locked]) -> str:
    """requirements.lock."""
    lines = [HEAD.format(pythons=" and ".join(PYTHONS))]
    for name in sorted(locked):
        entry = locked[name]
        parts = [f"{name}=={entry.version}", *(f"--hash=sha256:{h}" for h in sorted(entry.hashes))]
        lines.append(" \\\n    ".join(parts) + "\n")
    return "".join(lines)


def shipped_text(locked: Mapping[str, Locked], lock: str, before: str, today: str) -> str:
    """relayd/ops/dependencies.toml. Where the lock is the one of `before`, so is its day."""
    digest = hashlib.sha256(lock.encode()).hexdigest()
    day = re.search(r"^chosen = (\S+)$", before, re.MULTILINE)
    if day is not None and digest in before:
        today = day[1]
    lines = ["# What requirements.lock has, and since when. Written by `make lock`.",
             f"chosen = {today}", f'sha256 = "{digest}"', "", "[versions]",
             *(f'{name} = "{locked[name].version}"' for name in sorted(locked))]
    return "\n".join(lines) + "\n"


def sbom(locked: Mapping[str, Locked], version: str, direct: Iterable[str]) -> dict[str, Any]:
    """A CycloneDX 1.6 bill of materials of relayd and what it is installed with."""
    def reference(entry: Locked) -> str:
        return f"pkg:pypi/{entry.name}@{entry.version}"

    own = f"pkg:pypi/relayd@{version}"
    entries = [locked[name] for name in sorted(locked)]
    tree = [{"ref": own, "dependsOn": [reference(locked[name]) for name in sorted(direct)]}]
    tree += [{"ref": reference(each), "dependsOn": [
        reference(locked[name]) for name in sorted(each.needs) if name in locked]}
        for each in entries]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": own, "name": "relayd", "version": version,
            "licenses": [{"license": {"id": "Apache-2.0"}}], "purl": own}},
        "components": [_component(each, reference(each)) for each in entries],
        "dependencies": tree,
    }


def _component(entry: Locked, reference: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "library", "bom-ref": reference, "name": entry.name, "version": entry.version,
        "purl": reference,
        # one file per Python and architecture: of an installation, one of them
        "externalReferences": [{
            "type": "distribution", "url": reference,
            "hashes": [{"alg": "SHA-256", "content": each} for each in sorted(entry.hashes)]}],
    }
    if entry.license:
        made["licenses"] = [{"license": {"name": entry.license}}]
    return made


def names(requirements: Iterable[str]) -> list[str]:
    """The packages that requirements name."""
    return [normal(re.split(r"[^A-Za-z0-9._-]", each, maxsplit=1)[0]) for each in requirements]


def own_version(setup: Path = ROOT / "setup.cfg") -> str:
    """relayd's version."""
    found = re.search(r"^version = (\S+)$", setup.read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def main() -> int:
    """Resolves and writes the files."""
    argparse.ArgumentParser(prog="lock", description=__doc__.partition("\n")[0]).parse_args()
    requirements = wanted()
    locked: dict[str, Locked] = {}
    pinned = requirements
    for python in PYTHONS:
        for platform in PLATFORMS:
            merge(locked, resolve(pinned, python, platform))
            # what was found first holds for all: also packages that only one platform needs
            pinned = [*requirements, *(f"{each.name}=={each.version}"
                                       for each in locked.values())]
    text = lock_text(locked)
    LOCK.write_text(text, "utf-8")
    before = SHIPPED.read_text("utf-8") if SHIPPED.exists() else ""
    today = datetime.now(UTC).date().isoformat()
    SHIPPED.write_text(shipped_text(locked, text, before, today), "utf-8")
    document = sbom(locked, own_version(), names(requirements))
    SBOM.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    print(f"{len(locked)} packages, {sum(len(each.hashes) for each in locked.values())} wheels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
