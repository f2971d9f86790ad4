"""The parts that field tables are made of."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire.body import TABLES
from relayd.wire.fields import (
    DIGITS_MAX, GONE, PLANS_MAX, Shape, Table, by_name, drop, enum, filled, int64, items,
    kept_type, kinds, members, number, refuse, remote, said, silent, snake,
)
from relayd.wire.walk import BodyPolicy, Walk
from tests.wire.asking import dropped, sent


def walk(**policy: Any) -> Walk:
    return Walk(BodyPolicy(**policy))


SAYS_NOTHING = [None, False, "", [], {}]


@pytest.mark.parametrize("value", SAYS_NOTHING)
def test_fields_that_say_nothing_are_neither_named_nor_refused(value: object) -> None:
    state = walk()
    assert drop("x")(value, state) is refuse("x")(value, state) is silent(value, state) is GONE
    assert state.dropped == set()


@pytest.mark.parametrize("value", [True, "a", 1, [0], {"a": None}])
def test_fields_that_say_something(value: object) -> None:
    state = walk()
    assert drop("x.y")(value, state) is GONE and state.dropped == {"x.y"}
    with pytest.raises(RelayError) as caught:
        refuse("x.y")(value, state)
    assert (caught.value.code, caught.value.param) == ("refused_field", "x.y")


def test_remote_is_a_policy() -> None:
    act = remote("x", by_name)
    assert act({"b": 1}, walk(remote_mcp="on")) == {"b": 1}
    with pytest.raises(RelayError):
        act({"b": 1}, walk())


@pytest.mark.parametrize(("value", "wanted"), [
    (1.0, 1), (0.5, 0.5), (3, 3), (-2.0, -2), (1e300, 1e300), ("1.0", "1.0"), (True, True),
    (float(1 << 60), float(1 << 60)),
])
def test_numbers(value: object, wanted: object) -> None:
    found = number(value, walk())
    assert found == wanted and type(found) is type(wanted)


@pytest.mark.parametrize(("value", "wanted"), [
    ("9" * DIGITS_MAX, int("9" * DIGITS_MAX)), ("9" * (DIGITS_MAX + 1), "9" * (DIGITS_MAX + 1)),
    ("007", 7), ("", ""), ("-1", "-1"), ("1.0", "1.0"), ("²", "²"), ("١", "١"), (2.0, 2),
    (2.5, 2.5), (None, None), (["1"], ["1"]),
])
def test_whole_numbers_of_protobuf(value: object, wanted: object) -> None:
    found = int64(value, walk())
    assert found == wanted and type(found) is type(wanted)


@given(st.recursive(st.none() | st.integers(), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcé"), inner))))
def test_members_are_sorted_at_every_level(value: object) -> None:
    wanted = json.dumps(value, sort_keys=True)
    assert json.dumps(by_name(value, walk())) == wanted


@pytest.mark.parametrize(("name", "other"), [
    ("maxOutputTokens", "max_output_tokens"), ("topP", "top_p"), ("role", "role"),
])
def test_the_other_spelling(name: str, other: str) -> None:
    assert snake(name) == other


def test_a_shape_orders_acts_and_takes_out() -> None:
    shape = Shape({"b": None, "a": drop("a"), "list": items(Shape({"y": None, "x": number}).put)})
    state = walk()
    value = {"z": {"d": 1, "c": 2}, "list": [{"x": 1.0, "y": 2}, "text"], "a": 1, "b": 0}
    found = shape.put(value, state)
    assert repr(found) == (
        "{'b': 0, 'list': [{'y': 2, 'x': 1}, 'text'], 'z': {'c': 2, 'd': 1}}")
    assert state.dropped == {"a"}
    assert shape.put("text", state) == "text"


def test_null_of_an_unknown_name_goes_where_a_shape_says_so() -> None:
    value = {"y": None, "x": {"b": None, "a": []}, "a": 1}
    assert Shape({"a": None}).put({**value}, walk()) == value
    found = Shape({"a": None}, other=said).put({**value}, walk())
    assert repr(found) == "{'a': 1, 'x': {'a': [], 'b': None}}"


def test_two_spellings_are_one_name() -> None:
    shape = Shape({"topP": number, "topK": None}, snake_too=True)
    assert repr(shape.put({"top_k": 1, "top_p": 1.0}, walk())) == "{'topP': 1, 'topK': 1}"
    assert shape.put({"top_p": 2, "topP": 1}, walk()) == {"topP": 1}


def test_elements_may_go() -> None:
    act = items(kinds("type", {"gone": silent}, by_name))
    assert act([{"type": "gone"}, {"type": "x"}, 1], walk()) == [{"type": "x"}, 1]
    assert act({"type": "x"}, walk()) == {"type": "x"}
    assert act("text", walk()) == "text"
    assert kinds("type", {}, silent)([], walk()) == []
    assert kinds("type", {}, by_name)({"type": ["odd"]}, walk()) == {"type": ["odd"]}


def test_members_keep_their_order() -> None:
    act = members(by_name)
    assert repr(act({"z": {"b": 1, "a": 2}, "a": True}, walk())) == (
        "{'z': {'a': 2, 'b': 1}, 'a': True}")
    assert act([1], walk()) == [1]


def test_what_is_empty_afterwards_goes() -> None:
    act = filled(Shape({"a": drop("a")}).put)
    assert act({"a": 1}, walk()) is GONE
    assert act({"b": 1}, walk()) == {"b": 1}


def test_remembered_orders_are_bounded_and_hold_known_names_alone() -> None:
    names = [f"n{index}" for index in range(12)]
    shape, table = Shape(dict.fromkeys(names)), Table(dict.fromkeys(names))
    for index in range(PLANS_MAX * 2):
        keys = [name for bit, name in enumerate(names) if index >> bit & 1]
        shape.put(dict.fromkeys(keys, 1), walk())
        table.read(dict.fromkeys(keys, 1), walk())
    shape.put({"a secret": 1}, walk())
    table.read({"a secret": 1}, walk())
    for plans in (shape._plans, table._plans):
        assert 0 < len(plans) <= PLANS_MAX
        assert all("a secret" not in keys for keys in plans)


PART = Shape({"type": None, "text": None, "url": by_name}).put
MESSAGE = Shape({"role": None, "content": items(PART), "calls": items(PART), "id": drop("id")}).put
MESSAGES = items(MESSAGE)
VALUES = st.recursive(
    st.sampled_from(["", "text", 1, 1.0, True, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["role", "content", "calls", "id", "type", "text", "url", "x"]), inner,
        max_size=3), max_leaves=6)


@given(st.lists(st.fixed_dictionaries(
    {"role": st.just("user"), "content": st.just("text") | VALUES},
    optional={"calls": VALUES, "id": VALUES}) | VALUES, max_size=6))
def test_objects_that_need_nothing_are_passed_over(value: list[Any]) -> None:
    lean, full = walk(), walk()
    wanted = []
    for inner in deepcopy(value):
        found = MESSAGE(inner, full)
        if found is not GONE:
            wanted.append(found)
    assert repr(MESSAGES(value, lean)) == repr(wanted) and lean.dropped == full.dropped


def test_only_what_is_read_again_unchanged_is_passed_over() -> None:
    shape = Shape({"a": None, "b": items(PART), "c": number, "d": by_name})
    for value in ({"a": 1}, {"a": 1, "b": "x"}, {"b": "x", "a": 1}, {"a": 1, "x": 1}, {},
                  {"c": 1}, {"a": 1, "b": 1, "d": 1}, {"d": 1}):
        shape.put(dict(value), walk())
    assert shape.calm == {("a",): "a", ("a", "b"): "b", ("d",): "d"}


KEPT: dict[type, st.SearchStrategy[Any]] = {str: st.text(max_size=4), int: st.integers()}


@pytest.mark.parametrize("operation", TABLES)
@given(data=st.data())
def test_what_an_act_need_not_see_it_would_not_change(operation: str, data: Any) -> None:
    for act in TABLES[operation].names.verdicts.values():
        kept = kept_type(act)
        if act is not None and kept is not None:
            value = data.draw(KEPT[kept])
            state = walk()
            assert act(value, state) is value and state == walk()


TABLE = Table({"b": None, "a": number})


def test_null_is_absent_in_a_body() -> None:
    assert TABLE.read({"a": None, "b": 1, "x": None}, walk(unknown_fields="refuse")) == {"b": 1}


def test_unknown_fields() -> None:
    body = {"z": {"d": 1, "c": 2}, "y": 1, "a": 1.0}
    state = walk()
    assert TABLE.read(dict(body), state) == {"a": 1}
    assert state.dropped == {"y", "z"}
    passed = TABLE.read(dict(body), walk(unknown_fields="pass"))
    assert repr(passed) == "{'a': 1, 'y': 1, 'z': {'c': 2, 'd': 1}}"
    assert TABLE.read(dict(body), walk(pass_fields=frozenset({"y"}))) == {"a": 1, "y": 1}
    with pytest.raises(RelayError) as caught:
        TABLE.read(dict(body), walk(unknown_fields="refuse"))
    assert (caught.value.code, caught.value.param) == ("unknown_field", "y")


@pytest.mark.parametrize(("operation", "list_name", "message"), [
    ("chat", "messages", {"role": "user", "content": "hi"}),
    ("responses", "input", {"role": "user", "content": "hi"}),
    ("messages", "messages", {"role": "user", "content": "hi"}),
    ("generate", "contents", {"role": "user", "parts": [{"text": "hi"}]}),
])
def test_what_applications_note_on_their_messages_stays_here(
    operation: str, list_name: str, message: dict[str, Any]
) -> None:
    notes = {"id": "canary", "userId": "canary", "session_id": "canary", "runId": "canary",
             "parentId": "canary", "trace_id": "canary", "deviceId": "canary", "ts": 7,
             "metadata": {"a": "canary"}, "updatedAt": "canary"}
    body = {"model": "m", "max_tokens": 5}
    noted = {**body, list_name: [{**notes, **message}]}
    assert sent(operation, noted) == sent(operation, {**body, list_name: [message]})
    assert f"{list_name}.userId" in dropped(operation, noted)


def test_numbers_that_name_nothing_stay() -> None:
    act = enum("NONE", "SOME")
    assert [act(value, walk()) for value in (0, 1, 2, -1, "SOME", True, 1.0)] == [
        "NONE", "SOME", 2, -1, "SOME", True, 1.0]
    assert kept_type(act) is str
