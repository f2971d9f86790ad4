"""Event streams: the events of the standard's own algorithm, however the bytes are cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relayd.wire.sse import EventReader, plain_events
from tests.fakes.splits import cut, one_by_one, places

Pair = tuple[bytes, bytes]


def by_the_standard(stream: bytes, event_bytes_max: int = 1 << 20) -> list[Pair]:
    """HTML 9.2.6 word for word, on the whole stream. Only the name `error` is told."""
    events: list[Pair] = []
    name, data, size = b"", b"", 0
    for line in re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)", stream.removeprefix(b"\xef\xbb\xbf")):
        size += len(line)
        line = line.rstrip(b"\r\n")
        if not line:
            if data and size <= event_bytes_max:
                events.append((name, data[:-1]))
            name, data, size = b"", b"", 0
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value if value == b"error" else b""
    return [(name, data) for name, data in events if data]


def read(pieces: list[bytes], event_bytes_max: int = 1 << 20) -> list[Pair]:
    reader = EventReader(event_bytes_max)
    events: list[Pair] = []
    for piece in pieces:
        single = reader.feed_single(piece)
        plain = None if single is not None else reader.feed_plain(piece)
        if single is not None:
            found = [(b"", single, 0, len(piece))]
        elif plain is not None:
            found = [(b"", data, 0, 0) for data in plain]
        else:
            found = reader.feed(piece)
        events += [(b"error" if event[0] == b"error" else b"", event[1]) for event in found]
    return [event for event in events if event[1]]


def test_plain_events_are_read_together() -> None:
    chunk = b"event: a\ndata: 1\n\ndata: 2\n\nevent: b\ndata: 3\n\n"
    assert EventReader().feed_plain(chunk) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("chunk", [
    b"data: 1\n\ndata: 2\n", b"data: 1\n\n\ndata: 2\n\n", b"event: error\ndata: 1\n\n",
    b"data: 1\ndata: 2\n\n", b"event: a\nid: 1\ndata: 1\n\n", b": c\n\ndata: 1\n\n",
    b"data: 1\r\n\n\n", b"id: 1\ndata: 1\n\n", b"data:1\n\n", b"data: 1\n\nid: 2\n\n",
])
def test_other_chunks_are_not_plain(chunk: bytes) -> None:
    assert EventReader().feed_plain(chunk) is None


def test_a_chunk_is_not_plain_within_an_event() -> None:
    reader = EventReader(16)
    reader.feed(b"data: ")
    assert reader.feed_plain(b"data: 1\n\n") is None
    reader.feed(b"x" * 20)
    assert reader.feed_plain(b"data: 1\n\n") is None and reader.skipped


STREAMS = {
    "one": (b'data: {"a":1}\n\n', [b'{"a":1}']),
    "lf": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "cr": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "mixed": (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", [b"a", b"b", b"c"]),
    "named": (b"event: x\ndata: a\n\nevent: y\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "no space": (b"event:x\ndata:a\n\n", [b"a"]),
    "two spaces": (b"data:  a\n\n", [b" a"]),
    "lines joined": (b"data: a\ndata\ndata: b\n\n", [b"a\n\nb"]),
    "no data": (b"event: x\n\ndata:\n\nid: 1\n\n: c\n\n", []),
    "comment before": (b": hold\ndata: a\n\n", [b"a"]),
    "other fields": (b"id: 1\nretry: 5\nevent: x\ndata: a\ndatax: b\n\n", [b"a"]),
    "mark": (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
    "mark too late": (b"\n\xef\xbb\xbfdata: a\n\n", []),
    "empty lines": (b"\n\n\ndata: a\n\n\n\n\r\r\n\ndata: b\n\n", [b"a", b"b"]),
    "unfinished": (b"data: a\n\ndata: b\n", [b"a"]),
}


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str) -> None:
    stream, data = STREAMS[name]
    assert [event[1] for event in by_the_standard(stream)] == data
    assert [event[1] for event in read([stream])] == data
    assert [event[1] for event in read(one_by_one(stream))] == data


@pytest.mark.parametrize("stream", [
    b"event: error\ndata: a\n\n", b"event:error\r\ndata:a\r\n\r\n", b"data: a\nevent: error\n\n",
])
def test_an_event_named_error_says_so(stream: bytes) -> None:
    assert read([stream]) == read(one_by_one(stream)) == [(b"error", b"a")]


ATOMS = st.sampled_from([
    b"data: ", b"data:", b"data", b"event: ", b"event:error", b": c", b"id: 1", b"a",
    b"\xef\xbb\xbf", b"\n", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b" ", b'{"x":"y"}',
    b"\xff\x00",
])


@given(st.lists(ATOMS, max_size=24).map(b"".join), places)
@example(b"data: \n\n", [1])
@example(b"data: a\r\n\r\n", [10])
@example(b"data: a\r\n\rdata: b\n\n", [10])
def test_any_bytes_cut_anywhere(stream: bytes, where: list[int]) -> None:
    events = by_the_standard(stream)
    assert read([stream]) == events
    assert read(cut(stream, where)) == events
    assert read(one_by_one(stream)) == events


@given(st.lists(st.integers(1, 40), max_size=8), places)
def test_long_events_are_not_read_but_the_next_ones(sizes: list[int], where: list[int]) -> None:
    stream = b"".join(b"data: %b\n\n" % (b"x" * size) for size in sizes)
    events = by_the_standard(stream, 30)
    assert [len(event[1]) for event in events] == [size for size in sizes if size <= 22]
    assert read([stream], 30) == read(cut(stream, where), 30) == events


def test_inside_a_long_event_nothing_is_held() -> None:
    reader = EventReader(16)
    assert reader.feed(b"data: 0123") == [] and reader.held == 10 and not reader.at_boundary
    assert reader.feed(b"456789abcdef") == [] and reader.held == 0 and not reader.at_boundary
    assert reader.feed(b"\n") == [] and not reader.at_boundary
    assert reader.feed(b"\ndata: x") == [] and reader.held == 7
    assert reader.feed(b"\n\n") == [(b"", b"x", 0, 9)] and reader.at_boundary


def test_the_last_event_may_be_one_too_long_to_be_read_if_it_is_whole() -> None:
    reader = EventReader(16)
    reader.feed(b"data: 0123456789abcdef")
    assert reader.skipped and not reader.may_have_ended
    assert reader.close() is None and not reader.may_have_ended
    reader = EventReader(16)
    reader.feed(b"data: 0123456789abcdef\n\ndata: x")
    assert reader.may_have_ended


@pytest.mark.parametrize(("after", "may"), [
    (b": a comment\n\n", True), (b"id: 5\n\n", True), (b"\n\n", True),
    (b"data: x\n\n", False), (b"data: x\r\n\r\n", False), (b"data: x\r\r", False),
    (b"data: x\n\n" * 2, False), (b"data: x\n\ndata: 0123456789abcdef\n\n", True),
])
def test_an_event_too_long_to_be_read_was_not_the_last_where_another_one_came(
    after: bytes, may: bool
) -> None:
    for feed in ("feed_single", "feed_plain", "feed"):
        for pieces in ([after], one_by_one(after)):
            reader = EventReader(16)
            reader.feed(b"data: 0123456789abcdef\n\n")
            for piece in pieces:
                if getattr(reader, feed)(piece) is None:
                    reader.feed(piece)
            assert reader.may_have_ended is may and reader.skipped


@given(st.lists(ATOMS, max_size=24).map(b"".join), places)
def test_an_event_lies_where_it_says(stream: bytes, where: list[int]) -> None:
    reader = EventReader()
    held = b""
    for piece in cut(stream, where):
        window = held + piece
        last = 0
        for name, data, start, end in reader.feed(piece):
            assert last <= start < end <= len(window)
            alone = EventReader()
            alone.feed(b"\n")  # a byte order mark is one only at the stream's begin
            block = window[start:end].removeprefix(b"\xef\xbb\xbf")
            assert [event[:2] for event in alone.feed(block)] == [(name, data)]
            last = end
        held = window[len(window) - reader.held:]


DULL = re.compile(rb"(?:event: a\ndata: [^\n]*\n\n)+")


@example(b"event: a\ndata: b\n\nevent: a\ndata: ", [])
@given(st.lists(ATOMS | st.sampled_from([b"event: a\n", b"event: a\ndata: b\n\n"]),
                max_size=24).map(b"".join), places)
def test_dull_events_are_left_out_and_no_others(stream: bytes, where: list[int]) -> None:
    lean, full = EventReader(dull=DULL), EventReader()
    window = b""
    for piece in cut(stream, where):
        window = window[len(window) - full.held:] + piece
        events = full.feed(piece)
        kept = lean.feed(piece)
        left_out = [event for event in events if event not in kept]
        assert [event for event in events if event in kept] == kept
        assert all(DULL.fullmatch(window[start:end]) for _, _, start, end in left_out)
        assert all(b"\r" not in window[start:end] for _, _, start, end in left_out)
        assert (lean.held, lean.at_boundary, lean.split_crlf) == (
            full.held, full.at_boundary, full.split_crlf)
    assert lean.close() == full.close()


@example(b"data: 1\n\nevent: a\ndata: b\n\nevent: ab\ndata: 2\n\n", [])
@example(b"data: 1\n\nevent: a\ndata: b\n\n", [])
@example(b"event: a\ndata: b\n\nid: 1\nevent: a\ndata: b\n\ndata: 2\n\n", [])
@given(st.lists(ATOMS | st.sampled_from([b"event: a\ndata: b\n\n", b"event: b\ndata: c\n\n"]),
                max_size=24).map(b"".join), places)
def test_events_found_together_are_those_read_one_by_one(stream: bytes, where: list[int]) -> None:
    together, apart = EventReader(dull=DULL, plain=plain_events(["a"])), EventReader(dull=DULL)
    for piece in cut(stream, where):
        plain = together.feed_plain(piece)
        events = apart.feed(piece)
        if plain is None:
            assert together.feed(piece) == events
        else:
            assert [(b"", data) for data in plain] == [event[:2] for event in events]
        assert (together.held, together.at_boundary, together.split_crlf) == (
            apart.held, apart.at_boundary, apart.split_crlf)


def test_dull_events_among_others_are_not_found() -> None:
    reader = EventReader(dull=DULL, plain=plain_events(["a", "c"]))
    chunk = b"event: a\ndata: 1\n\nevent: ac\ndata: 2\n\nevent: c\ndata: 3\n\ndata: 4\n\n"
    assert reader.feed_plain(chunk) == [b"2", b"4"]


def test_close_gives_the_event_without_its_end() -> None:
    reader = EventReader()
    assert reader.feed(b"data: a\n\ndata: b\n") == [(b"", b"a", 0, 9)]
    last = reader.close()
    assert last is not None and last[1] == b"b" and reader.close() is None


def test_a_split_line_end_is_told() -> None:
    reader = EventReader()
    assert len(reader.feed(b"data: a\r\n\r")) == 1 and reader.split_crlf
    assert reader.feed(b"\n") == [] and not reader.split_crlf and reader.at_boundary


def test_empty_lines_and_single_bytes_are_linear() -> None:
    """Two million empty lines, and one event in 200,000 pieces: no more than a second or so."""
    assert EventReader().feed(b"\n" * 2_000_000) == []
    reader = EventReader()
    for _ in range(200_000):
        reader.feed(b"x")
    assert reader.held == 200_000
