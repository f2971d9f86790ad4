"""What was sent before goes on unread: the same bytes, the same checks, nobody else's memory."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.wire import body
from relayd.wire import known as module
from relayd.wire.body import ELEMENTS_MAX, LISTS, NESTING_MAX, WHOLE, read, write
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.fields import GONE
from relayd.wire.identity import Pseudonyms
from relayd.wire.known import (
    CUTS_MAX, ENTRY_BYTES, FAR_BYTES_MAX, IDLE_MAX, PIECES_MAX, PROBE_BYTES, Elements, Known,
    pieces_of,
)
from relayd.wire.spliced import Run, Spliced
from relayd.wire.stretch import pieced
from relayd.wire.walk import BodyPolicy, Walk
from tests.wire.test_body import FREE, MESSAGES, respelled

POLICY = BodyPolicy()
NAMES = Pseudonyms(b"k" * 32, "acct_1")
LEVELS = NESTING_MAX - 2


@pytest.fixture(autouse=True)
def _short_bodies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "SPLIT_BYTES_MIN", 0)


def of(elements: Elements, account: str, policy: BodyPolicy, api: str = "openai") -> Known:
    memory = elements.of(account, api, policy)
    assert memory is not None
    return memory


def known(policy: BodyPolicy = POLICY) -> Known:
    return Known(policy, LEVELS)


def outcome(operation: str, raw: bytes, memory: Known | None,
            policy: BodyPolicy = POLICY) -> tuple[object, ...]:
    """All that a body comes to: what is sent and told, or the error."""
    try:
        asked = read(BY_OPERATION[operation], raw, policy, "gemini-x", memory)
    except RelayError as error:
        assert error.__context__ is None
        return error.code, error.param
    return (write(asked, "deployed", NAMES), write(asked, "other", NAMES, stream_usage=False),
            asked.model, asked.stream, asked.dropped, asked.usage_asked, asked.stand_ins)


def same(operation: str, raw: bytes, memory: Known, policy: BodyPolicy = POLICY) -> None:
    plain = outcome(operation, raw, None, policy)
    for _ in range(3):
        assert outcome(operation, raw, memory, policy) == plain


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass")


def element(text: bytes, memory: Known, act: Any = None) -> Any:
    return memory.take(text, act, Walk(POLICY, memory))


CHAT = b'{"model":"m","messages":[%b]}'
DEEP = b'{"role":"user","content":' + b"[" * 254 + b"]" * 254 + b"}"
BODIES: list[tuple[str, bytes]] = [
    ("chat", CHAT % b'{"role":"user","content":"hi"},{"content":"x","role":"user"}'),
    ("chat", CHAT % b'{"role":"user","content":"a","content":"b"}'),
    ("chat", CHAT % b'{"role":"user","content":"\\ud83d"}'),
    ("chat", CHAT % b'{"role":"user","content":"\xff"}'),
    ("chat", CHAT % b'{"role":"user","content":"\\u00e9\\u0041\\/"}'),
    ("chat", CHAT % b'{"role":"user","content":1E2},{"role":"user","content":1e999}'),
    ("chat", CHAT % b'{"role":"user","content":12345678901234567890123,"n":0.10,"m":-0.0}'),
    ("chat", CHAT % b'{ "role":"user","content":"hi"}'),
    ("chat", CHAT % b'{"role":"user"},"text",7,null,[1,[2]]'),
    ("chat", CHAT % DEEP),
    ("chat", CHAT % DEEP.replace(b"[[", b"[", 1).replace(b"]]", b"]", 1)),
    ("chat", CHAT % b'{"role":"user","content":"x","user_id":"u","session_id":"s"}'),
    ("chat", CHAT % b'{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}'),
    ("chat", CHAT % b'{"role":"user","zz":{"b":1,"a":2},"content":"x"}'),
    ("chat", b'{"model":"m","messages":[],"tools":[{"type":"mcp","server_url":"https://x"}]}'),
    ("chat", b'{"model":"m","messages":{"role":"user"}}'),
    ("chat", b'{"model":"m","messages":"text","messages":[]}'),
    ("chat", b'{"model":"m","model":"n","messages":[]}'),
    ("chat", b'{"model":7,"messages":[]}'),
    ("chat", b'{"model":"m","messages":[],"stream":"yes"}'),
    ("chat", b'{"model":"m","messages":[],"user":"bob","metadata":{"a":1},"own":1}'),
    ("chat", b'{"model":"m","messages":[],"metadata":%b1%b}' % (b"[" * 300, b"]" * 300)),
    ("messages", b'{"model":"m","system":[{"type":"text","text":"x-anthropic-billing-header: a"},'
                 b'{"type":"text","text":"rest"}],"messages":[]}'),
    ("messages", b'{"model":"m","system":[{"type":"text","text":'
                 b'"x-anthropic-billing-header: a"}]}'),
    ("messages", b'{"model":"m","system":[{"text":"x-anthropic-billing-header: a","type":"text"},'
                 b'{"text":"x-anthropic-billing-header: b","type":"text"}],"messages":[]}'),
    ("messages", b'{"model":"m","system":[{]}'),
    ("messages", b'{"model":"m","messages":[{"role":"user","content":[{"type":"container_upload"'
                 b',"file_id":"f"}]}]}'),
    ("responses", b'{"model":"m","instructions":"be \\u0068elpful","input":[{"id":"msg_1","type":'
                  b'"message","role":"user","content":"hi"}],"tools":[]}'),
    ("responses", b'{"model":"m","input":[{"type":"item_reference","id":"x"}]}'),
    ("responses", b'{"model":"m","instructions":{"a":1},"input":"text"}'),
    ("responses", b'{"model":"m","instructions":null,"input":[{"role":"user","content":"hi"}]}'),
    ("generate", b'{"systemInstruction":null,"contents":[{"role":"user"}]}'),
    ("generate", b'{"systemInstruction":{"role":"user","parts":{"text":"t"}},"contents":[{"parts":'
                 b'[{"text":"hi"}],"role":"user"}],"tools":[]}'),
    ("generate", b'{"system_instruction":{"parts":[]},"contents":[{"role":"user"}]}'),
    ("generate", b'{"contents":[{"role":"user","parts":[{"file_data":'
                 b'{"file_uri":"gs://b/o"}}]}]}'),
    ("count", b'{"contents":[{"parts":[{"text":"hi"}]}],"generateContentRequest":'
              b'{"contents":[{"parts":[{"text":"hi"}]}]}}'),
]


@pytest.mark.parametrize(("operation", "raw"), BODIES)
def test_a_body_comes_to_the_same(operation: str, raw: bytes) -> None:
    same(operation, raw, known())


def test_a_body_comes_to_the_same_after_all_others() -> None:
    memory = known()
    for operation, raw in BODIES:
        outcome(operation, raw, memory)
    for operation, raw in BODIES:
        same(operation, raw, memory)


@pytest.mark.parametrize(("operation", "name"), [
    (operation, name) for operation, names in LISTS.items()
    for name in (*names, *(WHOLE & set(body.TABLES[operation].names.verdicts)))
])
def test_what_is_long_is_known(operation: str, name: str) -> None:
    """Each list is acted on by what takes texts: none reaches the encoder, each is remembered."""
    value: object = {"role": "user"} if name in WHOLE else [{"type": "text", "name": "n"}]
    memory = known()
    raw = compact({name: value} if operation.endswith(("generate", "count")) else
                  {"model": "m", name: value})
    same(operation, raw, memory)
    asked = read(BY_OPERATION[operation], raw, POLICY, "gemini-x", memory)
    found: Any = asked.fields[name]
    assert len(memory) == 1
    assert type(found if name in WHOLE else found[0]) in (Spliced, Run)


@settings(deadline=None, max_examples=150)
@given(MESSAGES, st.data())
def test_any_spelling_comes_to_the_same(value: dict[str, Any], data: Any) -> None:
    memory = known()
    same("messages", compact(value), memory)
    same("messages", respelled(value, data.draw).encode("utf-8", "surrogatepass"), memory)
    same("count_tokens", compact(value), memory)


@settings(deadline=None, max_examples=200)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.data())
def test_any_damage_comes_to_the_same(values: list[dict[str, Any]], data: Any) -> None:
    """Bytes cut out, moved and put in, over a memory that holds what was whole."""
    memory = known()
    for value in values:
        same("messages", compact(value), memory)
    raw = compact(values[0])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(raw)))
        end = data.draw(st.integers(start, min(len(raw), start + 40)))
        piece = data.draw(st.one_of(st.binary(max_size=4), st.just(raw[start:end] * 2),
                                    st.sampled_from([b",", b"{}", b'"a":1', b"]", b"[", b" "])))
        raw = raw[:start] + piece + raw[end:]
    same("messages", raw, memory)


@settings(deadline=None)
@given(st.lists(st.one_of(FREE, st.dictionaries(
    st.sampled_from(["role", "content", "id", "name", "parts", "text", "type"]), FREE)),
    max_size=4), st.sampled_from(["chat", "responses", "generate"]))
def test_any_elements_come_to_the_same(elements: list[Any], operation: str) -> None:
    name = LISTS[operation][0]
    memory = known()
    raw: dict[str, Any] = {} if operation == "generate" else {"model": "m"}
    for count in range(len(elements) + 1):
        same(operation, compact({**raw, name: elements[:count]}), memory)


def test_a_known_element_is_not_read() -> None:
    seen: list[object] = []

    def act(value: object, walk: Walk) -> object:
        seen.append(value)
        return value

    memory = known()
    text = b'{"a":1}'
    assert element(text, memory, act).value() == {"a": 1}
    later = element(text, memory, act)
    assert (later.text, later.value(), len(seen)) == (text, {"a": 1}, 1)
    assert later.tag == element(b'{"a":1}', memory, act).tag
    assert later.tag != element(b'{"a":2}', memory, act).tag


def test_another_act_reads_it_again() -> None:
    memory = known()
    element(b'{"a":1}', memory, lambda value, walk: value)

    def refuse(value: object, walk: Walk) -> object:
        raise RelayError("refused_field", param="a")

    for _ in range(2):
        with pytest.raises(RelayError):
            element(b'{"a":1}', memory, refuse)


def test_an_element_that_goes_is_not_kept() -> None:
    memory = known()
    for _ in range(2):
        assert element(b'{"a":1}', memory, lambda value, walk: GONE) is GONE
    assert not len(memory)


def test_names_are_told_each_time() -> None:
    memory = known()
    raw = CHAT % b'{"role":"user","content":"x","user_id":"u"}'
    for _ in range(2):
        asked = read(BY_OPERATION["chat"], raw, POLICY, None, memory)
        assert asked.dropped == ("messages.user_id",)


def test_another_policy_has_another_memory() -> None:
    elements = Elements(LEVELS)
    lax = BodyPolicy(remote_mcp="on")
    raw = b'{"model":"m","messages":[],"tools":[{"type":"mcp","server_url":"https://x"}]}'
    same("chat", raw, of(elements, "a", lax), lax)
    assert len(of(elements, "a", lax)) == 1
    assert outcome("chat", raw, of(elements, "a", POLICY)) == (
        "refused_field", "tools.mcp")
    equal = elements.of("a", "openai", BodyPolicy())
    assert elements.of("a", "openai", POLICY) is equal


def test_accounts_and_apis_have_their_own_and_the_last_ones_stay() -> None:
    elements = Elements(LEVELS, accounts_max=3)
    first = elements.of("a", "openai", POLICY)
    others = [elements.of("a", "gemini", POLICY), elements.of("b", "openai", POLICY)]
    assert first is not others[0] is not others[1]
    assert elements.of("a", "openai", POLICY) is first
    elements.of("c", "openai", POLICY)
    assert elements.of("a", "openai", POLICY) is first
    assert elements.of("a", "gemini", POLICY) is not others[0]


def test_who_sends_nothing_twice_is_left_alone() -> None:
    elements = Elements(LEVELS)
    taken = 0
    for number in range(100):
        memory = elements.of("a", "openai", POLICY)
        if memory is not None:
            taken += 1
            element(b"%d" % number, memory)
    assert taken == IDLE_MAX + 100 // IDLE_MAX - 1
    for _ in range(2 * IDLE_MAX):
        memory = elements.of("a", "openai", POLICY)
        if memory is not None:
            element(b"1", memory)
    assert all(elements.of("a", "openai", POLICY) is memory and element(b"1", memory)
               for _ in range(100))


def test_memory_is_bounded_and_what_is_used_stays() -> None:
    memory = Known(POLICY, LEVELS, 20 * ENTRY_BYTES)
    element(b'{"used":1}', memory)
    for number in range(1000):
        element(b'{"a":%d}' % number, memory)
        reads = element(b'{"used":1}', memory)
        assert reads._value is GONE, "read again"
        assert len(memory) <= 20


def test_a_body_is_cut_into_so_many_pieces_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of it is cut when it comes again."""
    cuts: list[int] = []

    def counted(text: bytes, written: bytes) -> Any:
        found = pieces_of(text, written)
        cuts.append(len(found[0]) // 2 or PIECES_MAX)
        return found

    monkeypatch.setattr(module, "pieces_of", counted)
    memory = Known(POLICY, LEVELS, 1 << 21)
    raw = compact({"model": "m", "max_tokens": 1, "messages": [
        {"content": [{"text": f"{number} {part}", "type": "text"} for part in range(20)],
         "role": "user"} for number in range(60)]})
    whole = outcome("messages", raw, None)
    for _ in range(7):
        cuts.clear()
        assert outcome("messages", raw, memory) == whole
        assert sum(cuts) <= CUTS_MAX + PIECES_MAX
    assert not cuts and len(memory) == 60


@settings(max_examples=300)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.permutations(range(8)),
       st.integers(0, 8))
def test_pieces_make_up_what_is_written(parts: list[bytes], order: list[int], kept: int) -> None:
    text = b"".join(parts)
    written = b"".join(parts[at] for at in order[:kept] if at < len(parts))
    pieces = pieces_of(text, written)[0]
    assert not pieces or pieced(text, pieces) == written


@pytest.mark.parametrize(("text", "written", "most"), [
    (b'{"type":"tool_result","content":"' + b"long " * 2000 + b'","tool_use_id":"toolu_1"}',
     b'{"type":"tool_result","tool_use_id":"toolu_1","content":"' + b"long " * 2000 + b'"}', 5),
    (b'{"parts":[{"text":"hello"}],"role":"user"}', b'{"role":"user","parts":[{"text":"hello"}]}',
     5),
    (b'{"id":"msg_1","a":"b"}', b'{"a":"b"}', 2),
    ('{"a":"\\u00e9"}'.encode(), '{"a":"é"}'.encode(), 0),
    (b"{}", b"", 0),
    (bytes(range(256)) * 2, bytes(reversed(range(256))) * 2, 0),
])
def test_how_many_pieces(text: bytes, written: bytes, most: int) -> None:
    pieces = pieces_of(text, written)[0]
    assert bool(pieces) == bool(most) and len(pieces) <= 2 * most
    assert not pieces or pieced(text, pieces) == written


def test_pieces_are_not_looked_for_without_end() -> None:
    """Each escape of a long text sends the search through all of it for the next piece."""
    long = b"".join([b"%d\\/" % number for number in range(100_000)])
    text, written = b'{"content":"%b","role":"user"}', b'{"role":"user","content":"%b"}'
    pieces, gone = pieces_of(text % long, written % long.replace(b"\\/", b"/"))
    assert not pieces and gone < FAR_BYTES_MAX + len(PROBE_BYTES) * len(long)
    assert len(pieces_of(text % long, written % long)[0]) == 2 * 5


def test_a_body_is_gone_through_so_often_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    far = 0

    def counted(text: bytes, written: bytes) -> Any:
        nonlocal far
        found = pieces_of(text, written)
        far += found[1]
        return found

    monkeypatch.setattr(module, "pieces_of", counted)
    memory = known()
    texts = ["".join(f"{part} {number}/" for number in range(15_000)) for part in range(8)]
    raw = compact({"model": "m", "messages": [{"content": text, "role": "user"}
                                              for text in texts]}).replace(b"/", b"\\/")
    whole = outcome("chat", raw, None)
    for turn in range(9):
        far = 0
        assert outcome("chat", raw, memory) == whole
        assert far < 2 * FAR_BYTES_MAX
        assert far or turn
    assert not far


def test_what_cannot_be_cut_is_read_each_time() -> None:
    memory = known()
    for _ in range(2):
        assert element(b'{"a":"\\u00e9"}', memory).text == '{"a":"é"}'.encode()
    assert len(memory) == 1


@pytest.mark.parametrize(("count", "kept"), [(ELEMENTS_MAX, True), (ELEMENTS_MAX + 1, False)])
def test_a_body_of_very_many_elements_is_read_whole(count: int, kept: bool) -> None:
    messages = [{"role": "user", "content": str(number)} for number in range(count)]
    raw = msgspec.json.encode({"model": "m", "messages": messages})
    memory = known()
    same("chat", raw, memory)
    assert (len(memory) > 0) is kept


def test_nothing_of_a_body_is_kept() -> None:
    memory = known()
    for operation, raw in BODIES:
        outcome(operation, raw, memory)
    kept = repr([*memory._young.items(), *memory._old.items()])
    words = set(re.findall(r"[a-z_.]{2,}", kept))
    assert words <= {"array", "input.id", "messages.user_id", "messages.session_id", "one"}


def test_whether_the_hash_is_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = SimpleNamespace(
        flags=SimpleNamespace(hash_randomization=1),
        hash_info=SimpleNamespace(algorithm="siphash13", width=64))
    monkeypatch.setattr(module, "sys", secret)
    assert module.hash_is_secret(False) and not module.hash_is_secret(True)
    secret.hash_info.algorithm = "fnv"
    assert not module.hash_is_secret(False)
    secret.hash_info.algorithm = "siphash24"
    secret.flags.hash_randomization = 0
    assert not module.hash_is_secret(False)
