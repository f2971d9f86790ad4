"""A snapshot is frozen: policy changes only by another one taking its place."""

import dataclasses

import pytest

from relayd.core.snapshot import KeyGrant, Snapshot


def test_frozen() -> None:
    grant = KeyGrant("k", "a", None, None, None, False)
    snapshot = Snapshot(1, {b"d": grant})
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.version = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        grant.suspended = True  # type: ignore[misc]
