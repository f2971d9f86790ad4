"""The guard: an attempt counts when it begins, an account is slowed and then locked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relayd.core.guard import (
    ACCOUNT_MAX, FIRST_WAIT_MS, FREE, PREFIX_MAX, SPAN_MS, WAIT_MS_MAX, Guard, Verdict,
)


def test_a_few_are_heard_then_each_waits_longer_then_it_is_locked() -> None:
    guard, now = Guard(), 0
    for _ in range(FREE):
        assert guard.begin(b"ann", b"net", now) == Verdict()
    waits = []
    for _ in range(FREE, ACCOUNT_MAX - 1):
        assert guard.begin(b"ann", b"net", now).wait_ms == 0
        wait = guard.begin(b"ann", b"net", now).wait_ms
        waits.append(wait)
        now += wait
    assert waits == [FIRST_WAIT_MS << at for at in range(len(waits))]
    assert guard.begin(b"ann", b"net", now) == Verdict(locks=True)
    assert guard.begin(b"ann", b"net", now) == Verdict(SPAN_MS, locked=True)
    assert guard.begin(b"ann", b"net", now + SPAN_MS) == Verdict()
    assert guard.refused == len(waits) + 1


def test_many_at_once_from_many_places_count_as_many() -> None:
    guard = Guard()
    heard = sum(guard.begin(b"ann", bytes([at]), 0).wait_ms == 0 for at in range(50))
    assert heard == FREE + 1
    assert guard.begin(b"bob", b"elsewhere", 0) == Verdict()


def test_a_prefix_that_tries_many_names_is_slowed() -> None:
    guard, heard = Guard(), 0
    for at in range(5000):
        heard += guard.begin(at.to_bytes(2, "big"), b"net", at * SPAN_MS // 5000).wait_ms == 0
    assert PREFIX_MAX // 2 < heard < PREFIX_MAX
    assert guard.begin(b"zed", b"other", SPAN_MS) == Verdict()


def test_a_right_one_is_forgiven() -> None:
    guard = Guard()
    for _ in range(FREE):
        guard.begin(b"ann", b"net", 0)
    guard.right(b"ann", b"net")
    assert guard.begin(b"ann", b"net", 0) == Verdict()
    guard.right(b"nobody", b"nowhere")


def test_the_owner_opens_a_locked_account_by_another_way() -> None:
    guard = Guard()
    for at in range(ACCOUNT_MAX):
        guard.begin(b"ann", bytes([at]), at * 40_000)
    assert guard.begin(b"ann", b"x", ACCOUNT_MAX * 40_000).locked
    guard.forgive(b"ann")
    assert guard.begin(b"ann", b"x", ACCOUNT_MAX * 40_000) == Verdict()


def test_what_was_not_heard_after_all_does_not_count() -> None:
    guard = Guard()
    for _ in range(100):
        assert guard.begin(b"ann", b"net", 0) == Verdict()
        guard.undo(b"ann", b"net")
    # nor does it lock anybody out, or make anybody wait
    now = 0
    for _ in range(ACCOUNT_MAX - 1):
        assert guard.begin(b"bob", b"net", now).wait_ms == 0
        now += WAIT_MS_MAX
    assert guard.begin(b"bob", b"net", now).locks
    guard.undo(b"bob", b"net")
    assert guard.begin(b"bob", b"net", now).locks
    assert guard.begin(b"bob", b"net", now).locked


@given(st.lists(st.tuples(st.binary(max_size=3), st.binary(max_size=3), st.integers(0, 10**7))))
def test_it_never_remembers_more_than_it_may(attempts: list[tuple[bytes, bytes, int]]) -> None:
    guard = Guard(known_max=5)
    for account, prefix, now in attempts:
        assert guard.begin(account, prefix, now).wait_ms >= 0
        assert len(guard) <= 6


def test_who_was_right_from_there_is_favoured() -> None:
    guard = Guard(known_max=2)
    assert not guard.favours(b"ann", b"net")
    guard.right(b"ann", b"net")
    assert guard.favours(b"ann", b"net") and not guard.favours(b"ann", b"elsewhere")
    guard.right(b"bob", b"net")
    guard.right(b"eve", b"net")
    assert [guard.favours(name, b"net") for name in (b"ann", b"bob", b"eve")] == [
        False, True, True]


def test_strangers_lock_nobody_out_of_their_own_network() -> None:
    guard, now = Guard(), 0
    guard.begin(b"ann", b"home", now)
    guard.right(b"ann", b"home")
    for at in range(3 * ACCOUNT_MAX):
        guard.begin(b"ann", b"far" + bytes([at]), at * 40_000)
        now = at * 40_000
    assert guard.begin(b"ann", b"hotel", now).locked
    # at home it is heard, counts there, and opens nothing to the strangers
    for _ in range(2):
        assert guard.begin(b"ann", b"home", now) == Verdict()
        guard.right(b"ann", b"home")
    assert guard.begin(b"ann", b"hotel", now).locked
    # who sits in the same network has as many attempts as anybody
    heard = [guard.begin(b"ann", b"home", now + WAIT_MS_MAX * at) for at in range(ACCOUNT_MAX)]
    assert [verdict.locks for verdict in heard] == [False] * (ACCOUNT_MAX - 1) + [True]
    last = now + WAIT_MS_MAX * ACCOUNT_MAX
    assert guard.begin(b"ann", b"home", last).locked
    guard.forgive(b"ann", b"home")
    assert guard.begin(b"ann", b"home", last) == Verdict()


def test_what_is_refused_unheard_takes_no_room() -> None:
    guard = Guard(known_max=PREFIX_MAX)
    for at in range(ACCOUNT_MAX):
        guard.begin(b"ann", bytes([at % 3]), at * 40_000)
    now = ACCOUNT_MAX * 40_000
    for at in range(1000):  # names that nobody has, from a network that has to wait soon
        guard.begin(at.to_bytes(2, "big"), b"flood", now)
    for at in range(1000):  # and such that find no room to be judged
        name = b"x" + at.to_bytes(2, "big")
        guard.begin(name, name, now)
        guard.undo(name, name)
    assert guard.begin(b"ann", b"net", now).locked


def test_a_clock_that_was_ahead_locks_nobody_out_until_then() -> None:
    guard, year_ms = Guard(), 365 * 86_400_000
    now = year_ms
    while not guard.begin(b"ann", b"net", now).locks:
        now += SPAN_MS // 40
    assert guard.begin(b"ann", b"net", now).locked
    assert guard.begin(b"ann", b"net", 5) == Verdict()
    # steps back by seconds forgive nothing
    for _ in range(FREE):
        guard.begin(b"bob", b"other", SPAN_MS)
    guard.begin(b"bob", b"other", SPAN_MS - 5000)
    assert guard.begin(b"bob", b"other", SPAN_MS - 5000).wait_ms > 0


def test_the_one_that_was_longest_unseen_makes_room() -> None:
    guard = Guard(known_max=4)
    for _ in range(FREE + 1):
        guard.begin(b"ann", b"net", 0)
    for at in range(5):  # each a name and a network; ann is seen again and again
        assert guard.begin(b"ann", b"net", 0).wait_ms == FIRST_WAIT_MS
        guard.begin(bytes([at]), bytes([at]), 0)
    for at in range(5, 8):
        guard.begin(bytes([at]), bytes([at]), 0)
    assert guard.begin(b"ann", b"net", 0) == Verdict()


def test_one_that_was_right_takes_one_from_its_network() -> None:
    guard = Guard()
    guard.begin(b"nil", b"net", 0)
    guard.right(b"nil", b"net")
    for at in range(PREFIX_MAX // 2):
        assert guard.begin(b"%d" % at, b"net", 0) == Verdict()
    assert guard.begin(b"one", b"net", 0) == Verdict()
    # one more than are free: the next has to wait, unless one of them was right
    assert guard.begin(b"two", b"net", 0).wait_ms == FIRST_WAIT_MS
    guard.right(b"one", b"net")
    assert guard.begin(b"three", b"net", 0) == Verdict()
    assert guard.begin(b"four", b"net", 0).wait_ms == FIRST_WAIT_MS


def test_the_figures() -> None:
    assert (SPAN_MS, FREE, ACCOUNT_MAX, PREFIX_MAX) == (15 * 60_000, 4, 10, 100)
