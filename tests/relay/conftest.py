"""What the tests of the data plane share: the encodings, loaded once, and relays to order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from relayd.relay.tokenizer import NAMES, Encodings
from tests.fakes.daemon import Lane

Opened = Callable[..., Awaitable[Lane]]
"""Opens a relay with its own upstream; takes what Lane takes but for the directory."""


@pytest.fixture(scope="session")
def encodings() -> Encodings:
    loaded = Encodings()
    loaded.load(NAMES)
    return loaded


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    async with AsyncExitStack() as stack:

        async def one_more(*wishes: Any, **named: Any) -> Lane:
            return await stack.enter_async_context(
                Lane(tmp_path / "store", *wishes, **named))

        yield one_more
