"""A plain chat counts as by its rule, and leaves the same in the memo; the rest is the rule's."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.relay.count import Count
from relayd.relay.prompt_count import count_prompt
from relayd.relay.prompt_memo import PromptMemo
from relayd.relay.prompt_openai import BESIDE_MESSAGES
from relayd.relay.prompt_plain import ENCODINGS, ROLES, plain_chat
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION

CHAT = BY_OPERATION["chat"]
MODELS = ["gpt-4o", "gpt-5", "o3", "gpt-4", "gpt-3.5-turbo-0301", "claude-sonnet-5", "grok-4",
          "gemini-2.5-pro", "llama-3-8b", "deepseek-chat", "qwen3", "davinci", "any"]
THOUGHT = "<think>\nHello?\n</think>\n\nHello."
TEXTS = st.one_of(st.text(max_size=12), st.sampled_from(
    ["", "Hello there", "你好，世界。", "user", "\ud83d", "ABCDEFGH", "\u4241\u4443\u4645\u4847",
     THOUGHT]))
PLAIN = st.builds(lambda role, content: {"role": role, "content": content},
                  st.sampled_from(sorted(ROLES)), TEXTS)
ODD = st.one_of(
    st.none(), st.text(max_size=3), st.lists(st.integers(), max_size=2),
    st.fixed_dictionaries(
        {"role": st.one_of(st.sampled_from(["user", "tool", "function", ""]), st.none(),
                           st.lists(st.text(max_size=2), max_size=2))},
        optional={"content": st.one_of(TEXTS, st.none(), st.integers(), st.lists(
                      st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}),
                      max_size=2)),
                  "name": TEXTS, "refusal": TEXTS, "text": TEXTS}))
BESIDE: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.sampled_from(["model", "temperature", "stream", "functions", "tools"]),
    st.sampled_from([None, [], "x"]), max_size=2)


@settings(max_examples=500, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.one_of(st.lists(PLAIN, max_size=4),
                          st.lists(st.one_of(PLAIN, ODD), max_size=3)),
       beside=BESIDE, model=st.sampled_from(MODELS), warm=st.booleans())
def test_both_ways_count_the_same(
    encodings: Encodings, messages: list[object], beside: dict[str, object], model: str, warm: bool
) -> None:
    fields = {**beside, "messages": messages}
    encoding = encoding_for(model)
    ruled, whole = PromptMemo(b"k" * 32), PromptMemo(b"k" * 32)
    counted = count_prompt(CHAT, fields, encoding, encodings, ruled.of("a"))
    if warm:
        count_prompt(CHAT, fields, encoding, encodings, whole.of("a"))
    plain = plain_chat(fields, encoding, encodings, whole.of("a"))
    assert plain in (None, counted)
    assert counted == count_prompt(CHAT, fields, encoding, encodings, whole.of("a"))
    place = whole.of("a").place_of_texts(encoding)
    assert whole.texts.items() - {(place, 0)} == ruled.texts.items()


@settings(max_examples=100, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(PLAIN.filter(lambda it: it["content"] != THOUGHT), max_size=4),
       model=st.sampled_from(MODELS).filter(lambda model: model != "davinci"))
def test_what_is_plain_takes_the_short_way(
    encodings: Encodings, messages: list[object], model: str
) -> None:
    memo = PromptMemo(b"k" * 32).of("a")
    fields = {"model": model, "messages": messages}
    assert plain_chat(fields, encoding_for(model), encodings, memo) is not None


@pytest.mark.parametrize("messages", [
    None, "x", {}, [None], [["role", "content"]], [{"role": "user"}],
    [{"role": "tool", "content": "x"}], [{"role": ["user"], "content": "x"}],
    [{"role": "user", "content": None}],
    [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
    [{"role": "user", "name": "x"}], [{"role": "user", "content": "x", "name": "y"}]])
def test_what_is_not_plain_is_left_to_the_rule(encodings: Encodings, messages: object) -> None:
    memo = PromptMemo(b"k" * 32).of("a")
    assert plain_chat({"messages": messages}, encoding_for("gpt-4o"), encodings, memo) is None


@pytest.mark.parametrize("name", sorted(BESIDE_MESSAGES))
def test_so_is_what_has_more_than_messages(encodings: Encodings, name: str) -> None:
    memo = PromptMemo(b"k" * 32).of("a")
    fields: dict[str, object] = {"messages": [{"role": "user", "content": "x"}], name: None}
    assert plain_chat(fields, encoding_for("gpt-4o"), encodings, memo) is None


def test_before_the_encodings_are_loaded_the_rule_estimates() -> None:
    whole = PromptMemo(b"k" * 32)
    fields: dict[str, object] = {"messages": [{"role": "user", "content": "x"}]}
    assert plain_chat(fields, encoding_for("gpt-4o"), Encodings(), whole.of("a")) is None
    assert whole.texts == {}


@pytest.mark.parametrize("name", sorted(ENCODINGS))
def test_a_role_is_one_token(encodings: Encodings, name: str) -> None:
    assert {encodings.count(name, role) for role in ROLES} == {(1, True)}


def test_of_an_answer_with_its_thought_the_rule_knows_what_is_read_again(
    encodings: Encodings
) -> None:
    def both(model: str, *roles: str) -> list[Count | None]:
        fields = {"messages": [{"role": role, "content": THOUGHT} for role in roles]}
        memo, encoding = PromptMemo(b"k" * 32).of("a"), encoding_for(model)
        return [plain_chat(fields, encoding, encodings, memo),
                count_prompt(CHAT, fields, encoding, encodings)]

    answered = "user", "assistant", "user"
    plain, ruled = both("qwen3", *answered)
    assert plain is None and ruled is not None
    plain, longer = both("gpt-4o", *answered)
    assert plain == longer and longer is not None and ruled[0] < longer[0]
    plain, ruled = both("qwen3", "system")  # who speaks of such marks has thought nothing
    assert plain == ruled
