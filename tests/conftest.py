"""What any test may use: a running relay between a raw client and a raw upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.fakes import dialects
from tests.fakes.daemon import Lane

settings.register_profile("relayd", deadline=None)  # no test asserts a time
settings.load_profile("relayd")


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Lane]:
    """The real application in this process; its upstream answers every endpoint in its dialect."""
    async with Lane(tmp_path / "relay-store", dialects.answer) as lane:
        yield lane
