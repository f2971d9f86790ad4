"""What families put around a prompt: each has its frame, and each figure of it is used."""

from __future__ import annotations

import pytest

from relayd.relay.prompt_count import count_prompt
from relayd.relay.prompt_frame import frame_of
from relayd.relay.tokenizer import FAMILIES, Encodings, encoding_for
from relayd.wire.dialect import BY_OPERATION

CHAT = BY_OPERATION["chat"]
USER = {"role": "user", "content": "hello"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [{"function": {
    "name": "f", "arguments": "x"}}]}


def counted(encodings: Encodings, model: str, **body: object) -> int:
    return count_prompt(CHAT, body, encoding_for(model), encodings)[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_frame(family: str) -> None:
    frame = frame_of(family)
    assert frame.opening >= 0 and frame.tools >= frame.tools_beside_system >= 0
    assert frame.message >= -1


def test_unknown_families_are_counted_by_the_published_rules() -> None:
    assert frame_of("") == frame_of("anything") == frame_of("gpt-4o")
    assert (frame_of("").opening, frame_of("").message, frame_of("").shown_as) == (
        3, 3, "typescript")


@pytest.mark.parametrize("model", [
    "grok-4", "llama-3.3-70b", "llama3-8b", "deepseek-chat", "qwen3", "glm-4.7", "kimi-k2"])
def test_the_frame_s_figures_add_up(encodings: Encodings, model: str) -> None:
    encoding = encoding_for(model)
    frame = frame_of(encoding.family)
    one = counted(encodings, model, messages=[USER])
    assert one == frame.opening + frame.message + 2
    two = counted(encodings, model, messages=[USER, USER])
    assert two == one + frame.message + 2
    tools = counted(encodings, model, messages=[USER], tools=[TOOL, TOOL])
    form = '{"name": "f", "parameters": {}}'
    shown = encodings.count("o200k_base", form if frame.shown_as == "spaced"
                            else form.replace(" ", ""))[0]
    assert tools - one - frame.tools - 2 * frame.tool == pytest.approx(2 * shown, abs=2)
    called = counted(encodings, model, messages=[USER, CALLED])
    assert called == one + frame.message + 1 + frame.call + 2


def test_a_schema_that_the_model_is_not_shown_counts_nothing(encodings: Encodings) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "object"}}}
    plain = counted(encodings, "mistral-large", messages=[USER])
    assert counted(encodings, "mistral-large", messages=[USER], response_format=form) == plain
    plain = counted(encodings, "qwen3", messages=[USER])
    assert counted(encodings, "qwen3", messages=[USER], response_format=form) > plain + 17


def test_gpt_5_models_pay_more_for_tools_on_the_chat_endpoint(encodings: Encodings) -> None:
    tool = {"type": "function", "name": "f", "parameters": {}}
    responses, _ = count_prompt(BY_OPERATION["responses"], {"input": "hello", "tools": [tool]},
                                encoding_for("gpt-5"), encodings)
    assert counted(encodings, "gpt-5", messages=[USER], tools=[TOOL]) == responses + 81
