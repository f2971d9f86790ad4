"""The official Google GenAI SDK, unmodified."""

from __future__ import annotations

from collections.abc import Iterator

import pydantic
import pytest
from google import genai
from google.genai import errors, types

from tests.e2e.conftest import Target, http_errors

MODEL = "gemini-3.8-flash"
VERSIONS = ["v1beta", "v1"]


class Place(pydantic.BaseModel):
    """What a structured answer has to be."""

    city: str
    inhabitants: int


@pytest.fixture(params=VERSIONS)
def client(target: Target, request: pytest.FixtureRequest) -> Iterator[genai.Client]:
    with _client(target, request.param) as found:
        yield found


def _client(target: Target, version: str = "v1beta", key: str | None = None) -> genai.Client:
    return genai.Client(
        api_key=key or target.key,
        http_options=types.HttpOptions(base_url=target.gemini, api_version=version))


def test_U1_quickstart(client: genai.Client) -> None:
    reply = client.models.generate_content(model=MODEL, contents="Why are relays boring?")
    assert "relay" in reply.text
    assert reply.candidates[0].finish_reason == types.FinishReason.STOP
    usage = reply.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


def test_configured_by_environment(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", target.gemini)
    monkeypatch.setenv("GEMINI_API_KEY", target.key)
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    with genai.Client() as client:
        assert client.models.generate_content(model=MODEL, contents="Hello").text


def test_stream_says_what_the_whole_answer_says(client: genai.Client) -> None:
    whole = client.models.generate_content(model=MODEL, contents="Hello")
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="Hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == whole.text
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == whole.usage_metadata.total_token_count


def test_chat(client: genai.Client) -> None:
    chat = client.chats.create(model=MODEL)
    assert chat.send_message("Hello").text
    assert "".join(chunk.text or "" for chunk in chat.send_message_stream("And now?"))
    assert len(chat.get_history()) >= 4


def test_tool_loop_by_hand(client: genai.Client) -> None:
    tool = types.Tool(function_declarations=[types.FunctionDeclaration(
        name="get_weather", description="The weather of a city",
        parameters=types.Schema(type=types.Type.OBJECT, required=["city"], properties={
            "city": types.Schema(type=types.Type.STRING)}))])
    config = types.GenerateContentConfig(tools=[tool])
    question = types.Content(role="user", parts=[types.Part(text="The weather in Paris?")])
    first = client.models.generate_content(model=MODEL, contents=[question], config=config)
    call = first.function_calls[0]
    assert call.name == "get_weather" and call.args == {"city": "Paris"}
    result = types.Content(role="user", parts=[types.Part.from_function_response(
        name=call.name, response={"weather": "21 degrees"})])
    last = client.models.generate_content(
        model=MODEL, contents=[question, first.candidates[0].content, result], config=config)
    assert last.text and not last.function_calls


def test_tool_loop_by_the_sdk(target: Target) -> None:
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "21 degrees"

    with _client(target) as client:
        reply = client.models.generate_content(
            model=MODEL, contents="The weather in Paris?",
            config=types.GenerateContentConfig(tools=[get_weather]))
    assert asked == ["Paris"] and reply.text


def test_structured_output(client: genai.Client) -> None:
    reply = client.models.generate_content(
        model=MODEL, contents="A city", config=types.GenerateContentConfig(
            response_mime_type="application/json", response_schema=Place))
    assert reply.parsed == Place(city="Paris", inhabitants=3)


def test_thoughts(client: genai.Client) -> None:
    chunks = list(client.models.generate_content_stream(
        model=MODEL, contents="Hello", config=types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(include_thoughts=True))))
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert any(part.thought for part in parts) and any(not part.thought for part in parts)
    assert chunks[-1].usage_metadata.thoughts_token_count > 0


def test_several_candidates_and_length_limit(client: genai.Client) -> None:
    reply = client.models.generate_content(
        model=MODEL, contents="Hello",
        config=types.GenerateContentConfig(candidate_count=2, max_output_tokens=6))
    assert [c.finish_reason for c in reply.candidates] == [types.FinishReason.MAX_TOKENS] * 2
    assert reply.usage_metadata.candidates_token_count == 12


def test_embeddings(client: genai.Client) -> None:
    reply = client.models.embed_content(
        model="gemini-embedding-001", contents=["one runner", "two runners"],
        config=types.EmbedContentConfig(output_dimensionality=8))
    assert [len(each.values) for each in reply.embeddings] == [8, 8]


def test_count_tokens(client: genai.Client) -> None:
    counted = client.models.count_tokens(model=MODEL, contents="Hello there")
    reply = client.models.generate_content(model=MODEL, contents="Hello there")
    assert counted.total_tokens == reply.usage_metadata.prompt_token_count


def test_models(client: genai.Client) -> None:
    names = {model.name for model in client.models.list()}
    assert {f"models/{MODEL}", "models/demo-429"} <= names
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
async def test_async_client(target: Target) -> None:
    client = _client(target)
    try:
        whole = await client.aio.models.generate_content(model=MODEL, contents="Hello")
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents="Hello")
        text = "".join([chunk.text or "" async for chunk in stream])
    finally:
        await client.aio.aclose()
        client.close()
    assert text == whole.text


@pytest.mark.parametrize(("status", "expected"), [
    (400, errors.ClientError), (401, errors.ClientError), (402, errors.ClientError),
    (403, errors.ClientError), (404, errors.ClientError), (413, errors.ClientError),
    (429, errors.ClientError), (500, errors.ServerError), (503, errors.ServerError),
])
@pytest.mark.parametrize("stream", [False, True])
def test_error_classes(
    target: Target, status: int, expected: type[errors.APIError], stream: bool,
) -> None:
    with _client(target) as client, pytest.raises(expected) as raised:
        if stream:
            list(client.models.generate_content_stream(
                model=f"demo-{status}", contents="Hello"))
        else:
            client.models.generate_content(model=f"demo-{status}", contents="Hello")
    assert raised.value.code == status and raised.value.message and raised.value.status


def test_unknown_key(target: Target) -> None:
    with _client(target, key="AIza-wrong") as client:
        with pytest.raises(errors.ClientError) as raised:
            client.models.generate_content(model=MODEL, contents="Hello")
    assert raised.value.code == 401 and "AIza-wrong" not in str(raised.value)


def test_unknown_model(relay: Target) -> None:
    with _client(relay) as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="no-such-model", contents="Hello")
    assert raised.value.code == 404


def test_cut_stream_raises(target: Target) -> None:
    seen: list[str] = []
    with _client(target) as client, pytest.raises((errors.APIError, *http_errors())):
        for chunk in client.models.generate_content_stream(model="demo-cut", contents="Hello"):
            seen.append(chunk.text or "")
    assert any(seen)


def test_error_event_raises(target: Target) -> None:
    seen: list[str] = []
    with _client(target) as client, pytest.raises(errors.ServerError) as raised:
        for chunk in client.models.generate_content_stream(model="demo-error", contents="Hello"):
            seen.append(chunk.text or "")
    assert any(seen) and raised.value.code == 503
