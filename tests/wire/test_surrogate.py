"""Lone surrogates: read and written as escapes, all else exactly as msgspec has it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.wire import surrogate
from relayd.wire.surrogate import TOGETHER, decode, encode, may_hold_surrogates

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False,
              allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=12,
)


@given(JSON)
def test_what_msgspec_can_write_is_written_the_same(value: object) -> None:
    raw = msgspec.json.encode(value)
    assert encode(value) == raw
    assert decode(raw) == msgspec.json.decode(raw)


@given(st.text(alphabet=st.characters(codec=None)))
def test_every_string_survives(text: str) -> None:
    raw = encode([text, {text: 1}])
    back = decode(raw)
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert back in ([text, {text: 1}], [joined, {joined: 1}])
    assert raw.decode("utf-8")


@pytest.mark.parametrize("raw", [
    b"NaN", b"[Infinity]", b"-Infinity", b"1e400", b"01", b"{", b'"\xff"', b"\xef\xbb\xbf{}",
    b'"a\nb"', b"1" * 5000,
])
def test_it_is_as_strict_as_msgspec(raw: bytes) -> None:
    with pytest.raises(ValueError):
        decode(raw)
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        msgspec.json.decode(raw)


@pytest.mark.parametrize(("raw", "may"), [
    (b'"\\ud83d"', True), (b'"\\uDC00"', True), (b'"\\u0041"', False), (b'"plain"', False),
])
def test_only_where_there_is_one(raw: bytes, may: bool) -> None:
    assert may_hold_surrogates(raw) is may


def test_the_escape_is_lower_case_hex() -> None:
    assert encode("a\udcffé\ud83d\n") == '"a\\udcffé\\ud83d\\n"'.encode()


@given(st.lists(JSON, max_size=3), st.integers(0, 3 * TOGETHER), st.integers(0, 3 * TOGETHER))
def test_what_is_long_is_written_the_same_around_it(
    values: list[object], before: int, after: int
) -> None:
    """One by one is how a short list is written."""
    values = [*values, *range(before), "\ud83d", {"\udcff": 1}, *range(after), *values]
    assert encode(values) == b"[%b]" % b",".join([encode(value) for value in values])
    members = {str(number): value for number, value in enumerate(values)}
    assert encode(members) == b"{%b}" % b",".join(
        [encode({name: value})[1:-1] for name, value in members.items()])


@pytest.mark.parametrize("kind", [list, dict.fromkeys])
def test_one_surrogate_does_not_make_a_long_body_slow(
    kind: Callable[[list[str]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def counted(value: object) -> bytes:
        nonlocal written
        written += 1
        return msgspec.json.encode(value)

    monkeypatch.setattr(surrogate, "_encode", counted)
    encode(kind([*map(str, range(10_000)), "\ud83d"]))
    assert written < 10_000 // TOGETHER + 2 * TOGETHER


def test_lists_in_lists_are_not_written_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def counted(value: object) -> bytes:
        nonlocal written
        written += len(str(value))
        return msgspec.json.encode(value)

    value: object = "\ud83d"
    for level in range(200):
        value = [*range(2 * TOGETHER - 1), value] if level % 2 else {
            **dict.fromkeys(map(str, range(2 * TOGETHER - 1)), 1), "": value}
    size = len(encode(value))
    monkeypatch.setattr(surrogate, "_encode", counted)
    assert len(encode(value)) == size
    assert written < 20 * size
