"""Finds the shared corpora beside a checkout; tests that need them skip where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def shared(*parts: str) -> Path:
    """The path of a shared file or folder; skips the calling test where there is none."""
    base = Path(os.environ.get("RELAYD_SHARED", ROOT.parent / "shared"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the shared corpus {'/'.join(parts)} is not beside the checkout",
                    allow_module_level=True)
    return path
