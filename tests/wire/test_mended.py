"""What msgspec refuses of a provider's JSON, and how it is read all the same."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.mended import MENDED_BYTES_MAX, mended


@pytest.mark.parametrize(("data", "meant"), [
    (rb'["\ud83d"]', ["\ufffd"]), (rb'["\uDE00\n"]', ["\ufffd\n"]),
    (rb'["\ud83d\ude00 \\ud83d"]', ["\U0001f600 \\ud83d"]), (b'["\xff\xc3\xa9"]', ["\ufffd\xe9"]),
    (b"[NaN,-Infinity, Infinity ]", [None, None, None]), (b'["NaN"]', ["NaN"]),
    (b"[1,NaN]", [1, None]), (b"[-Infinity]", [None]), (b"[1, Infinity]", [1, None]),
    (rb'["\\\ud83d\\\\ud83d\ud83d\ud83d\ude00"]', ["\\\ufffd\\\\ud83d\ufffd\U0001f600"]),
    (b'["a\tb\0",\r\n1]', ["a b ", 1]),
    (b"\xef\xbb\xbf[1]", [1]), (b"[1]", [1]), (rb'["\u00e9\\"]', ["\xe9\\"]),
])
def test_it_says_what_was_meant(data: bytes, meant: object) -> None:
    assert msgspec.json.decode(mended(data)) == meant


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_what_can_be_read_means_the_same(value: object) -> None:
    for data in (msgspec.json.encode(value), json.dumps(value).encode()):
        assert json.loads(mended(data)) == value


@given(st.lists(st.sampled_from([
    "\\\\", "\\n", "\\ud83d", "\\ude00", "\\uD83D\\uDE00", "\\u0041", "ud83d", "x", '\\"'])))
def test_each_escape_is_read_by_itself(parts: list[str]) -> None:
    text = '"%s"' % "".join(parts)
    meant = json.loads(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    read = msgspec.json.decode(mended(text.encode()))
    assert read.replace("\ufffd", "") == meant.replace("\ufffd", "")


def test_what_is_long_stays() -> None:
    data = b'"\xff' + b"x" * MENDED_BYTES_MAX
    assert mended(data) == data and mended(b"\xef\xbb\xbf" + data) == data
