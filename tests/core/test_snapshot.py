"""A snapshot is frozen: policy changes only by another one taking its place."""

import dataclasses

import msgspec
import pytest

from relayd.core.limit import OwnLimits
from relayd.core.snapshot import KeyGrant, Snapshot


def test_frozen() -> None:
    grant = KeyGrant("k", "a", None, None, None, False)
    snapshot = Snapshot(1, {b"d": grant})
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.version = 2  # type: ignore[misc]
    with pytest.raises(AttributeError):
        grant.suspended = True  # type: ignore[misc]


def test_the_next_one_has_what_is_new_and_takes_all_else_over() -> None:
    stays, goes, changed = (KeyGrant(name, "a", None, None, None, False) for name in "123")
    last = Snapshot(1, {b"1": stays, b"2": goes, b"3": changed}, (), {"a": "team", "b": "team"},
                    edition=4, asked=(0, 2, 0))
    fresh = msgspec.structs.replace(changed, limits=OwnLimits({}, {"monthly_budget": 9}))
    found = last.after(2, {b"2": None, b"3": fresh, b"4": None}, {"a": None, "b": "large"})
    assert found == Snapshot(2, {b"1": stays, b"3": fresh}, (fresh,), {"b": "large"},
                             edition=4, asked=(0, 2, 0))
    assert found.keys is last.keys and found.after(3, {}, {}).budgeted == ()
    spared = msgspec.structs.replace(stays, limits=OwnLimits({"concurrent": 1}, {}))
    assert found.after(4, {b"1": spared, b"2": goes}, {}).budgeted == ()


def test_a_grant_that_says_nothing_agrees_to_nothing() -> None:
    grant = KeyGrant("k", "a", None, None, None, False)
    assert not (grant.overseas or grant.training or grant.attribution) and grant.limits is None
    assert (Snapshot(1, {}).edition, Snapshot(1, {}).asked) == (0, ())
