"""The official Anthropic SDK, unmodified."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import pydantic
import pytest

from tests.e2e.conftest import Requests, Target, http_errors

MODEL = "claude-opus-5-5"
ASK: dict[str, Any] = {
    "model": MODEL, "max_tokens": 1024,
    "messages": [{"role": "user", "content": "Hello, Claude"}],
}
WEATHER = {
    "name": "get_weather", "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}},
                     "required": ["city"]},
}


class Place(pydantic.BaseModel):
    """What a structured answer has to be."""

    city: str
    inhabitants: int


@pytest.fixture
def client(target: Target) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=target.anthropic, api_key=target.key, max_retries=0,
    ) as found:
        yield found


@pytest.fixture
async def async_client(target: Target) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=target.anthropic, api_key=target.key, max_retries=0,
    ) as found:
        yield found


def test_U1_quickstart(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**ASK)
    assert "relay" in message.content[0].text
    assert message.stop_reason == "end_turn" and message.role == "assistant"
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0


def test_configured_by_environment(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", target.anthropic)
    monkeypatch.setenv("ANTHROPIC_API_KEY", target.key)
    with anthropic.Anthropic() as client:
        assert client.messages.create(**ASK).content


def test_key_as_a_token(target: Target) -> None:
    with anthropic.Anthropic(base_url=target.anthropic, auth_token=target.key,
                             api_key=None) as client:
        assert client.messages.create(**ASK).content


def test_events_come_in_their_order(client: anthropic.Anthropic) -> None:
    kinds = [event.type for event in client.messages.create(**ASK, stream=True)]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    inner = [kind for kind in kinds[1:-2] if kind != "ping"]
    assert inner[0] == "content_block_start" and inner[-1] == "content_block_stop"
    assert set(inner[1:-1]) == {"content_block_delta"}


def test_stream_says_what_the_whole_answer_says(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text == whole.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.usage.input_tokens == whole.usage.input_tokens


def test_tool_loop(client: anthropic.Anthropic) -> None:
    first = client.messages.create(**ASK, tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    use = first.content[-1]
    assert use.name == "get_weather" and use.input == {"city": "Paris"}
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "21 degrees"}
    last = client.messages.create(**{**ASK, "messages": [
        *ASK["messages"], {"role": "assistant", "content": first.content},
        {"role": "user", "content": [result]}]}, tools=[WEATHER])
    assert last.stop_reason == "end_turn" and last.content[0].text


def test_tool_call_streamed(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ASK, tools=[WEATHER]) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_message()
    assert "input_json" in kinds and final.content[-1].input == {"city": "Paris"}


def test_tool_runner(client: anthropic.Anthropic) -> None:
    asked: list[str] = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city.

        Args:
            city: Its name
        """
        asked.append(city)
        return "21 degrees"

    runner = client.beta.messages.tool_runner(**ASK, tools=[get_weather])
    last = runner.until_done()
    assert asked == ["Paris"] and last.stop_reason == "end_turn"


def test_structured_output(client: anthropic.Anthropic) -> None:
    reply = client.messages.parse(**ASK, output_format=Place)
    assert reply.parsed_output == Place(city="Paris", inhabitants=3)


def test_thinking(client: anthropic.Anthropic) -> None:
    asked = {**ASK, "max_tokens": 5000, "thinking": {"type": "adaptive"}}
    with client.messages.stream(**asked) as stream:
        thoughts = [e.thinking for e in stream if e.type == "thinking"]
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert "".join(thoughts) == final.content[0].thinking and final.content[0].signature
    follow_up = [*ASK["messages"], {"role": "assistant", "content": final.content},
                 {"role": "user", "content": "Go on"}]
    assert client.messages.create(**{**asked, "messages": follow_up}).content


def test_cache_is_counted_apart(client: anthropic.Anthropic) -> None:
    system = [{"type": "text", "text": "Be brief. " * 100,
               "cache_control": {"type": "ephemeral"}}]
    usage = client.messages.create(**ASK, system=system).usage
    whole = client.messages.count_tokens(
        model=MODEL, messages=ASK["messages"], system=system).input_tokens
    assert usage.cache_read_input_tokens > 0
    assert usage.cache_read_input_tokens + usage.input_tokens == whole


def test_length_limit(client: anthropic.Anthropic) -> None:
    message = client.messages.create(**{**ASK, "max_tokens": 7})
    assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 7


def test_count_tokens(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=ASK["messages"])
    assert counted.input_tokens == client.messages.create(**ASK).usage.input_tokens


def test_models(client: anthropic.Anthropic) -> None:
    names = {model.id for model in client.models.list(limit=1000)}
    assert {MODEL, "demo-429"} <= names
    assert client.models.retrieve(MODEL).id == MODEL


async def test_async_client(async_client: anthropic.AsyncAnthropic) -> None:
    whole = await async_client.messages.create(**ASK)
    async with async_client.messages.stream(**ASK) as stream:
        text = "".join([piece async for piece in stream.text_stream])
    assert text == whole.content[0].text


@pytest.mark.parametrize(("status", "expected"), [
    (400, anthropic.BadRequestError), (401, anthropic.AuthenticationError),
    (402, anthropic.APIStatusError), (403, anthropic.PermissionDeniedError),
    (404, anthropic.NotFoundError), (408, anthropic.APIStatusError),
    (409, anthropic.ConflictError), (413, anthropic.APIStatusError),
    (422, anthropic.UnprocessableEntityError), (429, anthropic.RateLimitError),
    (500, anthropic.InternalServerError), (503, anthropic.InternalServerError),
    (529, anthropic.InternalServerError),
])
@pytest.mark.parametrize("stream", [False, True])
def test_error_classes(
    client: anthropic.Anthropic, status: int, expected: type[anthropic.APIStatusError],
    stream: bool,
) -> None:
    with pytest.raises(expected) as raised:
        client.messages.create(**{**ASK, "model": f"demo-{status}"}, stream=stream)
    assert raised.value.status_code == status
    assert raised.value.body["type"] == "error" and raised.value.body["error"]["message"]


@pytest.mark.parametrize(("model", "retries", "count"), [
    ("demo-400", 2, 1), ("demo-401", 2, 1), ("demo-402", 2, 1), ("demo-403", 2, 1),
    ("demo-404", 2, 1), ("demo-413", 2, 1), ("demo-500", 1, 2),
])
def test_retries_only_where_they_help(
    target: Target, requests: Requests, model: str, retries: int, count: int,
) -> None:
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [requests]})
    with anthropic.Anthropic(base_url=target.anthropic, api_key=target.key, max_retries=retries,
                             http_client=http) as client:
        with pytest.raises(anthropic.APIStatusError):
            client.messages.create(**{**ASK, "model": model})
    assert requests.count == count


def test_unknown_key(target: Target, requests: Requests) -> None:
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [requests]})
    with anthropic.Anthropic(base_url=target.anthropic, api_key="sk-wrong",
                             http_client=http) as client:
        with pytest.raises(anthropic.AuthenticationError) as raised:
            client.messages.create(**ASK)
    assert "sk-wrong" not in str(raised.value)
    assert requests.count == 1


def test_unknown_model(relay: Target, requests: Requests) -> None:
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [requests]})
    with anthropic.Anthropic(base_url=relay.anthropic, api_key=relay.key,
                             http_client=http) as client:
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(**{**ASK, "model": "no-such-model"})
    assert requests.count == 1


def test_cut_stream_raises(client: anthropic.Anthropic) -> None:
    seen: list[str] = []
    with pytest.raises((anthropic.APIError, *http_errors())):
        with client.messages.stream(**{**ASK, "model": "demo-cut"}) as stream:
            for text in stream.text_stream:
                seen.append(text)
    assert seen


def test_error_event_raises(client: anthropic.Anthropic) -> None:
    seen: list[str] = []
    with pytest.raises(anthropic.APIStatusError) as raised:
        with client.messages.stream(**{**ASK, "model": "demo-error"}) as stream:
            for text in stream.text_stream:
                seen.append(text)
    assert seen and raised.value.body["error"]["type"]
