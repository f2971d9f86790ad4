"""Lines come back as they were written, whatever happened to the rest of the file."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.store.journal_frame import (
    CLOSE, MARK, NOTHING, OPEN, PROGRESS, VALUE_BYTES_MAX, Entry, Reader, frame, identity,
)
from tests.fakes.records import call_record

ENTRIES = st.lists(st.builds(
    Entry, st.integers(0, 2 ** 62 - 1), st.integers(0, 3), st.binary(min_size=1, max_size=60)),
    max_size=12)


def framed(entries: list[Entry]) -> list[bytes]:
    return [frame(*entry) for entry in entries]


def read(data: bytes) -> tuple[list[Entry], int]:
    reader = Reader()
    return reader.feed(data) + reader.finish(), reader.torn_bytes


def whole(entries: list[Entry], lines: list[bytes], start: int, stop: int) -> list[Entry]:
    """The entries whose lines lie wholly inside [start, stop) of all lines joined."""
    found, at = [], 0
    for entry, line in zip(entries, lines, strict=True):
        if at >= start and at + len(line) <= stop:
            found.append(entry)
        at += len(line)
    return found


def trailing_zeros(data: bytes) -> int:
    return len(data) - len(data.rstrip(b"\0"))


def test_the_format_stays() -> None:
    """Another version's journal is read after an update."""
    lines = [frame(7, OPEN, b"one"), frame(2 ** 61 + 8, PROGRESS, b"two"),
             frame(9, CLOSE, b"three"), frame(10, NOTHING, b"-")]
    assert [line.hex() for line in lines] == [
        "a50103000000e5dc506f1c000000000000006f6e65",
        "a5010300000031a64528210000000000008074776f",
        "a501050000005102440826000000000000007468726565",
        "a50101000000b84a613b2b000000000000002d"]
    assert read(b"".join(lines))[0] == [
        (7, 0, b"one"), (2 ** 61 + 8, 1, b"two"), (9, 2, b"three"), (10, 3, b"-")]


@given(ENTRIES, st.lists(st.integers(0, 900), max_size=6))
def test_what_was_written_is_read_however_it_is_cut(entries: list[Entry], cuts: list[int]) -> None:
    data = b"".join(framed(entries))
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader, found = Reader(), []
    for start, stop in zip(places, places[1:], strict=False):
        found += reader.feed(data[start:stop])
    assert found + reader.finish() == entries and reader.torn_bytes == 0


@given(ENTRIES, st.integers(0, 900), st.integers(0, 900))
def test_any_prefix_and_any_suffix_gives_the_lines_that_are_whole(
    entries: list[Entry], start: int, stop: int
) -> None:
    lines = framed(entries)
    data = b"".join(lines)
    start, stop = sorted((min(start, len(data)), min(stop, len(data))))
    found, torn = read(data[start:stop])
    expected = whole(entries, lines, start, stop)
    assert found == expected
    left = stop - start - sum(len(frame(*entry)) for entry in expected)
    # zeros behind the last whole line may be room that was not written to
    assert left - trailing_zeros(data[start:stop]) <= torn <= left
    assert torn or not left or not data[start:stop].rstrip(b"\0")


@given(ENTRIES.filter(bool), st.integers(0, 900), st.integers(1, 255))
def test_a_flipped_byte_costs_one_line(entries: list[Entry], at: int, flip: int) -> None:
    lines = framed(entries)
    data = bytearray(b"".join(lines))
    at %= len(data)
    data[at] ^= flip
    found, torn = read(bytes(data))
    hit, seen = 0, 0
    for hit, line in enumerate(lines):
        seen += len(line)
        if at < seen:
            break
    assert found == entries[:hit] + entries[hit + 1:]
    length = len(lines[hit])
    assert torn == length or hit == len(lines) - 1 \
        and torn == length - trailing_zeros(bytes(data))


@given(ENTRIES, st.binary(max_size=200), st.integers(0, 12))
def test_garbage_between_lines_is_passed_over(
    entries: list[Entry], garbage: bytes, place: int
) -> None:
    lines = framed(entries)
    lines.insert(place, garbage)
    found, torn = read(b"".join(lines))
    unwritten = trailing_zeros(garbage) if place >= len(entries) else 0
    assert found == entries and torn == len(garbage) - unwritten


@given(ENTRIES, st.integers(0, 3000), st.integers(1, 900))
def test_room_behind_the_last_line_is_no_damage(
    entries: list[Entry], zeros: int, piece: int
) -> None:
    data = b"".join(framed(entries)) + bytes(zeros)
    reader, found = Reader(), []
    for at in range(0, len(data), piece):
        found += reader.feed(data[at:at + piece])
    assert found + reader.finish() == entries and reader.torn_bytes == 0


@given(ENTRIES.filter(bool), st.integers(1, 900), st.integers(0, 3000))
def test_a_last_line_that_is_torn_is_damage_before_zeros_too(
    entries: list[Entry], cut: int, zeros: int
) -> None:
    lines = framed(entries)
    kept = lines[-1][:-min(cut, len(lines[-1]) - 1)]
    lost = lines[-1][len(kept):]
    found, torn = read(b"".join(lines[:-1]) + kept + bytes(zeros))
    if zeros < len(lost) or lost.rstrip(b"\0"):
        assert found == entries[:-1] and torn == len(kept.rstrip(b"\0"))
    else:
        assert found == entries and torn == 0  # what was lost were zeros


@given(ENTRIES.filter(bool), st.integers(1, 3000))
def test_zeros_between_lines_are_damage(entries: list[Entry], zeros: int) -> None:
    found, torn = read(bytes(zeros) + b"".join(framed(entries)))
    assert found == entries and torn == zeros


@pytest.mark.parametrize("length", [0, VALUE_BYTES_MAX + 1, 2 ** 32 - 1])
def test_a_length_that_cannot_be_holds_nothing_up(length: int) -> None:
    bad = MARK + length.to_bytes(4, "little") + bytes(12)
    good = frame(1, OPEN, b"x")
    reader = Reader()
    assert reader.feed(bad + good) == [Entry(1, OPEN, b"x")] and reader.torn_bytes == len(bad)


def test_the_id_is_read_without_the_rest() -> None:
    record = call_record()
    assert identity(msgspec.msgpack.encode(record)) == record.id
    with pytest.raises(msgspec.MsgspecError):
        identity(b"\xc1")


def test_the_longest_record_fits_and_a_usual_one_is_short() -> None:
    value = msgspec.msgpack.encode(call_record(
        model="m" * 256, provider_model="m" * 256, provider="p" * 63, app="a" * 400))
    assert len(value) < VALUE_BYTES_MAX // 8
    assert len(frame(1, CLOSE, msgspec.msgpack.encode(call_record()))) < 300
