"""The official OpenAI SDK, unmodified: responses."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pydantic
import pytest

from tests.e2e.conftest import Target, http_errors

MODEL = "gpt-5.5"
WEATHER = {
    "type": "function", "name": "get_weather", "description": "The weather of a city",
    "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                   "required": ["city"], "additionalProperties": False},
}


class Place(pydantic.BaseModel):
    """What a structured answer has to be."""

    city: str
    inhabitants: int


@pytest.fixture
def client(target: Target) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=target.openai, api_key=target.key, max_retries=0) as found:
        yield found


def test_U1_quickstart(client: openai.OpenAI) -> None:
    reply = client.responses.create(model=MODEL, input="Write a haiku about relays")
    assert "relay" in reply.output_text
    assert reply.status == "completed"
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


def test_stream_is_numbered_and_whole(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model=MODEL, input="Hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:4]] == [
        "response.created", "response.in_progress", "response.output_item.added",
        "response.content_part.added"]
    assert [event.type for event in events[-4:]] == [
        "response.output_text.done", "response.content_part.done", "response.output_item.done",
        "response.completed"]
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == events[-1].response.output_text
    assert events[-1].response.usage.output_tokens > 0


def test_stream_helper(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="Hello") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text


def test_tool_loop(client: openai.OpenAI) -> None:
    items: list = [{"role": "user", "content": "What is the weather in Paris?"}]
    first = client.responses.create(model=MODEL, input=items, tools=[WEATHER])
    call = next(item for item in first.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"city": "Paris"}
    items += [*first.output,
              {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}]
    assert client.responses.create(model=MODEL, input=items, tools=[WEATHER]).output_text


def test_tool_call_streamed(client: openai.OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="Hello", tools=[WEATHER]) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_response()
    assert {"response.function_call_arguments.delta",
            "response.function_call_arguments.done"} <= kinds
    assert json.loads(final.output[0].arguments) == {"city": "Paris"}


def test_structured_output(client: openai.OpenAI) -> None:
    reply = client.responses.parse(model=MODEL, input="Hello", text_format=Place)
    assert reply.output_parsed == Place(city="Paris", inhabitants=3)


def test_reasoning(client: openai.OpenAI) -> None:
    events = list(client.responses.create(
        model=MODEL, input="Hello", stream=True,
        reasoning={"effort": "medium", "summary": "auto"}))
    thought = "".join(e.delta for e in events
                      if e.type == "response.reasoning_summary_text.delta")
    final = events[-1].response
    assert final.output[0].type == "reasoning" and final.output[0].summary[0].text == thought
    assert final.usage.output_tokens_details.reasoning_tokens > 0


def test_length_limit(client: openai.OpenAI) -> None:
    reply = client.responses.create(model=MODEL, input="Hello", max_output_tokens=16)
    assert reply.status == "incomplete"
    assert reply.incomplete_details.reason == "max_output_tokens"


def test_error_classes(client: openai.OpenAI) -> None:
    for status, expected in ((400, openai.BadRequestError), (429, openai.RateLimitError),
                             (500, openai.InternalServerError)):
        with pytest.raises(expected):
            client.responses.create(model=f"demo-{status}", input="Hello", stream=True)


def test_cut_stream_raises(client: openai.OpenAI) -> None:
    seen: list[str] = []
    with pytest.raises((openai.APIError, *http_errors())):
        for event in client.responses.create(model="demo-cut", input="Hello", stream=True):
            seen.append(event.type)
    assert "response.output_text.delta" in seen


def test_error_ends_as_a_failed_response(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="demo-error", input="Hello", stream=True))
    assert events[-1].type == "response.failed"
    assert events[-1].response.error.code == "server_error"


async def test_async_client(target: Target) -> None:
    async with openai.AsyncOpenAI(base_url=target.openai, api_key=target.key) as client:
        stream = await client.responses.create(model=MODEL, input="Hello", stream=True)
        kinds = [event.type async for event in stream]
    assert kinds[-1] == "response.completed"
