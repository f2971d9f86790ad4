"""Arrays of objects: each object as it ends, however the bytes are cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.jsonarray import PART_BYTES, ArrayReader
from tests.fakes.splits import cut, one_by_one, places


def read(pieces: list[bytes], object_bytes_max: int = 1 << 20) -> list[bytes]:
    reader = ArrayReader(object_bytes_max)
    return [item for piece in pieces for item in reader.feed(piece)]


@pytest.mark.parametrize(("array", "objects"), [
    (b"[]", []),
    (b"[{}]", [b"{}"]),
    (b'[{\n  "a": [{"b": 1}]\n}\n,\r\n{"c": 2}\n]\n', [b'{\n  "a": [{"b": 1}]\n}', b'{"c": 2}']),
    (rb'[{"a": "}{\"]\\"}, {"b": "\\\"}"}]', [rb'{"a": "}{\"]\\"}', rb'{"b": "\\\"}"}']),
    (b'[{"a": "\xe2\x82\xac}"}]', [b'{"a": "\xe2\x82\xac}"}']),
    (b'[{"a": 1}, {"b"', [b'{"a": 1}']),
    (b'}}]["{", {"a": 1}]', [b'{"a": 1}']),
    (b"not json", []),
])
def test_arrays(array: bytes, objects: list[bytes]) -> None:
    assert read([array]) == objects
    assert read(one_by_one(array)) == objects


TEXT = st.text(st.sampled_from('{}[]"\\,: \n\u20aca'), max_size=8)
VALUES = st.recursive(
    TEXT | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8)


@given(st.lists(st.dictionaries(TEXT, VALUES, max_size=3), max_size=4), places,
       st.sampled_from([None, 2]), st.booleans())
def test_any_array_cut_anywhere(
    items: list[object], where: list[int], indent: int | None, ascii_only: bool
) -> None:
    array = json.dumps(items, indent=indent, ensure_ascii=ascii_only).encode()
    for pieces in ([array], cut(array, where), one_by_one(array)):
        assert [json.loads(item) for item in read(pieces)] == items


@given(st.binary(max_size=100), places)
def test_any_bytes_cut_anywhere(data: bytes, where: list[int]) -> None:
    assert read([data]) == read(cut(data, where)) == read(one_by_one(data))


@given(places)
def test_a_long_object_is_not_read_and_the_next_one_is(where: list[int]) -> None:
    array = b'[{"a":"%b"},{"b":"}"},{"c":"%b"}]' % (b"{" * 40, b"x" * 40)
    assert read(cut(array, where), 20) == [b'{"b":"}"}']
    for most, skipped in ((20, True), (60, False)):
        reader = ArrayReader(most)
        reader.feed(array)
        assert reader.skipped is skipped


def test_nothing_is_held_between_objects_or_of_a_long_one() -> None:
    reader = ArrayReader(10)
    reader.feed(b'[{"a":1}')
    assert reader.held == 0
    reader.feed(b',{"b"')
    assert reader.held == 4
    reader.feed(b':"0123456789')
    assert reader.held == 0


@pytest.mark.parametrize("text", ["x", "\\n", '\\"', "{", "}", "\\\\"])
@pytest.mark.parametrize("size", [-1, 0, 1, PART_BYTES - 1])
def test_what_comes_in_one_long_read(text: str, size: int) -> None:
    item = b'{"a":"%b"}' % (text * (PART_BYTES + size)).encode()
    array = b"[%b,%b]" % (item, item)
    assert read([array]) == [item, item] == read(cut(array, [PART_BYTES, len(item), 5]))
