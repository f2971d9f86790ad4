"""The official OpenAI SDK, unmodified: realtime sessions over WebSocket."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.conftest import Target

# the SDK's own use of the library `websockets`
pytestmark = pytest.mark.filterwarnings("ignore:connect.. must be used:DeprecationWarning")
MODEL = "gpt-realtime"
TOOL: Any = {"type": "function", "name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


@pytest.fixture
def client(target: Target) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=target.openai, api_key=target.key, max_retries=0) as found:
        yield found


def say(connection: Any, text: str) -> None:
    connection.conversation.item.create(item={
        "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})


def answered(connection: Any, kinds: set[str] | None = None) -> Any:
    """The finished response; `kinds` collects the types of the events before it."""
    for event in connection:
        if kinds is not None:
            kinds.add(event.type)
        if event.type == "response.done":
            return event.response
        assert event.type != "error", event
    raise AssertionError("no response.done")


def test_text(client: openai.OpenAI) -> None:
    with client.realtime.connect(model=MODEL) as connection:
        connection.session.update(session={
            "type": "realtime", "output_modalities": ["text"], "tracing": "auto"})
        say(connection, "Say this is a test")
        connection.response.create()
        kinds: set[str] = set()
        done = answered(connection, kinds)
        assert "relay" in done.output[0].content[0].text
        assert {"session.created", "session.updated", "response.output_text.delta"} <= kinds
        connection.response.create()
        again = answered(connection, kinds)
        assert again.usage.input_tokens > done.usage.input_tokens
        assert ("rate_limits.updated" in kinds) is False


async def test_text_async(target: Target) -> None:
    async with openai.AsyncOpenAI(base_url=target.openai, api_key=target.key) as client:
        async with client.realtime.connect(model=MODEL) as connection:
            await connection.session.update(session={
                "type": "realtime", "output_modalities": ["text"]})
            await connection.response.create()
            text = ""
            async for event in connection:
                if event.type == "response.output_text.delta":
                    text += event.delta
                elif event.type == "response.done":
                    break
            assert event.response.output[0].content[0].text == text != ""


def test_sound(client: openai.OpenAI) -> None:
    with client.realtime.connect(model=MODEL) as connection:
        for _ in range(5):
            connection.input_audio_buffer.append(
                audio=base64.b64encode(bytes(24_000)).decode())
        connection.input_audio_buffer.commit()
        connection.response.create()
        kinds: set[str] = set()
        done = answered(connection, kinds)
        assert done.usage.input_token_details.audio_tokens == 25
        assert done.usage.output_token_details.audio_tokens > 0
        assert {"response.output_audio.delta", "response.output_audio_transcript.delta"} <= kinds


def test_tool_loop(client: openai.OpenAI) -> None:
    with client.realtime.connect(model=MODEL) as connection:
        connection.session.update(session={
            "type": "realtime", "output_modalities": ["text"], "tools": [TOOL]})
        say(connection, "What is the weather in Paris?")
        connection.response.create()
        call = answered(connection).output[0]
        assert call.type == "function_call" and json.loads(call.arguments)["city"]
        connection.conversation.item.create(item={
            "type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"})
        connection.response.create()
        assert answered(connection).output[0].content[0].text


def test_the_beta(target: Target) -> None:
    client = openai.OpenAI(api_key=target.key,
                           websocket_base_url=target.openai.replace("http", "ws"))
    with client, client.beta.realtime.connect(model=MODEL) as connection:
        connection.session.update(session={"modalities": ["text"]})
        connection.response.create()
        assert answered(connection).status == "completed"


def test_errors_before_the_session(client: openai.OpenAI, target: Target) -> None:
    for key, model, status in ((target.key, "demo-429", 429), ("sk-relayd-no", MODEL, 401)):
        with pytest.raises(InvalidStatus) as refused:
            client.with_options(api_key=key).realtime.connect(model=model).enter()
        assert refused.value.response.status_code == status
        assert json.loads(refused.value.response.body)["error"]["message"]


def test_errors_in_the_session(client: openai.OpenAI, target: Target) -> None:
    with client.realtime.connect(model="demo-cut") as connection:
        connection.response.create()
        with pytest.raises(ConnectionClosed):
            for event in connection:
                last = event
            raise AssertionError("ended cleanly")
        if target.is_relay:
            assert last.type == "error" and last.error.code == "upstream_truncated"
    with client.realtime.connect(model="demo-error") as connection:
        connection.response.create()
        for event in connection:
            if event.type == "error":
                break
        say(connection, "Go on")
        assert connection.recv().type == "conversation.item.added"
