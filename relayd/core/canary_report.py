"""The report of a canary run: what was sent, where was searched, what was found.

Law: it says nothing that the public should not read: no path of the machine, no key, no mark. It
is signed as canonical JSON: keys sorted, no spaces, UTF-8.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from relayd.core.canary import FORMS
from relayd.core.timestamp import rfc3339

FORMAT: Final = 1
FINDINGS_MAX: Final = 200


class Played(NamedTuple):
    """A request that was sent: its status (0: none came), and whether its text came back."""

    name: str
    status: int
    echoed: bool


class Searched(NamedTuple):
    """One place: `hits` by (file or region, mark, form)."""

    place: str
    files: int
    bytes: int
    unreadable: int
    hits: Mapping[tuple[str, str, str], int]


class Run(NamedTuple):
    """One run. `memory`: "searched", or in words why not; `wiped`: what the daemon says of it."""

    version: str
    started_at_ms: int
    ended_at_ms: int
    played: Sequence[Played]
    searched: Sequence[Searched]
    memory: str
    wiped: bool | None


def copies(searched: Sequence[Searched]) -> int:
    """All copies that were found."""
    return sum(sum(each.hits.values()) for each in searched)


def report(run: Run) -> dict[str, object]:
    """The report as JSON has it."""
    found = [{"place": each.place, "file": name, "mark": mark, "form": form, "copies": number}
             for each in run.searched for (name, mark, form), number in sorted(each.hits.items())]
    statuses = Counter(str(play.status or "none") for play in run.played)
    return {
        "format": FORMAT,
        "relayd": run.version,
        "started_at": rfc3339(run.started_at_ms),
        "ended_at": rfc3339(run.ended_at_ms),
        "requests": len(run.played),
        "by_status": dict(sorted(statuses.items())),
        "came_back": sum(play.echoed for play in run.played),
        "kinds": sorted({play.name for play in run.played}),
        "forms": list(FORMS),
        "searched": [{"place": each.place, "files": each.files, "bytes": each.bytes,
                      "unreadable": each.unreadable, "copies": sum(each.hits.values())}
                     for each in run.searched],
        "found": found[:FINDINGS_MAX],
        "memory": run.memory,
        "memory_wiped": run.wiped,
        "clean": not found,
    }


def canonical(value: object) -> bytes:
    """The bytes that are signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(value: Mapping[str, object], public: bytes, signature: bytes) -> bytes:
    """The published document."""
    return canonical({"report": value, "algorithm": "Ed25519", "public_key": public.hex(),
                      "signature": signature.hex()}) + b"\n"
