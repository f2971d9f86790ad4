"""What a lane's files tell of its calls, however little of them is left."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.journal import Mark, Opening
from relayd.core.record import CallRecord
from relayd.core.usage import Usage
from relayd.store import journal_replay
from relayd.store.journal_frame import CLOSE, MARK, NOTHING, OPEN, PROGRESS, frame
from relayd.store.journal_replay import Replay
from tests.fakes.records import call_record

encode = msgspec.msgpack.encode


def opening_of(record: CallRecord) -> Opening:
    return Opening(record.id, record.started_at_ms, record.account, record.key, record.app,
                   record.api, record.endpoint, record.model, record.provider,
                   record.provider_model, record.stream)


def mark_of(record: CallRecord, tokens: int) -> Mark:
    return Mark(record.id, record.provider, record.provider_model, 1, 200, 5, tokens, True, None,
                None)


def file(folder: Path, index: int, *lines: bytes) -> Path:
    path = folder / f"{index:012d}.journal"
    path.write_bytes(b"".join(lines))
    return path


def test_closed_and_open_calls_across_files(tmp_path: Path) -> None:
    done, open_, never = call_record(), call_record(), call_record()
    files = [
        file(tmp_path, 1, frame(1, OPEN, encode(opening_of(done))),
             frame(2, OPEN, encode(opening_of(open_))),
             frame(3, PROGRESS, encode(mark_of(open_, 1)))),
        file(tmp_path, 2, frame(4, CLOSE, encode(done)), frame(5, NOTHING, bytes(9)),
             frame(6, PROGRESS, encode(mark_of(open_, 2))), frame(7, CLOSE, encode(never)),
             # of a call whose opening is in a file that went
             frame(8, PROGRESS, encode(mark_of(call_record(), 3)))),
    ]
    replay = Replay(files)
    (batch,) = replay.batches()
    assert batch.records == [done, never] and batch.through == 8
    (left,) = replay.interrupted()
    assert (left.id, left.counted_output_tokens, left.outcome) == (open_.id, 2, "interrupted")
    assert replay.last == 8 and replay.torn_bytes == 0


def test_what_is_applied_is_left_out_but_still_closes(tmp_path: Path) -> None:
    one, two = call_record(), call_record()
    path = file(tmp_path, 1, frame(1, OPEN, encode(opening_of(one))), frame(2, CLOSE, encode(one)),
                frame(3, CLOSE, encode(two)))
    replay = Replay([path], after=2)
    assert [batch.records for batch in replay.batches()] == [[two]]
    assert replay.interrupted() == []


def test_what_is_torn_is_counted_in_every_file_and_what_is_behind_it_read(tmp_path: Path) -> None:
    one, two = call_record(), call_record()
    cut = frame(1, CLOSE, encode(call_record()))[:-9]
    lines = [frame(2, CLOSE, encode(one)), frame(3, CLOSE, encode(two))]
    # too short for what its head says of it: known only at the file's end
    files = [file(tmp_path, 1, lines[0], cut), file(tmp_path, 2, MARK + b"\0\1\0\0", lines[1])]
    replay = Replay(files)
    assert [batch.records for batch in replay.batches()] == [[one, two]]
    assert replay.torn_bytes == len(cut) + 6


def test_batches_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_replay, "BATCH_RECORDS", 2)
    records = [call_record() for _ in range(5)]
    path = file(tmp_path, 1, *(frame(n + 1, CLOSE, encode(r)) for n, r in enumerate(records)))
    found = list(Replay([path]).batches())
    assert [len(batch.records) for batch in found] == [2, 2, 1]
    assert [batch.through for batch in found] == [2, 4, 5]
    assert [record for batch in found for record in batch.records] == records


def test_a_value_that_is_not_known_is_counted_and_passed_over(tmp_path: Path) -> None:
    record = call_record()
    strange = msgspec.structs.replace(opening_of(call_record()), started_at_ms="soon")
    path = file(tmp_path, 1, frame(1, CLOSE, b"\xc1"), frame(2, OPEN, encode(strange)),
                frame(3, CLOSE, encode(record)))
    replay = Replay([path])
    assert [batch.records for batch in replay.batches()] == [[record]]
    assert replay.interrupted() == [] and replay.torn_bytes == 1 + len(encode(strange))


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("omc")), max_size=30),
       st.integers(0, 9000))
def test_a_call_is_closed_or_open_and_never_both(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], cut: int
) -> None:
    calls = [call_record(usage_source="none") for _ in range(5)]
    makers = {"o": (OPEN, opening_of), "m": (PROGRESS, lambda r: mark_of(r, 1)),
              "c": (CLOSE, lambda r: r)}
    lines = [frame(n + 1, makers[what][0], encode(makers[what][1](calls[call])))
             for n, (call, what) in enumerate(steps)]
    folder = tmp_path_factory.mktemp("lane")
    replay = Replay([file(folder, 1, b"".join(lines)[:cut])])
    closed = [record.id for batch in replay.batches() for record in batch.records]
    left = [record.id for record in replay.interrupted()]
    # what the lines that are whole say, one by one
    state: dict[str, str] = {}
    size = 0
    for (call, what), line in zip(steps, lines, strict=True):
        size += len(line)
        if size <= cut and what != "m":
            state[calls[call].id] = what
    assert set(left) == {call_id for call_id, what in state.items() if what == "o"}
    assert {call_id for call_id, what in state.items() if what == "c"} <= set(closed)
    assert len(left) == len(set(left))


def test_the_usage_of_the_last_mark(tmp_path: Path) -> None:
    record = call_record()
    mark = msgspec.structs.replace(mark_of(record, 1), usage=Usage(50, 6))
    path = file(tmp_path, 1, frame(1, OPEN, encode(opening_of(record))),
                frame(2, PROGRESS, encode(mark)))
    replay = Replay([path])
    assert list(replay.batches()) == []
    assert [(r.input_tokens, r.output_tokens) for r in replay.interrupted()] == [(50, 6)]
