"""Checkpoints: whatever is done to events behind one is found, whoever does it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core import merkle
from relayd.core.audit import START, AuditEvent, chained
from relayd.core.checkpoint import Break, Checkpoint, Walk, begin, judge, leaf_of

Rows = list[tuple[AuditEvent, bytes]]
KEY, OTHER = b"k" * 32, b"o" * 32
EVENT = AuditEvent(1, 5, "acct_1", "owner", "console", "account.suspend", "acct_2", b"sealed",
                   "{}")


def signed(made: Checkpoint) -> Checkpoint:
    """HMAC stands for Ed25519: the pure part only asks whether a signature fits."""
    return replace(made, signature=hmac.digest(made.public_key, made.body(), "sha512"))


def valid(public: bytes, message: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(public, message, "sha512"), signature)


def events(count: int) -> Rows:
    rows: Rows = []
    before = START
    for seq in range(1, count + 1):
        event = replace(EVENT, seq=seq, at_ms=seq * 7, details=f'{{"a":{seq}}}')
        before = chained(before, event)
        rows.append((event, before))
    return rows


def checkpoints(rows: Rows, at: list[int]) -> list[Checkpoint]:
    made: list[Checkpoint] = []
    for seq in at:
        after = made[-1].seq if made else 0
        leaves = [leaf_of(event) for event, _ in rows[after:seq]]
        made.append(signed(Checkpoint(
            seq, seq * 7, rows[seq - 1][1], merkle.root(leaves), 0, START,
            made[-1].digest() if made else START, KEY)))
    return made


def found(rows: Rows, signs: list[Checkpoint]) -> Break | None:
    broken = judge(signs, {KEY}, valid)
    walk = Walk(signs)
    for event, hashed in rows:
        broken = broken or walk.step(event, hashed)
    return broken or walk.end()


def rechained(rows: Rows, start: int) -> Rows:
    """The rows with hashes that fit again from an index on, as whoever bends rows would do."""
    before = rows[start - 1][1] if start else START
    done = rows[:start]
    for index, (event, _) in enumerate(rows[start:], start):
        event = replace(event, seq=index + 1)
        before = chained(before, event)
        done.append((event, before))
    return done


def bendings(rows: Rows, index: int) -> Iterator[tuple[str, Rows]]:
    """What can be done to the row at an index."""
    event, hashed = rows[index]
    changes: dict[str, Any] = {
        "at_ms": event.at_ms + 1, "actor": None, "roles": "", "via": "shell",
        "action": "account.resume", "target": "acct_3", "reason": None, "details": "{}"}
    for name, value in changes.items():
        yield f"change {name}", [*rows[:index], (replace(event, **{name: value}), hashed),
                                 *rows[index + 1:]]
    yield "change hash", [*rows[:index], (event, bytes(32)), *rows[index + 1:]]
    yield "delete", rows[:index] + rows[index + 1:]
    yield "insert", [*rows[:index], (replace(event, actor="acct_9"), hashed), *rows[index:]]
    if index + 1 < len(rows):
        yield "swap", [*rows[:index], rows[index + 1], rows[index], *rows[index + 2:]]


def test_what_nobody_touched_is_sound() -> None:
    rows = events(9)
    assert found(rows, checkpoints(rows, [1, 4, 8])) is None
    assert found(rows, []) is None
    assert found([], []) is None


@given(st.integers(1, 12), st.data())
def test_whatever_is_done_to_a_row_is_found(count: int, data: st.DataObject) -> None:
    rows = events(count)
    at = sorted(data.draw(st.sets(st.integers(1, count), min_size=1)))
    signs = checkpoints(rows, at)
    index = data.draw(st.integers(0, at[-1] - 1))
    for name, bent in bendings(rows, index):
        assert found(bent, signs) is not None, name
        bent = rechained(bent, index)
        if bent == rows:
            continue
        broken = found(bent, signs)
        assert broken is not None, f"{name}, with hashes that fit again"
        # the first checkpoint behind it tells, at the latest
        assert broken.seq <= min(seq for seq in at if seq > index) + 1, name


@given(st.integers(1, 12), st.data())
def test_a_log_that_is_cut_off_is_found(count: int, data: st.DataObject) -> None:
    rows = events(count)
    at = sorted(data.draw(st.sets(st.integers(1, count), min_size=1)))
    left = data.draw(st.integers(0, at[-1] - 1))
    broken = found(rows[:left], checkpoints(rows, at))
    assert broken is not None and broken.seq == left + 1


@given(st.integers(2, 12), st.data())
def test_a_checkpoint_that_is_bent_or_gone_is_found(count: int, data: st.DataObject) -> None:
    rows = events(count)
    at = sorted(data.draw(st.sets(st.integers(1, count), min_size=2)))
    signs = checkpoints(rows, at)
    index = data.draw(st.integers(0, len(at) - 1))
    one = signs[index]
    changes: dict[str, Any] = {
        "seq": one.seq + 1, "at_ms": 0, "hash": bytes(32), "root": bytes(32), "pruned_seq": 1,
        "pruned_hash": bytes([1] * 32), "previous": bytes([1] * 32), "public_key": OTHER,
        "signature": bytes(64)}
    for name, value in changes.items():
        bent = [*signs[:index], replace(one, **{name: value}), *signs[index + 1:]]
        broken = found(rows, bent)
        assert broken is not None and broken.of_checkpoint, name
    if index < len(signs) - 1:
        assert found(rows, signs[:index] + signs[index + 1:]) is not None
    assert found(rows, [*signs[:index], one, one, *signs[index + 1:]]) is not None


def test_a_checkpoint_of_another_key_is_not_trusted() -> None:
    rows = events(3)
    forged = signed(replace(checkpoints(rows, [3])[0], public_key=OTHER))
    broken = judge([forged], {KEY}, valid)
    assert broken is not None and "not trusted" in broken.what
    assert judge([forged], {KEY, OTHER}, valid) is None


def test_checkpoints_that_are_signed_and_still_do_not_belong_there() -> None:
    """By whoever has the key: judged by themselves, without the events."""
    rows = events(9)
    one, two = checkpoints(rows, [3, 6])
    again = signed(replace(one, previous=one.digest()))
    assert judge([one, again], {KEY}, valid) == Break(3, "is out of order", True)
    assert judge([one, two], {KEY}, valid) is None
    pruning = signed(replace(
        checkpoints(rows, [3, 6, 9])[-1], pruned_seq=3, pruned_hash=rows[2][1]))
    for first in (two, signed(replace(one, seq=4)), signed(replace(one, hash=bytes(32)))):
        broken = judge([first, pruning], {KEY}, valid)
        assert broken == Break(first.seq, "is not the one that events were pruned up to", True)


def test_a_tree_of_other_events_is_found() -> None:
    rows = events(3)
    forged = signed(replace(checkpoints(rows, [3])[0], root=merkle.EMPTY))
    assert found(rows, [forged]) == Break(3, "has a tree of other events", True)


def test_pruned_events_are_not_missed() -> None:
    rows = events(9)
    signs = checkpoints(rows, [3, 6])
    last = checkpoints(rows, [3, 6, 9])[-1]
    pruning = signed(replace(last, pruned_seq=3, pruned_hash=rows[2][1]))
    assert begin([*signs, pruning]) == (3, rows[2][1])
    assert found(rows[3:], [*signs, pruning]) is None
    assert found(rows[4:], [*signs, pruning]) is not None
    # nor is a checkpoint that events were pruned up to left out, or another put in its place
    assert found(rows[3:], [signs[1], pruning]) is not None
    assert found(rows[3:], [pruning]) is not None


def test_events_after_the_last_checkpoint_are_counted() -> None:
    rows = events(5)
    walk = Walk(checkpoints(rows, [3]))
    assert [walk.step(*row) for row in rows] == [None] * 5
    assert (walk.unsigned, walk.events, walk.seq, walk.hash) == (2, 5, 5, rows[4][1])


def test_the_body_is_lines_of_text() -> None:
    made = checkpoints(events(2), [2])[0]
    lines = made.body().decode().splitlines()
    assert lines[:3] == ["relayd audit checkpoint 1", "2", "14"] and len(lines) == 9
    assert made.digest() == hashlib.sha256(made.body() + made.signature).digest()


@pytest.mark.parametrize("at", [[], [2]])
def test_the_first_event_that_must_be_there(at: list[int]) -> None:
    assert begin(checkpoints(events(2), at)) == (0, START)
