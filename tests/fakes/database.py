"""A real store in a temporary directory, as a fixture; conftest files import it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relayd.store.db import Database, open_database


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """A new store; a write waits 100 ms for another process's."""
    database = await open_database(tmp_path / "store", busy_ms=100)
    yield database
    await database.close()
