"""What relayd is installed with: when its dependencies were chosen, and which are behind those.

Law: nobody is asked over the network. `dependencies.toml` comes with relayd and has the versions
of requirements.lock, and the day on which they were chosen.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import metadata
from importlib.resources import files
from typing import Final

from relayd.core.assessment import DEPENDENCIES_DAYS
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.ops.doctor import Finding

FILE_NAME: Final = "dependencies.toml"
NAMED_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Locked:
    """The versions by name, chosen at `at_ms`; those of requirements.lock with this SHA-256."""

    at_ms: int
    sha256: str
    versions: Mapping[str, str]


def shipped() -> Locked:
    """Those that this relayd was tested with."""
    return parsed((files("relayd.ops") / FILE_NAME).read_text("utf-8"))


def parsed(text: str) -> Locked:
    """The file's contents."""
    found = tomllib.loads(text)
    day: date = found["chosen"]
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Locked(int(at.timestamp() * 1000), found["sha256"], found["versions"])


def order(version: str) -> tuple[int, ...]:
    """The numbers of a version, by which two of them compare well enough (PEP 440 releases)."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:4])


def behind(locked: Locked) -> list[str]:
    """Names of installed packages that are older than those that were chosen."""
    return sorted(name for name, version in locked.versions.items()
                  if (there := _installed(name)) and order(there.version) < order(version))


def looked_after_ms(locked: Locked) -> int:
    """When the dependencies were last chosen: with this relayd or, where newer ones were installed
    since, when that was done."""
    newer = (there for name, version in locked.versions.items()
             if (there := _installed(name)) and order(there.version) > order(version))
    return max([locked.at_ms, *(_installed_ms(each) for each in newer)])


def age_days(now_ms: int) -> int:
    """Whole days since then."""
    return max(0, now_ms - looked_after_ms(shipped())) // DAY_MS


def dependencies_finding(now_ms: int) -> Finding:
    """Whether what relayd is installed with is what it was tested with, and lately."""
    locked = shipped()
    older = behind(locked)
    if older:
        told = ", ".join(f"{name} {_version(name)} (tested: {locked.versions[name]})"
                         for name in older[:NAMED_MAX])
        more = f" and {len(older) - NAMED_MAX} more" if len(older) > NAMED_MAX else ""
        return Finding("warn", "dependencies", f"Older than relayd was tested with: {told}{more}.",
                       "pip install -r requirements.lock (share/relayd has it), or take the"
                       " package's next version.")
    since_ms = looked_after_ms(locked)
    sentence = f"The dependencies were chosen on {rfc3339(since_ms)[:10]}."
    if now_ms - since_ms > DEPENDENCIES_DAYS * DAY_MS:
        return Finding("warn", "dependencies", sentence,
                       "Install a newer relayd; where there is none, upgrade them: pip install"
                       " --upgrade --upgrade-strategy eager relayd")
    return Finding("ok", "dependencies", sentence)


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:  # wanted on another platform alone
        return None


def _version(name: str) -> str:
    there = _installed(name)
    return there.version if there else ""


def _installed_ms(there: metadata.Distribution) -> int:
    for file in there.files or ():
        if file.name in ("METADATA", "PKG-INFO"):
            try:
                return int(file.locate().stat().st_mtime * 1000)  # type: ignore[attr-defined]
            except OSError:
                break
    return 0
