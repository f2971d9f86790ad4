"""The request body: one reading, one writing, the same bytes for the same JSON value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire.body import (
    DENSE_BYTES_MIN, DENSE_MIN, NESTING_MAX, TABLES, BodyPolicy, Dense, names_twice, read, write,
)
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.identity import Pseudonyms
from relayd.wire.known import Known
from relayd.wire.split import too_deep
from tests.wire.asking import KEY, ask, refusal, sent

CHAT = BY_OPERATION["chat"]
NAMES = Pseudonyms(KEY, "acct_1")
POLICY = BodyPolicy()


def wire(raw: bytes, operation: str = "chat") -> bytes:
    asked = read(BY_OPERATION[operation], raw, POLICY)
    return write(asked, asked.model, NAMES)


def chat(content: str) -> bytes:
    """A chat body whose content is the JSON text `content`."""
    return b'{"model":"m","messages":[{"role":"user","content":%b}]}' % content.encode(
        "utf-8", "surrogatepass")


def test_every_json_endpoint_has_a_table() -> None:
    assert set(TABLES) == {name for name, e in BY_OPERATION.items() if e.body == "json"}


@pytest.mark.parametrize("raw", [
    b"", b" ", b"{", b"{}x", b"[]", b'["model"]', b'"x"', b"null", b"1", b"\xef\xbb\xbf{}",
    b'{"model":"m","x":NaN}', b'{"x":Infinity}', b'{"x":1e400}', b'{"x":-1e999}', b'{"x":01}',
    b'{"x":"\xff"}', b'{"x":"\xed\xa0\x80"}', b"{'x':1}", b'{"x":1,}', b'{"x":"\n"}',
    b'\xff\xfe{\x00}\x00', b'{"x":"\\ud83d', b'{"\\ud83d":NaN}', b'{"x":' + b"9" * 5000 + b"}",
])
def test_what_is_not_one_json_object(raw: bytes) -> None:
    with pytest.raises(RelayError) as caught:
        read(CHAT, raw, POLICY)
    assert (caught.value.code, caught.value.param) == ("invalid_json", None)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("depth", [NESTING_MAX - 2, NESTING_MAX - 1, 900, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
@pytest.mark.parametrize("tail", ["", ',"\\ud83d"'])
def test_nesting_is_bounded(depth: int, brackets: tuple[str, str], tail: str) -> None:
    pairs = depth // len(brackets[1])
    nested = brackets[0] * pairs + "1" + brackets[1] * pairs
    raw = b'{"model":"m","messages":[%b%b]}' % (nested.encode(), tail.encode())
    fits = pairs * len(brackets[1]) + 2 <= NESTING_MAX
    if fits:
        assert json.loads(wire(raw))["messages"] == json.loads(raw)["messages"]
    else:
        assert refusal("chat", raw) == ("invalid_json", None)


@pytest.mark.parametrize(("named", "error"), [
    ("absent", "missing_model"), (None, "missing_model"), ("", "missing_model"),
    (7, "invalid_field"), (["m"], "invalid_field"), ("a b", "invalid_field"),
    ("m\r\nx: y", "invalid_field"), ("../x", "invalid_field"), ("x" * 300, "invalid_field"),
    ("~", "invalid_field"), ("~/x", "invalid_field"), ("@@x", "invalid_field"),
    ("~" + "x" * 256, "invalid_field"),
])
def test_the_model_is_a_plain_name(named: object, error: str) -> None:
    raw = {"messages": []} if named == "absent" else {"messages": [], "model": named}
    assert refusal("chat", raw) == (error, "model")


@pytest.mark.parametrize("named", ["~maker/model-latest", "@cf/maker/model-8b", "maker/m@q4"])
def test_vendors_have_names_of_their_own(named: str) -> None:
    assert ask("chat", {"messages": [], "model": named}).model == named


def test_a_path_has_the_model_of_gemini() -> None:
    endpoint = BY_OPERATION["generate"]
    assert read(endpoint, b"{}", POLICY, "gemini-x").model == "gemini-x"
    with pytest.raises(RelayError) as caught:
        read(endpoint, b"{}", POLICY)
    assert caught.value.code == "missing_model"


@pytest.mark.parametrize(("given_", "wanted"), [
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("-18446744073709551617", "-18446744073709551617"),
    ("0.10", "0.1"), ("1E2", "100.0"), ("1e-400", "0.0"), ("-0.0", "-0.0"), ("1.0", "1.0"),
    ("0.1234567890123456789012345", "0.12345678901234568"), ("1e22", "1e22"),
    ('"\\u0041\\/\\n\\u0007"', '"A/\\n\\u0007"'), ('"\\ud83d\\ude00"', '"😀"'),
    ('"\\u0000"', '"\\u0000"'), ('"é\\u2028"', '"é\u2028"'),
    ('"\\uD83D"', '"\\ud83d"'), ('"a\\udc00😀"', '"a\\udc00😀"'),
    ('{"a":1,"b":2,"a":3}', '{"a":3,"b":2}'),
])
def test_values_and_characters(given_: str, wanted: str) -> None:
    raw = b'{"model":"m","messages":[],"functions":[{"name":[%b]}]}' % given_.encode()
    expected = b'{"model":"m","messages":[],"functions":[{"name":[%b]}]}'
    assert wire(raw) == expected % wanted.encode()


def test_a_lone_surrogate_changes_nothing_else() -> None:
    plain = wire(chat('["x", 1e5, 12345678901234567890123, "é\\u0001\\/", null, true, {"k": []}]'))
    lone = wire(chat('["x", 1e5, 12345678901234567890123, "é\\u0001\\/", null, true, {"k": []}, '
                     '"\\udfff"]'))
    assert lone == plain.replace(b'{"k":[]}]', b'{"k":[]},"\\udfff"]')


def test_the_model_and_the_pseudonyms_are_those_of_the_attempt() -> None:
    asked = ask("chat", {"model": "m", "messages": [], "prompt_cache_key": "k"})
    first = write(asked, "first", Pseudonyms(b"1" * 32, "acct_1"))
    second = write(asked, "second", Pseudonyms(b"2" * 32, "acct_1"))
    assert first.startswith(b'{"model":"first",') and second.startswith(b'{"model":"second",')
    keys = [json.loads(raw)["prompt_cache_key"] for raw in (first, second)]
    assert keys[0] != keys[1] and list(json.loads(first)) == list(json.loads(second))
    none = json.loads(write(asked, "m", Pseudonyms(b"1" * 32, "acct_1", "absent", "absent")))
    assert "prompt_cache_key" not in none


@pytest.mark.parametrize(("options", "wanted"), [
    (None, None), ({"include_usage": True}, {"include_usage": True}),
    ({"include_obfuscation": False}, {"include_obfuscation": False}),
])
def test_a_provider_may_not_know_the_usage_option(options: object, wanted: object) -> None:
    asked = ask("chat", {"model": "m", "messages": [], "stream": True, "stream_options": options})
    told = json.loads(write(asked, "m", NAMES, stream_usage=False))
    assert told.get("stream_options") == wanted
    assert "include_usage" in json.loads(write(asked, "m", NAMES))["stream_options"]


@pytest.mark.parametrize("options", [5, "text", [1]])
def test_an_option_that_no_table_knows_may_be_anything(options: object) -> None:
    raw = json.dumps({"model": "m", "messages": [], "stream_options": options}).encode()
    asked = read(BY_OPERATION["messages"], raw, BodyPolicy(unknown_fields="pass"))
    for stream_usage in (True, False):
        told = json.loads(write(asked, "m", NAMES, stream_usage=stream_usage))
        assert told["stream_options"] == options


def test_a_provider_that_keeps_chats_is_told_not_to() -> None:
    asked = ask("chat", {"model": "m", "messages": ["\ud83d"], "store": True})
    assert write(asked, "m", NAMES, unstored=True) == (
        b'{"model":"m","messages":["\\ud83d"],"store":false}')


@pytest.mark.parametrize(("raw", "twice"), [
    (b'{"a":1,"b":{"a":1}}', False), (b'{"a":1,"a":1}', True),
    (b'{"x":[{"a":1,"\\u0061":2}]}', True),
])
def test_members_named_twice(raw: bytes, twice: bool) -> None:
    assert names_twice(raw) is twice


def test_nothing_of_the_body_is_in_a_repr_or_an_error() -> None:
    assert repr(ask("chat", {"model": "m", "messages": ["canary"]})) == "Ask(...)"
    for raw in (b'{"canary', b'{"canary":"\xff"}', b'{"model":"canary \\ud83d"}',
                b'{"model":"m","previous_response_id":"canary"}',
                b'{"model":"m","stream":"canary"}'):
        with pytest.raises(RelayError) as caught:
            read(BY_OPERATION["responses"], raw, POLICY)
        error = caught.value
        assert "canary" not in f"{error!r} {error} {error.param} {error.kind}"
        assert error.__context__ is None and error.__cause__ is None


TEXT = st.text(max_size=6)
FREE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXT,
              st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3),
                            st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
PROPERTY = st.fixed_dictionaries({}, optional={
    "type": st.just("string"), "description": TEXT, "enum": st.lists(TEXT), "default": FREE,
    "minimum": st.sampled_from([0, 0.5]), "x-own": FREE,
})
TOOL = st.fixed_dictionaries({
    "name": TEXT,
    "input_schema": st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(TEXT, PROPERTY, max_size=3)},
        optional={"required": st.lists(TEXT), "additionalProperties": st.booleans(),
                  "$defs": st.dictionaries(TEXT, PROPERTY, max_size=2)}),
}, optional={"description": TEXT, "cache_control": st.just({"ttl": "1h", "type": "ephemeral"})})
BLOCK = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
    st.fixed_dictionaries({"type": st.just("tool_use"), "id": TEXT, "name": TEXT, "input": FREE}),
    st.fixed_dictionaries({"type": st.just("tool_result"), "tool_use_id": TEXT, "content":
                           st.lists(st.fixed_dictionaries({"type": st.just("text"),
                                                           "text": TEXT}), max_size=2)}),
)
MESSAGES = st.fixed_dictionaries({
    "model": st.just("claude-x"),
    "max_tokens": st.integers(1, 9),
    "messages": st.lists(st.fixed_dictionaries({
        "role": st.sampled_from(["user", "assistant"]),
        "content": st.one_of(TEXT, st.lists(BLOCK, max_size=3)),
    }), max_size=3),
}, optional={
    "tools": st.lists(TOOL, min_size=1, max_size=2), "temperature": st.sampled_from([0, 1, 0.5]),
    "thinking": st.just({"type": "enabled", "budget_tokens": 1024}),
    "stream": st.just(True),
})
CONTENT = frozenset({"properties", "$defs"})
KEPT = frozenset({"input", "default", "enum", "required"})


def respelled(value: object, draw: Any, kept: bool = False, members: bool = False) -> str:
    """`value` as JSON text in another spelling: order of structure's keys, space, escapes."""
    gap = draw(st.sampled_from(["", " ", "\n\t"]))
    if isinstance(value, dict):
        keys = list(value) if kept or members else draw(st.permutations(list(value)))
        pairs = [
            respelled(key, draw) + ":" + respelled(
                value[key], draw, kept or (not members and key in KEPT),
                not kept and not members and key in CONTENT)
            for key in keys]
        return "{" + gap + ("," + gap).join(pairs) + gap + "}"
    if isinstance(value, list):
        return "[" + ("," + gap).join(respelled(inner, draw, kept) for inner in value) + gap + "]"
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    if isinstance(value, str) and draw(st.booleans()):
        text = '"' + "".join(f"\\u{ord(c):04X}" if c.isalpha() and ord(c) < 65536 else
                             json.dumps(c)[1:-1] for c in value) + '"'
    return text


@settings(deadline=None, max_examples=150)
@given(MESSAGES, st.data())
def test_spelling_leaves_no_trace(value: dict[str, Any], data: Any) -> None:
    plain = wire(json.dumps(value).encode(), "messages")
    other = wire(respelled(value, data.draw).encode("utf-8", "surrogatepass"), "messages")
    assert plain == other
    assert json.loads(plain) == value


@given(MESSAGES)
def test_writing_twice_changes_nothing(value: dict[str, Any]) -> None:
    once = wire(json.dumps(value).encode(), "messages")
    assert wire(once, "messages") == once


@given(FREE)
def test_arguments_are_not_touched(value: object) -> None:
    block = {"type": "tool_use", "id": "t", "name": "n", "input": value}
    raw = {"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [block]}]}
    found = wire(json.dumps(raw).encode(), "messages")
    inner = json.loads(found)["messages"][0]["content"][0]["input"]
    assert json.dumps(inner) == json.dumps(value)


IDENTITY = st.dictionaries(
    st.text(min_size=1, max_size=12).filter(lambda n: n not in TABLES["chat"].names.verdicts),
    FREE, max_size=4)


@given(IDENTITY, st.fixed_dictionaries({}, optional={
    "user": st.text(min_size=1), "safety_identifier": TEXT, "metadata": FREE, "store": FREE,
}))
def test_identity_fields_leave_no_trace(unknown: dict[str, Any], known: dict[str, Any]) -> None:
    plain: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert sent("chat", {**unknown, **plain, **known}) == sent("chat", plain)
    report = ask("chat", {**unknown, **plain, **known}).dropped
    assert list(report) == sorted(report) and all(name.isascii() for name in report)


def test_depth_costs_no_stack() -> None:
    deep: dict[str, object] = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert too_deep(deep, NESTING_MAX)


@pytest.mark.parametrize(("element", "is_dense"), [
    (b"[]", True), (b"{}", True), (b'{"a":1}', True), (b'{"type":"text","text":"said"}', True),
    (b'"said"', False), (b"1", False), (b'"%b"' % (b"Some {prose}, as it says. " * 40), False),
])
@pytest.mark.parametrize("remembers", [False, True])
def test_a_dense_body_is_not_read_where_that_has_to_be_brief(
    element: bytes, is_dense: bool, remembers: bool
) -> None:
    raw = b'{"model":"m","messages":[{"role":"user","content":[%b]}]}' % b",".join(
        [element] * (600_000 // len(element)))
    known = Known(POLICY, NESTING_MAX - 2) if remembers else None
    for _ in range(3):
        if is_dense:
            with pytest.raises(Dense):
                read(CHAT, raw, POLICY, None, known, True)
        else:
            assert read(CHAT, raw, POLICY, None, known, True).model == "m"
    assert read(CHAT, raw, POLICY).model == "m"


def test_a_dense_body_that_is_known_is_read() -> None:
    """What stands between its beginning and its end decides."""
    one = b'{"role":"user","content":[%b]}' % b",".join([b"[]"] * (2 * DENSE_MIN))
    known = Known(POLICY, NESTING_MAX - 2, 1 << 21)
    raw = b'{"model":"m","messages":[%b,%b]}'
    for _ in range(2):
        read(CHAT, raw % (one, b"1"), POLICY, None, known)
    assert len(raw % (one, one)) > DENSE_BYTES_MIN
    assert read(CHAT, raw % (one, b"2"), POLICY, None, known, True).model == "m"
    with pytest.raises(Dense):
        read(CHAT, raw % (one, one.replace(b"user", b"system")), POLICY, None, known, True)
