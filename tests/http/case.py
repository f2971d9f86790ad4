"""One case: raw bytes of a request or of an upstream's reply, and what a relay does with them."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.daemon import CREDENTIAL

KEY_LENGTH = 6
"""The length of a key for which the decimal and hexadecimal placeholders need no change."""
_LENGTH = re.compile(rb"@([DX])(\d+):(\d+)@")


@dataclass(frozen=True, slots=True)
class Case:
    """`expect` is as the corpus has it; `filled` puts key and credential into bytes."""

    id: str
    name: str
    raw: bytes
    expect: Mapping[str, Any]
    send: str = "once"
    after: str = "hold"
    stream: bool = False
    when: str = "on-request"
    play: int = 5
    rfc: str = ""
    why: str = field(default="", repr=False)


def octets(source: Mapping[str, Any], name: str) -> bytes | None:
    """The bytes under `name`_b64 or `name`_gz_b64; None where there are none."""
    if f"{name}_gz_b64" in source:
        return gzip.decompress(base64.b64decode(source[f"{name}_gz_b64"]))
    if f"{name}_b64" in source:
        return base64.b64decode(source[f"{name}_b64"])
    return None


def filled(raw: bytes, key: str) -> bytes:
    """The bytes with their placeholders replaced, lengths first."""
    more = len(key) - KEY_LENGTH

    def length(match: re.Match[bytes]) -> bytes:
        size = int(match[2]) + int(match[3]) * more
        return b"%d" % size if match[1] == b"D" else b"%x" % size

    raw = _LENGTH.sub(length, raw)
    return raw.replace(b"@AUTH@", key.encode()).replace(b"@UPSTREAM_KEY@", CREDENTIAL.encode())


def read_cases(path: Path) -> list[Case]:
    """The cases of a file of requests or responses, one JSON object a line."""
    return [_case(json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def _case(row: Mapping[str, Any]) -> Case:
    raw = octets(row, "raw")
    assert raw is not None
    return Case(
        id=row["id"], name=f"{row['group']}/{row['name']}", raw=raw * row.get("repeat", 1),
        expect=row["expect"], send=row["send"], after=row["after"],
        stream=row.get("stream", False), when=row.get("when", "on-request"),
        play=row.get("play", 1), rfc=row["rfc"], why=row["why"],
    )


def names(cases: Iterable[Case]) -> list[str]:
    """Readable ids for pytest, in the order of the cases."""
    return [f"{case.id}-{case.name}" for case in cases]
