"""Bodies taken apart: all of a body or nothing, whatever the spelling."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.split import Split, too_deep

SPLIT = Split(("model", "messages", "tools", "stream"), ("messages", "tools"))


def test_members_and_elements_are_texts() -> None:
    raw = b'{"tools":[],"model":"m","messages":[{"a":[1,{"b":"},{"}]},"\\u0041"]}'
    assert SPLIT.take(raw) == {
        "model": b'"m"', "messages": [b'{"a":[1,{"b":"},{"}]}', b'"\\u0041"'], "tools": []}
    assert list(SPLIT.take(raw) or ()) == ["model", "messages", "tools"]


@pytest.mark.parametrize("raw", [
    b"", b"{}", b"[]", b"null", b'{"model":"m"', b'{"model":"m"}x', b' {"model":"m"}',
    b'{"model":"m"}\n', b'{"model": "m"}', b'{"model":"m" }', b'{"model":"m","other":1}',
    b'{"model":"a","model":"b"}', b'{"model":"\xff","model":"b"}', b'{"m\\u006fdel":"m"}',
    b'{"messages":{}}', b'{"messages":null}', b'{"messages":[1, 2]}', b'{"messages":[1,]}',
    b'{"messages":["a" ]}', b'{"messages":[],"messages":[]}', b'{"messages":[{]}',
    b"\xef\xbb\xbf{}", b'{"messages":[' + b"[" * 100_000,
])
def test_what_is_left_to_a_full_reading(raw: bytes) -> None:
    assert SPLIT.take(raw) is None


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3),
                            st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6)


@given(st.fixed_dictionaries({"model": JSON}, optional={
    "messages": st.lists(JSON, max_size=4), "tools": st.lists(JSON, max_size=2), "stream": JSON,
}), st.booleans())
def test_the_parts_are_the_body(body: dict[str, Any], ascii_only: bool) -> None:
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=ascii_only).encode()
    texts = SPLIT.take(raw)
    assert texts is not None
    assert {name: [json.loads(one) for one in text] if isinstance(text, list)
            else json.loads(text) for name, text in texts.items()} == body


@given(st.binary(max_size=8), st.integers(0, 60), st.integers(0, 6))
def test_a_torn_body_is_a_full_one_or_none(piece: bytes, at: int, cut: int) -> None:
    raw = b'{"model":"m","messages":[{"a":"b"},[1,2.5]],"tools":[null],"stream":true}'
    torn = raw[:at] + piece + raw[at + cut:]
    texts = SPLIT.take(torn)
    if texts is None:
        return
    try:
        found = {name: [json.loads(one) for one in text] if isinstance(text, list)
                 else json.loads(text) for name, text in texts.items()}
    except ValueError:  # a part that cannot be read is found out by who reads it
        with pytest.raises(ValueError):
            json.loads(torn)
    else:
        assert json.loads(torn) == found


def test_lists_alone() -> None:
    raw = b'{"messages":[1,2]}'
    one, two = SPLIT.alone(("messages",)), SPLIT.alone(("messages", "tools"))
    assert SPLIT.alone(("messages",)) is one
    assert one.take(raw) == two.take(raw) == {"messages": [b"1", b"2"]}
    both = b'{"messages":[1],"tools":[{}]}'
    assert one.take(both) is None
    assert two.take(both) == {"messages": [b"1"], "tools": [b"{}"]}
    assert two.take(b'{"messages":[1],"model":"m"}') is None


@pytest.mark.parametrize(("value", "levels", "wanted"), [
    (1, 0, False), ([], 1, False), ([[]], 1, True), ({"a": [1]}, 2, False),
    ({"a": [{"b": 1}]}, 2, True), ("x", 1, False),
])
def test_levels(value: object, levels: int, wanted: bool) -> None:
    assert too_deep(value, levels) is wanted
