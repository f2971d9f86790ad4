"""The demo's realtime sessions: what they say is what the SDK's types say."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import orjson
import pydantic
import pytest
from openai.types.realtime import RealtimeServerEvent

from relayd.demo.app import REALTIME
from relayd.demo.openai_realtime import Session

TYPES: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(RealtimeServerEvent)
TEXT = {"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}}
SAID = {"type": "conversation.item.create", "item": {
    "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}}
CREATE = {"type": "response.create"}
TOOL = {"type": "function", "name": "get_weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


def talk(*said: dict[str, Any]) -> list[dict[str, Any]]:
    session = Session("gpt-realtime")
    heard = list(session.opening())
    for event in said:
        heard += session.hear(event)
    for event in heard:
        TYPES.validate_python(orjson.loads(orjson.dumps(event)))
    return heard


def only(heard: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    [found] = [event for event in heard if event["type"] == kind]
    return found


def test_text() -> None:
    heard = talk(TEXT, SAID, CREATE)
    deltas = [e["delta"] for e in heard if e["type"] == "response.output_text.delta"]
    done = only(heard, "response.done")["response"]
    assert "".join(deltas) == done["output"][0]["content"][0]["text"] != ""
    assert done["usage"]["output_tokens"] == len(deltas)
    assert done["usage"]["output_token_details"] == {
        "text_tokens": len(deltas), "audio_tokens": 0}


def test_sound() -> None:
    second = base64.b64encode(bytes(48_000)).decode()
    heard = talk({"type": "input_audio_buffer.append", "audio": second},
                 {"type": "input_audio_buffer.append", "audio": "?"},
                 {"type": "input_audio_buffer.commit"}, CREATE)
    usage = only(heard, "response.done")["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == 10
    words = [e for e in heard if e["type"] == "response.output_audio_transcript.delta"]
    sound = [e for e in heard if e["type"] == "response.output_audio.delta"]
    assert usage["output_token_details"]["audio_tokens"] == len(words) == len(sound) > 0


def test_a_tool_is_called_once() -> None:
    update = {"type": "session.update", "session": {"tools": [TOOL]}}
    heard = talk(TEXT, update, SAID, CREATE)
    call = only(heard, "response.function_call_arguments.done")
    assert orjson.loads(call["arguments"])["city"]
    result = {"type": "conversation.item.create", "item": {
        "type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees"}}
    heard = talk(TEXT, update, SAID, CREATE, result, CREATE)
    assert sum(e["type"] == "response.output_text.done" for e in heard) == 1


def test_items_can_be_deleted_and_the_rest_is_refused() -> None:
    named = {"type": "conversation.item.create", "item": {**SAID["item"], "id": "mine"}}
    gone = {"type": "conversation.item.delete", "item_id": "mine", "event_id": "e1"}
    heard = talk(named, gone, gone, {"type": "input_audio_buffer.clear"})
    assert only(heard, "conversation.item.deleted")["item_id"] == "mine"
    assert only(heard, "error")["error"]["event_id"] == "e1"
    assert only(talk({"type": "what"}), "error")


def test_a_response_of_its_own_is_not_remembered() -> None:
    aside = {"type": "response.create", "response": {
        "conversation": "none", "input": [SAID["item"]], "output_modalities": ["text"]}}
    kinds = [e["type"] for e in talk(aside)]
    assert "response.done" in kinds and "conversation.item.added" not in kinds


async def test_over_the_socket(client: aiohttp.ClientSession) -> None:
    async with client.ws_connect(REALTIME + "?model=gpt-realtime") as socket:
        assert (await socket.receive_json())["type"] == "session.created"
        await socket.send_str("no JSON")
        assert (await socket.receive_json())["type"] == "error"
        await socket.send_json(CREATE)
        while (await socket.receive_json())["type"] != "rate_limits.updated":
            pass


@pytest.mark.parametrize(("model", "status"), [("demo-429", 429), ("demo-401", 401)])
async def test_faults_before(client: aiohttp.ClientSession, model: str, status: int) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect(f"{REALTIME}?model={model}")
    assert refused.value.status == status


async def test_faults_in_the_middle(client: aiohttp.ClientSession) -> None:
    async with client.ws_connect(REALTIME + "?model=demo-cut") as socket:
        await socket.send_json(CREATE)
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            assert message.json()["type"] != "response.done"
    async with client.ws_connect(REALTIME + "?model=demo-error") as socket:
        await socket.send_json(CREATE)
        while (await socket.receive_json())["type"] != "error":
            pass


async def test_it_wants_the_credential_and_an_upgrade(client: aiohttp.ClientSession) -> None:
    async with client.get(REALTIME) as reply:
        assert reply.status == 400
    async with client.get(REALTIME, headers={"Authorization": "Bearer x"}) as reply:
        assert reply.status == 401
