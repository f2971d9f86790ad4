"""What OpenAI's endpoints share, by itself."""

from __future__ import annotations

import json

import pytest

from relayd.core.errors import RelayError
from relayd.wire.body import SPLIT_BYTES_MIN, read
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.fields import GONE
from relayd.wire.known import Known
from relayd.wire.openai_tools import FORMAT, TOOLS, cache_retention, note_end_user, streaming
from relayd.wire.walk import MARKS, BodyPolicy, Walk
from tests.wire.asking import dropped, sent


def test_formats_of_both_endpoints() -> None:
    chat = {"json_schema": {"schema": {"type": "object", "$defs": {}}, "name": "n"}, "type": "t"}
    found = FORMAT.put(chat, Walk(BodyPolicy()))
    assert isinstance(found, dict) and list(found) == ["type", "json_schema"]
    assert list(found["json_schema"]) == ["name", "schema"]


def test_unknown_tools_pass_in_a_fixed_order() -> None:
    tools = [{"z": {"b": 1, "a": 2}, "type": "brand_new", "a": 1}]
    found = TOOLS(tools, Walk(BodyPolicy()))
    assert found == tools
    assert repr(found) == "[{'type': 'brand_new', 'a': 1, 'z': {'a': 2, 'b': 1}}]"


@pytest.mark.parametrize(("tool", "empty"), [
    ({"type": "function", "name": "f", "parameters": None, "strict": None},
     {"description": None, "output_schema": None, "allowed_callers": None,
      "defer_loading": None}),
    ({"type": "web_search"}, {"filters": None, "search_context_size": None}),
])
def test_a_tool_is_the_same_with_and_without_what_says_nothing(
    tool: dict[str, object], empty: dict[str, object]
) -> None:
    """What an SDK dumps of it names all that its type knows; two members have to be there."""
    assert TOOLS([{**empty, **tool}], Walk(BodyPolicy())) == [tool]


def test_so_is_a_function_of_chat() -> None:
    function = {"name": "f", "parameters": {"type": "object"}}
    empty = {"description": None, "strict": None}
    told = TOOLS([{"type": "function", "function": {**empty, **function}}], Walk(BodyPolicy()))
    assert told == [{"type": "function", "function": function}]


@pytest.mark.parametrize("kind", ["advisor", "fusion", "image_generation", "subagent"])
def test_no_other_model_is_asked(kind: str) -> None:
    function = {"type": "function", "function": {"name": "f"}}
    other = {"type": f"openrouter:{kind}", "parameters": {"model": "dear"}}
    walk = Walk(BodyPolicy())
    assert TOOLS([other, function], walk) == [function]
    assert walk.dropped == {f"tools.{kind}"}
    assert TOOLS([other], walk) is GONE
    assert TOOLS([], walk) == []


@pytest.mark.parametrize("kind", ["advisor", "fusion", "image_generation", "subagent"])
@pytest.mark.parametrize("operation", ["chat", "responses", "messages"])
def test_where_no_tool_is_left_no_choice_among_them_is(operation: str, kind: str) -> None:
    """Providers refuse one without tools, and the call is to go on without them."""
    said = {"model": "m", "max_tokens": 1, "input": "a", "messages": [
        {"role": "user", "content": "a"}], "tools": [{"type": f"openrouter:{kind}"}]}
    for auto in ("auto", "none", {"type": "auto"}, None):
        given = {**said, "tool_choice": auto, "parallel_tool_calls": True}
        assert {"tool_choice", "tools"}.isdisjoint(sent(operation, given))
        assert ("tool_choice" in dropped(operation, given)) == (auto is not None)
    assert operation == "messages" or "parallel_tool_calls" not in sent(operation, given)
    for demand in ("required", {"type": "any"}, {"type": "function", "name": "f"}):
        assert sent(operation, {**said, "tool_choice": demand})["tool_choice"] == demand
    mine = {**said, "tools": [], "tool_choice": "auto"}  # the client's own mistake
    assert sent(operation, mine).get("tool_choice") == "auto"


def test_it_is_so_of_what_an_account_has_sent_before() -> None:
    raw = json.dumps({
        "model": "m", "messages": [{"role": "user", "content": "a" * SPLIT_BYTES_MIN}],
        "tools": [{"type": "openrouter:fusion"}], "tool_choice": "auto"}).encode()
    policy = BodyPolicy()
    known = Known(policy, 64)
    for _ in range(3):
        ask = read(BY_OPERATION["chat"], raw, policy, known=known)
        assert set(ask.fields) == {"model", "messages"}
        assert set(ask.dropped) == {"tools.fusion", "tool_choice"}


def test_a_search_of_openrouter_s_is_told_no_place() -> None:
    place = {"user_location": {"type": "approximate", "city": "canary"}}
    search = {"type": "openrouter:web_search", "parameters": {"max_uses": 1, **place}, **place}
    walk = Walk(BodyPolicy())
    assert TOOLS([search], walk) == [
        {"type": "openrouter:web_search", "parameters": {"max_uses": 1}}]
    assert walk.dropped - MARKS == {"tools.parameters.user_location", "tools.user_location"}


@pytest.mark.parametrize(("value", "kept"), [("in_memory", "in_memory"), ("24h", GONE)])
def test_cache_retention(value: str, kept: object) -> None:
    assert cache_retention(value, Walk(BodyPolicy())) == kept


def test_an_end_user_is_a_text() -> None:
    with pytest.raises(RelayError) as caught:
        note_end_user({"name": "bob"}, Walk(BodyPolicy()))
    assert (caught.value.code, caught.value.param) == ("invalid_field", "user")


def test_stream_fields_come_last() -> None:
    walk = Walk(BodyPolicy())
    walk.stream = True
    fields: dict[str, object] = {"stream": True, "stream_options": {"x": 1}, "n": 1}
    streaming(fields, walk, with_usage=True)
    assert list(fields) == ["n", "stream", "stream_options"]
    assert fields["stream_options"] == {"include_usage": True, "x": 1}
