"""Connections by address: what counts as one address, and what is not counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.relay.addresses import UNCOUNTED, Addresses


def v4(text: str) -> tuple[str, int]:
    return text, 40000


def v6(text: str) -> tuple[str, int, int, int]:
    return text, 40000, 0, 0


def test_an_address_has_so_many_and_another_is_not_concerned() -> None:
    table = Addresses()
    first = [table.enter(v4("192.0.2.1"), 2, ()) for _ in range(3)]
    assert first[0] and first[0] == first[1] and first[2] is None
    assert table.enter(v4("192.0.2.2"), 2, ())
    table.leave(first[0])
    assert table.enter(v4("192.0.2.1"), 2, ()) == first[0]


@pytest.mark.parametrize(("one", "other", "same"), [
    (v6("2001:db8:1:2:3::1"), v6("2001:db8:1:2:ffff::9"), True),
    (v6("2001:db8:1:2::1"), v6("2001:db8:1:3::1"), False),
    (v6("::ffff:192.0.2.1"), v4("192.0.2.1"), True),
    (v6("fe80::1%eth0"), v6("fe80::2"), True),
])
def test_what_is_one_address(one: Any, other: Any, same: bool) -> None:
    table = Addresses()
    assert table.enter(one, 1, ())
    assert (table.enter(other, 1, ()) is None) is same


@pytest.mark.parametrize(("address", "most"), [
    (v4("192.0.2.1"), 0), ("", 1), (v4("10.1.2.3"), 1), (v6("::ffff:10.1.2.3"), 1),
    (v6("fd00::9"), 1)])
def test_what_is_not_counted(address: Any, most: int) -> None:
    table = Addresses()
    for _ in range(3):
        for v4_too in ("10.0.0.0/8", "::ffff:10.0.0.0/104"):
            assert table.enter(address, most, (v4_too, "fd00::/8")) == UNCOUNTED
    assert not len(table)


def test_trusted_networks_may_change() -> None:
    table = Addresses()
    assert table.enter(v4("10.1.2.3"), 1, ("10.0.0.0/8",)) == UNCOUNTED
    assert table.enter(v4("10.1.2.3"), 1, ())
    assert table.enter(v4("10.1.2.3"), 1, ()) is None


@pytest.mark.parametrize(("address", "trusted"), [
    (v4("10.1.2.3"), True), (v6("::ffff:10.1.2.3"), True), (v6("fd00::9"), True), ("", True),
    (v4("11.1.2.3"), False), (v6("2001:db8::1"), False)])
def test_whom_the_relay_trusts(address: Any, trusted: bool) -> None:
    assert Addresses().trusts(address, ("10.0.0.0/8", "fd00::/8")) is trusted
    assert Addresses().trusts(address, ()) is (not address)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3))))
def test_the_table_is_empty_when_all_have_left(steps: list[tuple[bool, int]]) -> None:
    table, held = Addresses(), []
    for enters, number in steps:
        if enters:
            origin = table.enter(v4(f"192.0.2.{number}"), 2, ())
            if origin is not None:
                held.append(origin)
        elif held:
            table.leave(held.pop(number % len(held)))
    assert max((held.count(origin) for origin in held), default=0) <= 2
    assert len(table) == len(set(held))
    for origin in held:
        table.leave(origin)
    assert not len(table)
