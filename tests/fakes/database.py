"""A real store in a temporary directory, as a fixture; conftest files import it."""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from relayd.store.db import BUSY_MS, Database, open_database


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """A new store; a write waits 100 ms for another process's."""
    database = await new_store(tmp_path / "store", busy_ms=100)
    yield database
    await database.close()


async def new_store(directory: Path, busy_ms: int = BUSY_MS) -> Database:
    """The store there; where there is none, a copy of an empty one, which is made faster than one
    by 22 migrations. Copies have the same secrets."""
    if not directory.exists():
        shutil.copytree(_empty(), directory)
    return await open_database(directory, busy_ms=busy_ms)


@cache
def _empty() -> Path:
    """The directory of a store as relayd makes it, until this process ends."""
    store = kept_folder("relayd-empty-") / "store"
    with ThreadPoolExecutor(1) as beside:  # who asks has a loop of his own
        beside.submit(asyncio.run, _make(store)).result()
    return store


def kept_folder(prefix: str) -> Path:
    """A new directory, until this process ends."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder)
    return folder


async def _make(directory: Path) -> None:
    database = await open_database(directory)
    await database.close()
