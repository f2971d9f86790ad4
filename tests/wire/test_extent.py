"""What a body's length does not bound is noted as it is read, also where it is known already."""

from __future__ import annotations

import json
from typing import Any

import pytest

from relayd.wire.body import SPLIT_BYTES_MIN, Ask, read
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.extent import PICTURE_TOKENS_MAX
from relayd.wire.known import Elements, Known
from relayd.wire.walk import OPEN, PICTURED, UNTOLD, BodyPolicy

POLICY = BodyPolicy(remote_mcp="on")
ICON, LARGE = "iVBO" * 100, "iVBO" * PICTURE_TOKENS_MAX


def chat(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}], **fields}


def responses(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": list(parts)}], **fields}


def contents(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": list(parts)}], **fields}


def source(kind: str, **fields: str) -> dict[str, Any]:
    return {"type": kind, "source": fields}


TEXT = {"type": "text", "text": "x" * SPLIT_BYTES_MIN}
FUNCTION = {"type": "function", "function": {"name": "f"}}
URL = {"url": "https://a.example/b"}
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("chat", chat(TEXT, tools=[FUNCTION, {"type": "custom", "custom": {"name": "c"}}]), set()),
    ("chat", chat(tools=[{"function": {"name": "f"}}]), set()),
    ("chat", chat(TEXT, {"type": "image_url", "image_url": URL}), {PICTURED}),
    ("chat", chat({"type": "image_url", "image_url": {
        "url": f"data:image/png;base64,{ICON}"}}), {PICTURED}),
    ("chat", chat({"type": "image_url", "image_url": {
        "url": f"data:image/png;base64,{LARGE}"}}), set()),
    ("chat", chat(TEXT, {"type": "file", "file": {"file_data": "data:application/pdf;base64,JV"}}),
     {OPEN}),
    ("chat", chat(TEXT, {"type": "video_url", "video_url": URL}), {OPEN}),
    ("chat", chat(TEXT, {"type": "document_url", "document_url": URL["url"]}), {OPEN}),
    ("chat", chat({"type": "file_url", "file_url": URL}), {OPEN}),
    ("chat", chat({"type": "audio_url", "audio_url": URL}), {OPEN}),
    ("chat", chat(TEXT, tools=[{"type": "browser_search"}]), {OPEN, UNTOLD}),
    ("chat", chat(TEXT, tools=[{"type": "openrouter:web_search"}]), {OPEN, UNTOLD}),
    ("responses", responses({"type": "input_image", "image_url": URL["url"]}), {PICTURED}),
    ("responses", responses({"type": "input_file", "file_url": URL["url"]}), {OPEN}),
    ("responses", responses({"type": "input_file", "file_data": "JVBE"}), {OPEN}),
    ("responses", responses(tools=[{"type": "code_interpreter", "container": {"type": "auto"}}]),
     {OPEN, UNTOLD}),
    ("responses", responses(tools=[{"type": "web_search"}]), {OPEN, UNTOLD}),
    ("responses", responses(tools=[{"type": "mcp", "server_url": URL["url"]}]), {OPEN, UNTOLD}),
    ("responses", responses(tools=[{"type": "shell", "environment": {"type": "container_auto"}}]),
     {OPEN, UNTOLD}),
    ("responses", responses(tools=[{"type": "shell", "environment": {"type": "local"}}]), set()),
    ("responses", responses(tools=[{"type": "shell"}, {"type": "namespace", "tools": [
        {"type": "function", "name": "f"}]}]), set()),
    ("messages", chat(TEXT, source("image", type="base64", data=LARGE)), set()),
    ("messages", chat(TEXT, source("image", type="base64", data=ICON)), {PICTURED}),
    ("messages", chat(TEXT, source("image", type="url", **URL)), {PICTURED}),
    ("messages", chat(TEXT, source("document", type="base64", data="JVBE")), {OPEN, PICTURED}),
    ("messages", chat(TEXT, source("document", type="text", data="a word " * 2_000)), set()),
    ("messages", chat(TEXT, source("document", type="text", data="aword" * 2_000)), {OPEN}),
    ("messages", chat(TEXT, source("document", type="base64", data="JV BE" * 2_000)), {OPEN}),
    ("messages", chat(TEXT, {"type": "document", "source": {"type": "text", "data": 1}}), {OPEN}),
    ("messages", chat(TEXT, {"type": "document", "source": {"type": "content", "content": [
        {"type": "text", "text": "a word"}, source("image", type="url", **URL)]}}), {PICTURED}),
    ("messages", chat({"type": "document"}, mcp_servers=[]), {OPEN}),
    ("messages", chat(TEXT, mcp_servers=[]), set()),
    ("messages", chat({"type": "tool_result", "tool_use_id": "t", "content": [
        source("document", type="base64", data=LARGE)]}), {OPEN}),
    ("messages", chat(TEXT, tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}]),
     {OPEN, UNTOLD}),
    ("messages", chat(TEXT, tools=[
        {"type": "bash_20250124", "name": "bash"}, {"type": "custom", "name": "c"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
        {"name": "d", "input_schema": {}}]), set()),
    ("messages", chat(TEXT, mcp_servers=[{"type": "url", **URL}]), {OPEN, UNTOLD}),
    ("generate", contents({"text": "x"}, tools=[
        {"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]), set()),
    ("generate", contents({"fileData": {"fileUri": "https://youtu.be/x"}}), {OPEN}),
    ("generate", contents({"inline_data": {"mime_type": "image/png", "data": LARGE}}), set()),
    ("generate", contents({"inlineData": {"mimeType": "image/png", "data": ICON}}), {PICTURED}),
    ("generate", contents({"inlineData": {"mimeType": "audio/mp3", "data": LARGE}}), set()),
    ("generate", contents({"inlineData": {"mimeType": "application/pdf", "data": LARGE}}), {OPEN}),
    ("generate", contents({"inlineData": {"data": LARGE}}), {OPEN}),
    ("generate", contents(tools=[{"urlContext": {}}]), {OPEN}),
    ("generate", contents(tools=[{"code_execution": {}}]), {OPEN}),
    ("chat", chat(TEXT, {"type": "input_audio", "input_audio": {"data": LARGE, "format": "mp3"}}),
     {UNTOLD}),
    ("messages", chat(TEXT, thinking={"type": "enabled", "budget_tokens": 1024}), {UNTOLD}),
    ("messages", chat(TEXT, thinking={"type": "adaptive"}), {UNTOLD}),
    ("messages", chat(TEXT, thinking={"type": "disabled"}), set()),
]
NAMES = [f"{operation}-{number}" for number, (operation, _, _) in enumerate(CASES)]


def asked(operation: str, body: dict[str, Any], known: Known | None = None) -> Ask:
    endpoint = BY_OPERATION[operation]
    raw = json.dumps({"model": "m", **body} if endpoint.api != "gemini" else body,
                     separators=(",", ":")).encode()
    return read(endpoint, raw, POLICY, "m" if endpoint.api == "gemini" else None, known)


@pytest.mark.parametrize(("operation", "body", "marks"), CASES, ids=NAMES)
def test_what_the_length_of_a_body_does_not_bound(
    operation: str, body: dict[str, Any], marks: set[str]
) -> None:
    ask = asked(operation, body)
    assert ask.marks == marks
    assert not any("\0" in name for name in ask.dropped)


@pytest.mark.parametrize(("operation", "body", "marks"), CASES, ids=NAMES)
def test_it_is_noted_of_what_was_sent_before(
    operation: str, body: dict[str, Any], marks: set[str]
) -> None:
    memory = Elements(255)
    lists = [name for name in ("messages", "input", "contents") if name in body]
    hits = 0
    for turn in range(4):
        body = {**body, **{name: [*body[name], {"role": "user", **(
            {"parts": [{"text": "y" * SPLIT_BYTES_MIN}]} if name == "contents"
            else {"content": f"{turn}" * SPLIT_BYTES_MIN})}] for name in lists}}
        known = memory.of("account", BY_OPERATION[operation].api, POLICY)
        assert known is not None
        ask = asked(operation, body, known)
        assert ask.marks == marks and ask.dropped == ()
        hits += known.hits
    assert hits or not lists
