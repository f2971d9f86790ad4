"""Input becomes what a route declares, or is refused without being told back."""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.console import form
from relayd.core.errors import ERRORS, RelayError


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """Every kind of field."""

    name: str
    kind: Literal["a", "b"] = "a"
    count: int | None = None
    agreed: bool = False
    models: list[str] | None = None


def refused(fields: Any) -> RelayError:
    with pytest.raises(RelayError) as caught:
        form.from_form(Wish, fields)
    return caught.value


def test_empty_fields_are_absent_and_boxes_are_true() -> None:
    sent = [("name", "x"), ("count", ""), ("agreed", "on"), ("csrf", "t"), ("models", "m")]
    assert form.from_form(Wish, sent) == Wish("x", "a", None, True, ["m"])


@pytest.mark.parametrize("fields, param", [
    ([("name", "")], "name"), ([("name", "x"), ("kind", "c")], "kind"),
    ([("name", "x"), ("count", "1.5")], "count"), ([("name", "x"), ("agreed", "maybe")], "agreed"),
    ([("name", "x"), ("name", "y")], "name"), ([("name", "x"), ("canary", "y")], None),
    ([("name", "x"), ("canary", "")], None), ([("name", "x"), ("canary", "y"), ("canary", "z")],
                                              None),
])
def test_the_field_at_fault_is_named_if_it_is_ours(
    fields: list[tuple[str, str]], param: str | None,
) -> None:
    error = refused(fields)
    assert (error.code, error.param) == ("invalid_form", param)
    assert "canary" not in repr(error)


@pytest.mark.parametrize("value", ["4111111111111111", "my card: 5500-0000-0000-0004, thanks"])
def test_I3_a_cards_number_is_refused_wherever_it_stands(value: str) -> None:
    assert refused([("name", value)]).code == "card_number"
    assert refused([("name", "x"), ("models", value)]).code == "card_number"
    with pytest.raises(RelayError):
        form.from_json(Wish, msgspec.json.encode({"name": "x", "models": [value]}))


@pytest.mark.parametrize("marks", ["\u0315\u0300", "\u0f73", "\u3099\uff9e"])
def test_marks_in_a_heap_are_refused_at_once(marks: str) -> None:
    for value in (f"a{marks * 10_000}", marks * 10_000):
        began = time.process_time()
        assert refused([("name", value)]).code == "invalid_form"
        assert refused([(value, "x")]).code == "invalid_form"
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize("tags", [
    # a character that is eighteen in the normal form, and as many texts as a body has room for
    ["\ufdfa" * 21_000], ["x"] * 16_000, ["\u00e9"] * 12_000,
])
def test_a_whole_body_takes_the_loop_no_time(tags: list[str]) -> None:
    body = msgspec.json.encode({"name": "x", "models": tags})
    assert len(body) < form.BODY_BYTES_MAX
    began = time.process_time()
    for _ in range(3):
        assert form.from_json(Wish, body).models == tags
    assert time.process_time() - began < 0.3


def test_what_people_write_is_no_heap() -> None:
    long = "z\u0351\u036b\u0343" * 50
    for name in ("Nguye\u0302\u0303n", "a" + "\u0301" * form.MARKS_MAX, long):
        assert form.from_form(Wish, [("name", name)]).name == name


@pytest.mark.parametrize("depth", [200, 400, 900, 980, 5000])
@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")])
def test_json_however_deep_is_answered(depth: int, opening: bytes, closing: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        form.from_json(Wish, b'{"name":' + opening * depth + b"1" + closing * depth + b"}")
    assert caught.value.code in ("invalid_form", "invalid_json")


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(body: bytes) -> None:
    try:
        form.from_json(Wish, body)
    except RelayError as error:
        assert ERRORS[error.code].status in (400, 422)


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=30), max_size=5))
def test_any_fields_are_answered(fields: dict[str, str]) -> None:
    try:
        form.from_form(Wish, list(fields.items()))
    except RelayError as error:
        assert error.param is None or error.param in Wish.__struct_fields__
