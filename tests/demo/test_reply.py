"""Tests of framing."""

from __future__ import annotations

from relayd.demo.reply import event, json_reply, typed


def test_events() -> None:
    assert event({"a": "é\n"}) == 'data: {"a":"é\\n"}\n\n'.encode()
    assert event({"a": 1}, "name") == b'event: name\ndata: {"a":1}\n\n'
    assert typed({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_plain() -> None:
    reply = json_reply({"a": [1]})
    assert (reply.body, reply.content_type) == (b'{"a":[1]}', "application/json")
