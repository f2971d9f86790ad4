"""Records field by field are the same records."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.columns import PART_RECORDS, Columns, in_one, in_parts, places
from relayd.core.record import CallRecord
from tests.fakes.records import call_record

RECORDS = st.lists(st.builds(
    lambda account, model, tokens: call_record(account=account, model=model, input_tokens=tokens),
    st.sampled_from("ab"), st.sampled_from(["m", None]), st.integers(0, 9)), min_size=1)


def fields(record: CallRecord, *names: str) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in names)


@given(RECORDS)
def test_a_column_for_each_field(records: list[CallRecord]) -> None:
    part = Columns(records)
    assert len(part) == len(records)
    for name, column in zip(CallRecord.__struct_fields__, part.values, strict=True):
        assert [column] == part.of(places(name))
        assert list(column) == [getattr(record, name) for record in records]
        assert part.alike(places(name)) is (len(set(column)) == 1)


@given(RECORDS)
def test_each_record_is_in_the_group_of_its_names(records: list[CallRecord]) -> None:
    by, wanted = ("account", "model"), ("id", "input_tokens")
    found = list(Columns(records).groups(places(*by), places(*wanted)))
    assert {names for names, _ in found} == {fields(record, *by) for record in records}
    assert sum(len(columns[0]) for _, columns in found) == len(records)
    for names, columns in found:
        assert list(zip(*columns, strict=True)) == [
            fields(record, *wanted) for record in records if fields(record, *by) == names]


def test_parts_are_all_records_in_their_order() -> None:
    records = [call_record() for _ in range(2 * PART_RECORDS + 1)]
    parts = in_parts(records)
    assert [len(part) for part in parts] == [PART_RECORDS, PART_RECORDS, 1]
    assert in_one(parts) == records and in_parts([]) == []
    assert in_one(in_parts([msgspec.structs.replace(records[0], app="a")]))[0].app == "a"
