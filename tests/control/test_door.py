"""The door: the guard knows nobody by name, and answers take the same time."""

from __future__ import annotations

import pytest

from relayd.control.door import Caller, Door, new_id
from relayd.core.errors import RelayError
from relayd.core.guard import FREE
from relayd.core.timestamp import DAY_MS
from relayd.ops.clock import monotonic
from relayd.store.db import Database
from tests.fakes.door import CALLER, ORIGIN
from tests.fakes.records import START_MS


def test_links(door: Door) -> None:
    assert door.link("/verify", "a/b=") == f"{ORIGIN}/verify?token=a%2Fb%3D"
    assert door.link("/sign-in") == f"{ORIGIN}/sign-in"


def test_a_network_is_known_by_another_name_each_day(door: Door) -> None:
    here, neighbour = door.prefix(CALLER, START_MS), Caller("192.0.2.200", "curl")
    assert door.prefix(neighbour, START_MS) == here and len(here) >= 8
    assert door.prefix(Caller("192.0.3.7", "curl"), START_MS) != here
    assert door.prefix(CALLER, START_MS + DAY_MS) != here
    assert door.prefix(Caller(None, "curl"), START_MS) == b""
    assert b"192" not in door.mark("192.0.2.7") and len(door.mark("ann")) == 16


def test_attempts_are_slowed_and_right_ones_forgiven(door: Door) -> None:
    for _ in range(FREE + 1):
        assert not door.ask("ann", CALLER, START_MS)
    with pytest.raises(RelayError) as caught:
        door.ask("ann", CALLER, START_MS)
    assert caught.value.code == "sign_in_slowed" and caught.value.retry_after_ms == 500
    assert door.refusals() == {"guard": 1, "queue": 0}
    door.right("ann", CALLER, START_MS)
    assert door.favours("ann", CALLER, START_MS)
    assert not door.favours("ann", CALLER, START_MS + DAY_MS)
    door.ask("ann", CALLER, START_MS)
    for _ in range(50):
        door.unheard("ann", CALLER, START_MS)
        door.ask("ann", CALLER, START_MS)


async def test_an_answer_takes_its_time(db: Database, door: Door) -> None:
    steady = Door(db, door.hashing, lambda: ORIGIN, steady_seconds=0.1)
    began = monotonic()
    await steady.steady(began)
    assert 0.09 < monotonic() - began < 1.0
    await steady.steady(began - 1)


def test_a_caller_s_address_is_in_no_repr() -> None:
    assert "192.0.2.7" not in repr(CALLER)
    assert CALLER.actor("acct_1").account == "acct_1"
    assert new_id("x_", START_MS) < new_id("x_", START_MS + 1)
