"""Responses over WebSocket: each response is a call of its own, told in events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from relayd.wire.websocket import CLOSE, TEXT, close_payload, frame
from tests.fakes.daemon import Lane
from tests.fakes.rawclient import RawClient, request_bytes
from tests.fakes.rawupstream import Answer, Request, chunked, head
from tests.fakes.sockets import HANDSHAKE

MODEL = "gpt-test"
USAGE = {
    "input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
}


def said(kind: str, **members: Any) -> bytes:
    """One event of a provider's stream; its JSON has spaces, as the relay's never has."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.dumps(
        {"type": kind, **members}).encode())


CREATED = said("response.created", sequence_number=0, response={"id": "resp_1", "output": []})
DELTA = said("response.output_text.delta", sequence_number=1, item_id="m", output_index=0,
             content_index=0, delta="Hello", logprobs=[])
COMPLETED = said("response.completed", sequence_number=2, response={
    "id": "resp_1", "object": "response", "status": "completed", "model": MODEL, "output": [],
    "usage": USAGE})
HEAD = head(200, (("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")))
