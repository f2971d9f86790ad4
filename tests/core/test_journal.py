"""The journal's lines as values: positional, without names, and back."""

import msgspec
import pytest

from relayd.core.journal import Mark, Opening, interrupted
from relayd.core.record import CallRecord
from relayd.core.usage import Beside, Usage
from tests.fakes.records import call_record

OPENING = Opening(
    "01J", 7, "acct", "key", "app", "openai", "/v1/responses", "m", "p", "theirs", True)


def test_lines_are_positional_and_come_back() -> None:
    opening = Opening(
        "01J", 7, "acct", "key", None, "openai", "/v1/responses", "m", "p", "m", True)
    mark = Mark("01J", "p", "m", 1, 200, 3, 4, True, Usage(3, 4), 1.5)
    for line, kind in ((opening, Opening), (mark, Mark)):
        raw = msgspec.msgpack.encode(line)
        assert b"account" not in raw and b"attempts" not in raw
        assert msgspec.msgpack.decode(raw, type=kind) == line


def test_an_older_mark_is_read_and_what_is_beside_no_report_stays_that() -> None:
    mark = Mark("01J", "p", "m", 1, 200, 3, 4, True, Beside(images=2), 1.5, False)
    older = msgspec.msgpack.encode(msgspec.structs.astuple(mark)[:-1])
    assert msgspec.msgpack.decode(older, type=Mark).told
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(mark), type=Mark)
    record = interrupted(OPENING, read)
    assert (record.usage_source, record.images, record.input_tokens) == ("estimated", 2, 3)
    drawn = Beside(output_tokens=9, image_output_tokens=9)
    record = interrupted(OPENING, msgspec.structs.replace(read, usage=drawn))
    assert (record.output_tokens, record.image_output_tokens) == (13, 9)
    record = interrupted(OPENING, msgspec.structs.replace(read, usage=None))
    assert (record.images, record.input_tokens) == (0, 3)


def test_a_record_is_positional_and_an_older_one_is_read() -> None:
    record = call_record(images=2)
    raw = msgspec.msgpack.encode(record)
    assert b"account" not in raw
    assert msgspec.msgpack.decode(raw, type=CallRecord) == record
    older = msgspec.msgpack.encode(msgspec.structs.astuple(call_record(id="1"))[:-5])
    assert msgspec.msgpack.decode(older, type=CallRecord).images == 0


def test_a_call_that_was_opened_and_never_marked() -> None:
    record = interrupted(OPENING, None)
    assert (record.id, record.started_at_ms, record.account, record.key, record.app) == (
        "01J", 7, "acct", "key", "app")
    assert (record.outcome, record.error, record.status, record.attempts, record.usage_source) == (
        "interrupted", "daemon_died", 0, 1, "none")
    assert record.duration_ms is record.first_byte_ms is None
    assert (record.api, record.endpoint, record.model, record.provider, record.provider_model,
            record.stream) == ("openai", "/v1/responses", "m", "p", "theirs", True)
    assert record.counted_input_tokens is record.counted_output_tokens is None
    # it costs nothing yet, in the currency of what has no price
    assert (record.amount_nano, record.currency) == (0, "USD")
    assert not any(getattr(record, name) for name in Usage.__struct_fields__)


@pytest.mark.parametrize("reported, counted, exact, expected", [
    (None, (None, None), False, (0, 0, "none")),
    (None, (8, None), True, (8, 0, "counted")),
    (None, (8, 3), False, (8, 3, "estimated")),
    (Usage(9, 4, 2), (8, 3), True, (9, 4, "reported")),
    # the report is older than what was counted since
    (Usage(9, 1, 2), (8, 30), True, (9, 30, "counted")),
])
def test_what_the_last_mark_knew(
    reported: Usage | None, counted: tuple[int | None, int | None], exact: bool,
    expected: tuple[int, int, str],
) -> None:
    mark = Mark("01J", "p2", "m2", 2, 200, *counted, exact, reported, 1.5)
    record = interrupted(OPENING, mark)
    assert (record.provider, record.provider_model, record.attempts, record.status,
            record.first_byte_ms) == ("p2", "m2", 2, 200, 1.5)
    assert (record.counted_input_tokens, record.counted_output_tokens) == counted
    assert (record.input_tokens, record.output_tokens, record.usage_source) == expected
    assert record.cache_read_input_tokens == (reported.cache_read_input_tokens if reported else 0)
