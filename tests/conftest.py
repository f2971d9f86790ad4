"""What any test may use: a running relay between a raw client and a raw upstream."""

from __future__ import annotations

import gc
import signal
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.fakes import dialects
from tests.fakes.daemon import Lane

settings.register_profile("relayd", deadline=None)  # no test asserts a time
settings.load_profile("relayd")


def pytest_configure() -> None:
    """What a shell starts in the background ignores an interrupt, and so would every daemon and
    command that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays: looking for garbage in it takes a tenth of the time, and so it does
    each time that a test has all looked through."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Lane]:
    """The real application in this process; its upstream answers every endpoint in its dialect."""
    async with Lane(tmp_path / "relay-store", dialects.answer) as lane:
        yield lane
