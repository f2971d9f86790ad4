"""Finds the shared corpora beside a checkout; tests that need them skip where they are absent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).resolve().parents[1]

KNOWN: Final = {"corpus/cases": "f72dc09da249e853", "client-requests": "1c777b6d547803ec"}
"""Digests of the names in the collections that figures in tests and docs are of."""


def shared(*parts: str) -> Path:
    """The path of a shared file or folder; skips the calling test where there is none."""
    base = Path(os.environ.get("RELAYD_SHARED", ROOT.parent / "shared"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the shared corpus {'/'.join(parts)} is not beside the checkout",
                    allow_module_level=True)
    return path


def known_collection(*parts: str) -> Path:
    """As `shared`; for figures of a whole collection: skips where it is another one."""
    path = shared(*parts)
    names = "\n".join(sorted(each.name for each in path.iterdir()))
    if hashlib.sha256(names.encode()).hexdigest()[:16] != KNOWN["/".join(parts)]:
        pytest.skip(f"{'/'.join(parts)} is not the collection that this test has figures of")
    return path
