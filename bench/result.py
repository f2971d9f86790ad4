"""What a question answers with, and its file."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import machine
from bench.sample import Sample


@dataclass(frozen=True, slots=True)
class Outcome:
    """Samples of a question, who took no part and why, and how much others used of the machine."""

    question: str
    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def write(outcome: Outcome, folder: Path, settings: dict[str, Any]) -> Path:
    """Keeps an outcome with its machine and settings as `folder/QUESTION.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome.question}.json"
    document = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine.describe() | outcome.versions, "settings": settings,
        "question": outcome.question, "skipped": outcome.skipped,
        "samples": [_finite(asdict(each)) for each in outcome.samples],
    }
    path.write_text(json.dumps(document, indent=1, default=str) + "\n", "utf-8")
    return path


def _finite(sample: dict[str, Any]) -> dict[str, Any]:
    figures = {k: round(v, 3) for k, v in sample["figures"].items() if math.isfinite(v)}
    return {**sample, "figures": figures}


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of `write`, read again."""

    question: str
    measured_at: str
    machine: dict[str, str]
    settings: dict[str, Any]
    skipped: dict[str, str]
    samples: list[Sample]


def read(path: Path) -> Kept:
    """Raises KeyError or ValueError for another kind of file."""
    document = json.loads(path.read_text("utf-8"))
    return Kept(
        document["question"], document["measured_at"], document["machine"], document["settings"],
        document["skipped"], [Sample(**each) for each in document["samples"]])


def read_all(folder: Path) -> dict[str, Kept]:
    """Every question that was asked, by its name."""
    return {kept.question: kept for kept in map(read, sorted(folder.glob("*.json")))}
