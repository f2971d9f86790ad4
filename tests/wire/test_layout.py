"""What a conversation's next body repeats goes on unread, and comes to the same as if read."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.wire import body
from relayd.wire.body import ELEMENTS_MAX, SPLITS, read
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.known import Known
from relayd.wire.layout import MORE_MAX, Layout
from relayd.wire.spliced import Run, one_by_one
from relayd.wire.walk import BodyPolicy
from tests.wire.test_body import MESSAGES, respelled
from tests.wire.test_known import POLICY, compact, known, outcome

PROPERTIES = settings(deadline=None, max_examples=150, suppress_health_check=[
    HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(autouse=True)
def _short_bodies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SPLIT_BYTES_MIN", 0)


def said(number: int, mark: bool = False) -> dict[str, Any]:
    """A message of its own, in a client's order of members."""
    block = {"type": "text", "text": f"said {number} " + "word " * 20}
    if mark:
        block["cache_control"] = {"type": "ephemeral"}  # type: ignore[assignment]
    return {"content": [block], "role": "user"} if number % 2 else {
        "role": "assistant", "content": [block]}


def claude(messages: list[dict[str, Any]], turn: int = 0) -> bytes:
    """A body as Claude Code writes it: its first system block is another each turn."""
    return compact({
        "model": "claude-x", "messages": messages,
        "system": [{"type": "text", "text": f"x-anthropic-billing-header: cch={turn};"},
                   {"type": "text", "text": "You are an agent. " * 20}],
        "tools": [{"description": "reads " * 40, "name": "Read", "input_schema": {
            "type": "object", "properties": {"b": {"description": "x", "type": "string"}}}}],
        "metadata": {"user_id": "u"}, "max_tokens": 100, "stream": True,
    })


def runs(raw: bytes, memory: Known, operation: str = "messages") -> int:
    """How many elements of a body are not looked at."""
    fields = read(BY_OPERATION[operation], raw, POLICY, "gemini-x", memory).fields
    return sum(len(one.tags) for value in fields.values() if isinstance(value, list)
               for one in value if isinstance(one, Run))


def once(raw: bytes, memory: Known, operation: str = "messages",
         policy: BodyPolicy = POLICY) -> None:
    """The same as without a memory, at the first look."""
    assert outcome(operation, raw, memory, policy) == outcome(operation, raw, None, policy)


def test_the_next_turn_is_not_looked_into() -> None:
    memory = known()
    for turn in range(30):
        raw = claude([said(number) for number in range(2 * turn + 1)], turn)
        once(raw, memory)
    # all but what was new in this turn and the one before, and the block that is another
    assert runs(raw, memory) >= 59 - 4 + 2
    assert len(memory.layouts) == 1


def test_a_mark_that_moves_on_costs_its_own_messages_alone() -> None:
    memory = known()
    for turn in range(30):
        count = 2 * turn + 3
        raw = claude([said(number, mark=number >= count - 3) for number in range(count)], turn)
        once(raw, memory)
    assert runs(raw, memory) >= 61 - 8
    assert len(memory.layouts) == 1


CHAT = {"model": "m", "messages": [
    {"role": "system", "content": "be brief " * 20}, {"role": "user", "content": "one " * 20}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}


@pytest.mark.parametrize(("operation", "value", "grows", "more"), [
    ("chat", CHAT, "messages", {"content": "more", "role": "user", "user_id": "u"}),
    ("chat", {"tools": CHAT["tools"], "messages": CHAT["messages"], "model": "m", "stream": True},
     "messages", {"role": "assistant", "content": "more"}),
    ("responses", {"model": "m", "instructions": "be brief " * 20, "input": [
        {"type": "message", "role": "user", "id": "msg_1", "content": "hi " * 20}],
        "tools": [], "stream": True}, "input", {"id": "x", "type": "reasoning", "summary": []}),
    ("generate", {"contents": [{"parts": [{"text": "hi " * 30}], "role": "user"}],
                  "systemInstruction": {"parts": [{"text": "be brief"}], "role": "user"},
                  "tools": [{"functionDeclarations": [{"description": "d", "name": "n"}]}]},
     "contents", {"parts": [{"text": "more"}], "role": "model"}),
    ("count_tokens", {"model": "m", "messages": [said(0), said(1)]}, "messages", said(2)),
])
def test_every_dialect(operation: str, value: dict[str, Any], grows: str,
                       more: dict[str, Any]) -> None:
    memory = known()
    for count in range(12):
        raw = compact({**value, grows: value[grows] + [more] * count})
        once(raw, memory, operation)
    assert runs(raw, memory, operation) >= len(value[grows]) + count - 2
    asked = read(BY_OPERATION[operation], raw, POLICY, "gemini-x", memory)
    plain = read(BY_OPERATION[operation], raw, POLICY, "gemini-x")
    for name, found in asked.fields.items():
        listed = [one if isinstance(one, (str, dict)) else one.value()
                  for one in one_by_one(found)]
        assert not listed or listed == plain.fields[name]


MIDDLES = [
    b"", b",", b",]", b",1", b",1,", b" ,1", b", 1", b",1 ", b",{}", b",{\"a\":1", b",{\"a\":[1",
    b",\"x", b",\"\\ud83d\"", b",\"\xff\"", b",1e999", b"]", b",[1]", b",[", b"1", b",,1",
    b'],"system":[', b'],"system":[1', b',1],"system":[1', b',1],"system":[1,', b',],"system":[1',
    b'],"system":[1]', b'],"stream":true,"system":[1', b'],"messages":[1', b'],"model":[1',
    b'],"tools":[1', b'],"system":[1],"tools":[1', b'],"system":{"a":[1', b'],"system":[[1',
    b'],"system":["a","b"', b'] ,"system":[1', b'],"sy\\u0073tem":[1', b'}],"system":[1',
    b'],"system":[{"type":"text","text":"x-anthropic-billing-header: a"},1',
    b',{"role":"user","content":[{"type":"container_upload","file_id":"f"}]},2',
]


@pytest.mark.parametrize("own_block", [False, True])
@pytest.mark.parametrize("middle", MIDDLES)
def test_whatever_stands_between_beginning_and_end(middle: bytes, own_block: bool) -> None:
    raw = claude([said(0), said(1)], 7)
    if not own_block:
        raw = re.sub(rb'{"type":"text","text":"x-anthropic[^}]*},', b"", raw)
    memory = known()
    for _ in range(3):
        once(raw, memory)
    match = memory.layouts.find("messages", raw)
    assert match is not None and len(match.layout.opens) == 1 + own_block
    torn = raw[:match._end] + middle + raw[match._start:]
    again = memory.layouts.find("messages", torn)
    assert again is not None and again.layout is match.layout
    once(torn, memory)
    once(raw, memory)


EDIT = st.sampled_from(["add", "add", "add", "add two", "edit", "shorten", "reorder", "system",
                        "drop"])
SPELLING = st.sampled_from(["", "", "", "respell", "twice", "space", "tear"])


def edited(value: dict[str, Any], edit: str, draw: Any) -> dict[str, Any]:
    """The conversation after an edit."""
    messages = list(value.get("messages", []))
    at = draw(st.integers(0, max(len(messages) - 1, 0)))
    more = draw(MESSAGES)["messages"]
    if edit in ("add", "add two"):
        messages += more[:1 + (edit == "add two")]
    elif edit == "edit":
        messages[at:at + 1] = more
    elif edit == "shorten":
        messages = messages[:at]
    value = {**value, "messages": messages}
    if edit == "system":
        value["system"] = [{"type": "text", "text": f"x-anthropic-billing-header: {at}"},
                           {"text": "rest", "type": "text"}]
    elif edit == "drop":
        value["messages"] = [{**message, "user_id": "u"} for message in messages]
    elif edit == "reorder":
        value = {name: value[name] for name in draw(st.permutations(list(value)))}
    return value


def spelled(value: dict[str, Any], spelling: str, draw: Any) -> bytes:
    """A conversation's body, perhaps in another spelling, or damaged."""
    raw = compact(value)
    if spelling == "respell":
        raw = respelled(value, draw).encode("utf-8", "surrogatepass")
    elif spelling == "twice":
        raw = raw[:-1] + b',"messages":[]}'
    elif spelling == "space":
        raw = raw[:-1] + b" }"
    elif spelling == "tear":
        start = draw(st.integers(0, len(raw)))
        raw = raw[:start] + draw(st.binary(max_size=3)) + raw[start + draw(st.integers(0, 9)):]
    return raw


@PROPERTIES
@given(MESSAGES, st.lists(EDIT, min_size=3, max_size=14), st.data())
def test_any_conversation_comes_to_the_same(value: dict[str, Any], edits: list[str],
                                            data: Any) -> None:
    memory = known()
    value["messages"] = [said(0), said(1), *value["messages"]]
    for edit in edits:
        value = edited(value, edit, data.draw)
        once(spelled(value, data.draw(SPELLING), data.draw), memory)


@PROPERTIES
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=30), st.booleans())
def test_branches_of_conversations_come_to_the_same(turns: list[tuple[int, int]],
                                                    marked: bool) -> None:
    """Conversations that begin alike, go on in turns, and go back."""
    memory = known()
    for branch, count in turns:
        messages = [said(number if number < 3 else 100 * branch + number,
                         marked and number > count - 2) for number in range(count)]
        once(claude(messages, branch), memory)


def test_a_conversation_that_grows_is_not_hashed_over_and_over() -> None:
    hashed = 0

    def mac(view: memoryview) -> int:
        nonlocal hashed
        hashed += len(view)
        return hash(bytes(view))

    memory, sent = Known(POLICY, 254, mac=mac), 0
    for turn in range(100):
        raw = claude([said(number) for number in range(2 * turn + 1)])
        sent += len(raw)
        once(raw, memory)
        for bucket in memory.layouts._buckets.values():
            assert all(len(layout.more) <= MORE_MAX for layout in bucket)
    assert hashed < 1.5 * sent


def test_another_hash_knows_nothing() -> None:
    layouts = known().layouts
    memory = known()
    raw = claude([said(0), said(1)])
    for _ in range(2):
        once(raw, memory)
    (found,) = next(iter(memory.layouts._buckets.values()))
    assert isinstance(found, Layout)
    assert found.match(raw, hash) is not None
    assert found.match(raw, lambda part: hash(part) + 1) is None
    assert layouts.find("messages", raw) is None


@pytest.mark.parametrize("turns", [2, 3, 6])
def test_another_element_of_the_same_length_is_not_taken_for_the_known_one(turns: int) -> None:
    """Wherever it stands: in the beginning, in what was added to it turn by turn, in the end."""
    messages = [said(number) for number in range(2 * turns)]
    whole = claude(messages)
    for place, message in enumerate(messages):
        memory = known()
        for turn in range(turns):
            once(claude(messages[:2 * turn + 2]), memory)
        assert turns < 3 or any(
            layout.more for bucket in memory.layouts._buckets.values() for layout in bucket)
        backwards = dict(reversed(message.items()))
        other = claude([*messages[:place], backwards, *messages[place + 1:]])
        assert len(other) == len(whole) and other != whole
        once(other, memory)
        once(whole, memory)
    memory = known()
    for turn in range(turns):
        once(claude(messages[:2 * turn + 2]), memory)
    tool = b'"description":"x","type":"string"'
    assert whole.count(tool) == 1
    once(whole.replace(tool, b'"type":"string","description":"x"'), memory)


def test_more_elements_than_are_taken_apart_are_read_whole() -> None:
    memory = Known(POLICY, 254, 1 << 21)
    counts = []
    for count in (ELEMENTS_MAX - 4, ELEMENTS_MAX - 3, ELEMENTS_MAX - 2, ELEMENTS_MAX + 1):
        raw = claude([said(number) for number in range(count)])
        for _ in range(4):
            once(raw, memory)
        counts.append(runs(raw, memory))
    assert counts[0] > ELEMENTS_MAX - 8 and counts[-1] == 0


def test_nothing_of_a_body_is_kept() -> None:
    memory = known()
    for turn in range(20):
        once(claude([{**said(number), "user_id": "u"} for number in range(turn)], turn), memory)
    kept = repr([(key, [(layout.base, layout.more, layout.tail, layout.opens, layout.sample)
                        for layout in bucket])
                 for key, bucket in memory.layouts._buckets.items()])
    words = set(re.findall(r"[A-Za-z_.]{2,}", kept))
    tables = set(SPLITS["messages"].take(claude([])) or ()) | {"messages.user_id"}
    assert words <= tables | {
        "Stretch", "Cut", "slice", "None", "False", "True", "frozenset", "size", "mac", "reads",
        "cuts", "array", "pieces", "tags", "sizes", "tag", "names", "alone", "cost"}
    assert repr(Run(b"canary", (1,), (6,), 1)) == "Run(...)"
