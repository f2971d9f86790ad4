"""What is sent: valid, of the size that it says, and no two requests alike."""

from __future__ import annotations

import json

import pytest

from bench import payload


def split(request: bytes) -> tuple[bytes, bytes]:
    head, _, body = request.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    return head, body


@pytest.mark.parametrize(("requests", "least", "most"), [
    (payload.chat_requests("sk", stream=False), 250, 350),
    (payload.chat_requests("sk", stream=True), 300, 400),
    (payload.agent_requests("sk"), 78_000, 82_000),
])
def test_requests_have_their_size(requests: list[bytes], least: int, most: int) -> None:
    bodies = [split(request)[1] for request in requests]
    assert all(least <= len(body) <= most for body in bodies)
    assert len({len(body) for body in bodies}) == payload.VARIANTS
    assert all(json.loads(body)["model"] for body in bodies)


def test_an_agent_request_has_what_agents_send() -> None:
    body = json.loads(split(payload.agent_requests("sk")[0])[1])
    assert body["stream"] and len(body["tools"]) == 12 and len(body["system"]) == 3
    kinds = [part["type"] for turn in body["messages"] for part in turn["content"]]
    assert kinds.count("tool_use") == kinds.count("tool_result") == 6


def test_a_chat_stream_is_one_json_object_an_event() -> None:
    events = payload.chat_events(64)
    assert len(events) == 64 + payload.EVENTS_AROUND
    assert events[-1] == (b"data: [DONE]\n\n", b"")
    whole = [json.loads((before + b"0" * payload.STAMP_DIGITS + after)[6:])
             for before, after in events[:-1]]
    text = "".join(each["choices"][0]["delta"].get("content", "")
                   for each in whole if each["choices"])
    assert len(text.split()) == 64
    assert whole[-1]["usage"]["completion_tokens"] == 64


def test_replies_are_whole() -> None:
    assert 550 <= len(payload.chat_reply()) <= 750
    assert json.loads(payload.chat_reply())["usage"]["total_tokens"] == 70
    events = payload.agent_reply().split(b"\n\n")
    assert len(events) == 24 + 1 and events[-1] == b""
    assert all(json.loads(event.split(b"\ndata: ")[1])["type"] for event in events[:-1])


def test_text_is_the_same_for_the_same_seed() -> None:
    assert payload.text(500, 3) == payload.text(500, 3) != payload.text(500, 4)
    assert len(payload.text(500, 3)) == 500


def test_a_next_turn_has_all_that_was_sent_before_and_something_new() -> None:
    before = [json.loads(split(request)[1]) for request in payload.agent_requests("sk")]
    turns = [json.loads(split(request)[1]) for request in payload.agent_turns("sk", 3, 20)]
    for number, turn in enumerate(turns):
        first = before[number % payload.VARIANTS]
        assert turn["messages"][:-2] == first["messages"] and turn["tools"] == first["tools"]
    assert len({json.dumps(turn["messages"][-1]) for turn in turns}) == 20
    again = payload.agent_turns("sk", 4, 1)[0]
    assert split(again)[1] != split(payload.agent_turns("sk", 3, 1)[0])[1]


@pytest.mark.parametrize("shape", payload.BIG_SHAPES)
def test_big_prompts_are_big_and_differ(shape: str) -> None:
    bodies = [split(payload.big_request("sk", shape, seed))[1] for seed in (1, 2)]
    assert bodies[0] != bodies[1]
    assert all(900_000 < len(body) < 1_300_000 for body in bodies)
    assert json.loads(bodies[0])["messages"]
