"""The official OpenAI SDK, unmodified: chat and the older completions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import openai
import pydantic
import pytest

from tests.e2e.conftest import Requests, Target, http_errors

MODEL = "gpt-5.5"
CUT_ERRORS = (openai.APIError, *http_errors())
HELLO = [{"role": "user", "content": "Say this is a test"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather", "description": "The weather of a city", "strict": True,
        "parameters": {
            "type": "object", "required": ["city", "unit"], "additionalProperties": False,
            "properties": {"city": {"type": "string"},
                           "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
        },
    },
}


class Event(pydantic.BaseModel):
    """What a structured answer has to be."""

    name: str
    city: str
    participants: list[str]
    seats: int | None


@pytest.fixture
def client(target: Target) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=target.openai, api_key=target.key, max_retries=0) as found:
        yield found


@pytest.fixture
async def async_client(target: Target) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=target.openai, api_key=target.key, max_retries=0,
    ) as found:
        yield found


def test_U1_quickstart(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model=MODEL, messages=HELLO)
    choice = reply.choices[0]
    assert "relay" in choice.message.content
    assert choice.finish_reason == "stop" and choice.message.role == "assistant"
    usage = reply.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_configured_by_environment(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", target.openai)
    monkeypatch.setenv("OPENAI_API_KEY", target.key)
    with openai.OpenAI() as client:
        assert client.chat.completions.create(model=MODEL, messages=HELLO).choices


def test_stream_says_what_the_whole_answer_says(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model=MODEL, messages=HELLO)
    chunks = list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_usage_comes_where_it_was_asked_for(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == len(chunks) - 3  # role, finish and usage


def test_several_choices(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model=MODEL, messages=HELLO, n=3)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) == 3
    seen: dict[int, str] = {}
    for chunk in client.chat.completions.create(model=MODEL, messages=HELLO, n=3, stream=True):
        for choice in chunk.choices:
            seen[choice.index] = seen.get(choice.index, "") + (choice.delta.content or "")
    assert seen == {c.index: c.message.content for c in reply.choices}


def test_length_limit(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=5)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 5


def test_tool_loop(client: openai.OpenAI) -> None:
    messages: list = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    call = first.choices[0].message.tool_calls[0]
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris", "unit": "celsius"}
    messages += [first.choices[0].message,
                 {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}]
    last = client.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER])
    assert last.choices[0].finish_reason == "stop" and last.choices[0].message.content


def test_tool_call_streamed(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, tools=[WEATHER],
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert "tool_calls.function.arguments.delta" in kinds
    call = final.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments)["city"] == "Paris"


def test_structured_output(client: openai.OpenAI) -> None:
    reply = client.chat.completions.parse(
        model=MODEL, messages=HELLO, response_format=Event)
    assert reply.choices[0].message.parsed.city == "Paris"
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, response_format=Event,
    ) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.parsed.seats == 3


def test_reasoning_is_shown(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="demo-think", messages=HELLO)
    assert reply.choices[0].message.model_extra["reasoning_content"]
    assert reply.usage.completion_tokens_details.reasoning_tokens > 0
    chunks = list(client.chat.completions.create(
        model="demo-think", messages=HELLO, stream=True))
    thought = "".join((c.choices[0].delta.model_extra or {}).get("reasoning_content", "")
                      for c in chunks)
    assert thought == reply.choices[0].message.model_extra["reasoning_content"]


def test_completions(client: openai.OpenAI) -> None:
    model = "gpt-3.5-turbo-instruct"
    whole = client.completions.create(model=model, prompt="Once upon a time", max_tokens=20)
    assert whole.choices[0].finish_reason == "length" and whole.usage.completion_tokens == 20
    chunks = list(client.completions.create(
        model=model, prompt="Once upon a time", max_tokens=20, stream=True))
    assert "".join(c.choices[0].text for c in chunks) == whole.choices[0].text


async def test_async_client(async_client: openai.AsyncOpenAI) -> None:
    reply = await async_client.chat.completions.create(model=MODEL, messages=HELLO)
    stream = await async_client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert text == reply.choices[0].message.content


def test_models(client: openai.OpenAI) -> None:
    names = {model.id for model in client.models.list()}
    assert {"gpt-4o-mini", "demo-429"} <= names
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"


@pytest.mark.parametrize(("status", "expected"), [
    (400, openai.BadRequestError), (401, openai.AuthenticationError),
    (402, openai.APIStatusError), (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError), (408, openai.APIStatusError), (409, openai.ConflictError),
    (413, openai.APIStatusError), (422, openai.UnprocessableEntityError),
    (429, openai.RateLimitError), (500, openai.InternalServerError),
    (503, openai.InternalServerError), (529, openai.InternalServerError),
])
@pytest.mark.parametrize("stream", [False, True])
def test_error_classes(
    client: openai.OpenAI, status: int, expected: type[openai.APIStatusError], stream: bool,
) -> None:
    with pytest.raises(expected) as raised:
        client.chat.completions.create(model=f"demo-{status}", messages=HELLO, stream=stream)
    assert raised.value.status_code == status
    assert raised.value.body["message"]


def test_html_from_a_proxy_before_the_provider(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as raised:
        client.chat.completions.create(model="demo-html", messages=HELLO)
    assert raised.value.status_code == 502


@pytest.mark.parametrize(("model", "retries", "count"), [
    ("demo-400", 2, 1), ("demo-401", 2, 1), ("demo-402", 2, 1), ("demo-403", 2, 1),
    ("demo-404", 2, 1), ("demo-422", 2, 1), ("demo-500", 1, 2),
])
def test_retries_only_where_they_help(
    target: Target, requests: Requests, model: str, retries: int, count: int,
) -> None:
    http = openai.DefaultHttpxClient(event_hooks={"request": [requests]})
    with openai.OpenAI(base_url=target.openai, api_key=target.key, max_retries=retries,
                       http_client=http) as client, pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model=model, messages=HELLO)
    assert requests.count == count


def test_waits_as_long_as_it_is_told(target: Target, requests: Requests) -> None:
    http = openai.DefaultHttpxClient(event_hooks={"request": [requests]})
    with openai.OpenAI(base_url=target.openai, api_key=target.key, max_retries=0,
                       http_client=http) as client:
        with pytest.raises(openai.RateLimitError) as raised:
            client.chat.completions.create(model="demo-429", messages=HELLO)
    assert raised.value.response.headers["retry-after"] == "2"


def test_unknown_key(target: Target, requests: Requests) -> None:
    http = openai.DefaultHttpxClient(event_hooks={"request": [requests]})
    with openai.OpenAI(base_url=target.openai, api_key="sk-wrong", http_client=http) as client:
        with pytest.raises(openai.AuthenticationError) as raised:
            client.chat.completions.create(model=MODEL, messages=HELLO)
    assert "sk-wrong" not in str(raised.value)
    assert requests.count == 1


def test_unknown_model(relay: Target, requests: Requests) -> None:
    http = openai.DefaultHttpxClient(event_hooks={"request": [requests]})
    with openai.OpenAI(base_url=relay.openai, api_key=relay.key, http_client=http) as client:
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert requests.count == 1


def test_cut_stream_raises(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="demo-cut", messages=HELLO, stream=True)
    seen: list[str] = []
    with pytest.raises(CUT_ERRORS):
        for chunk in stream:
            seen.append(chunk.choices[0].delta.content or "")
    assert any(seen)


def test_error_event_raises(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(model="demo-error", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError):
        for _ in stream:
            pass


def test_client_that_leaves_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.create(
        model="demo-long", messages=HELLO, stream=True,
    ) as stream:
        next(iter(stream))
    assert client.chat.completions.create(model=MODEL, messages=HELLO).choices
