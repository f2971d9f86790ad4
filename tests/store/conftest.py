"""A store for each test that asks for `db`, and the two ways to write a journal."""

import pytest

from relayd.store import journal_segment
from tests.fakes.database import db

__all__ = ["db"]

EXT4 = 0xEF53
BTRFS = 0x9123683E


@pytest.fixture(params=["mapped", "written"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How lines get into the journal's files: copied into memory, or one write() each."""
    kind = EXT4 if request.param == "mapped" else BTRFS
    monkeypatch.setattr(journal_segment, "_kind", lambda handle: kind)
    return str(request.param)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    """One write() each: a disk refuses them at once."""
    monkeypatch.setattr(journal_segment, "_kind", lambda handle: BTRFS)
