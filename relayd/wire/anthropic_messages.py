"""The fields of POST /v1/messages and /v1/messages/count_tokens (anthropic 2.14, beta ones too).

What refers to content or state at the provider (containers, threads, files) is refused, as is what
names another payer. `fallbacks` and the advisor tool are dropped: they would run models that the
key may not use, and what an advisor takes is in no total of the answer's usage.
"""

from __future__ import annotations

from typing import Final

import msgspec

from relayd.wire.extent import document, note_tool, picture, reading, untold
from relayd.wire.fields import (
    GONE, Shape, Table, Verdict, by_name, copies, drop, filled, flag_stream, items, kinds, number,
    refuse, remote, said, silent,
)
from relayd.wire.openai_tools import ROUTERS_TOOLS, leave_choice
from relayd.wire.schema import schema
from relayd.wire.tier import speed, tier
from relayd.wire.walk import Walk

BILLING_PREFIX: Final = "x-anthropic-billing-header:"
"""How Claude Code's first system block begins: its version, and a hash of the first message."""

_NAMED_USER: Final = ("device_id", "account_uuid")
"""What of Claude Code's JSON in `metadata.user_id` names a user; the rest names a session."""

_BLOCK: Final = Shape(other=said)


def _tool_type(value: object, walk: Walk) -> object:
    """A tool is `custom` unless it says otherwise."""
    if value is None or value == "custom":
        return GONE
    note_tool(value, walk)
    return value


def _true(value: object, walk: Walk) -> object:
    """A mark that is not set unless it is true."""
    return GONE if value is None or value is False else value


_TOOL: Final = Shape({
    "type": _tool_type, "name": None, "description": None, "input_schema": schema, "strict": said,
    "input_examples": None, "user_location": drop("tools.user_location"),
    "cache_control": said, **copies("tools"),
}, other=said).put
"""LiteLLM and the SDK's helpers for JavaScript spell the type out, those for Python do not."""

_drop_advisor: Final = drop("tools.advisor")
_usual_tool: Final = kinds("type", ROUTERS_TOOLS, _TOOL)


def _tool(value: object, walk: Walk) -> object:
    """A tool that names a model of its own is another model's answer."""
    act = _drop_advisor if type(value) is dict and "model" in value else _usual_tool
    return act(value, walk)


def _added(value: object, walk: Walk) -> object:
    """A block that adds a tool, which may be defined there; without its tool it says nothing."""
    added = value.get("tool") if type(value) is dict else None
    defined = added.get("definition") if type(added) is dict else None
    if type(added) is dict and type(defined) is dict:
        added["definition"] = defined = _tool(defined, walk)
    return GONE if defined is GONE else _BLOCK.put(value, walk)


_BLOCKS: Final = items(kinds("type", {
    "container_upload": refuse("messages.content.container_upload"), "tool_addition": _added,
    "document": document(_BLOCK.put),
}, _BLOCK.put))

_SOURCE: Final = kinds("type", {"file": refuse("messages.content.source.file")}, Shape({
    "type": None, "media_type": None, "data": picture(None), "url": picture(None),
    "content": _BLOCKS,
}).put)
"""Where an image or a document comes from; a search result's source is a plain string."""


_BESIDE: Final = copies("messages.content")
_BESIDE["id"] = None
"""What applications keep beside a block's own members; of those `id` is one of the API's."""

_BLOCK.define({
    "type": None, "id": None, "tool_use_id": None, "server_name": None, "name": None,
    "input": None, "text": None, "thinking": None, "signature": None, "data": None,
    "source": _SOURCE, "title": None, "context": None, "content": _BLOCKS, "is_error": _true,
    "citations": filled(by_name), "caller": said, "transformations": by_name, "tabs": by_name,
    "state_changes": by_name, "tool_changes": _BLOCKS,
    "tool": Shape({"type": None, "name": None, "server_name": None, "definition": None}).put,
    "from": by_name, "to": by_name, "trigger": by_name, "cache_control": said,
    "parsed_output": drop("messages.content.parsed_output"), **_BESIDE,
})
"""`input` is a tool's arguments: free JSON, kept in its order. `parsed_output` is what the SDK
made of an answer that came before; what its dump of one names without a value goes too."""

_MESSAGE: Final = Shape({
    "role": None, "content": _BLOCKS, "clear_at": by_name, "output_config": by_name,
    **copies("messages"),
}).put

_FORMAT: Final = Shape({"type": None, "name": None, "schema": schema}).put

_SERVER: Final = Shape({
    "type": None, "name": None, "url": None, "authorization_token": None,
    "tool_configuration": by_name,
}).put


def _is_billing(block: object) -> bool:
    if type(block) is bytes:
        block = msgspec.json.decode(block)
    text = block.get("text") if isinstance(block, dict) else None
    return isinstance(text, str) and text.startswith(BILLING_PREFIX)


def _system(value: object, walk: Walk) -> object:
    """The system prompt, if it says anything; a first block that only says which client this is
    goes."""
    if isinstance(value, list) and value and _is_billing(value[0]):
        walk.drop("system.billing_header")
        value = value[1:]
    return _BLOCKS(value, walk) if value else GONE


def user_of(user_id: str) -> str:
    """The lasting part of a `metadata.user_id`: Claude Code puts its session's id there too."""
    if not user_id.startswith("{"):
        return user_id
    try:
        told = msgspec.json.decode(user_id)
    except (ValueError, RecursionError):
        return user_id
    if not isinstance(told, dict):
        return user_id
    return "|".join(str(told.get(name, "")) for name in _NAMED_USER)


def _metadata(value: object, walk: Walk) -> object:
    """`metadata.user_id` names the end user; nothing else of it has a meaning."""
    if walk.policy.end_user == "absent":
        return drop("metadata")(value, walk)
    user_id = value.get("user_id") if type(value) is dict else None
    if type(user_id) is str and user_id:
        walk.end_user = user_of(user_id)
    return GONE


def _billing(value: object, walk: Walk) -> object:
    """`billing_policy`: the operator pays; that is the default and needs no field."""
    if type(value) is dict and value.get("bill_to", "self") == "self":
        return GONE
    return refuse("billing_policy")(value, walk)


def _finish(fields: dict[str, object], walk: Walk) -> None:
    if walk.policy.end_user != "absent":
        fields["metadata"] = ""
        walk.stand_ins += (("metadata", "metadata", walk.end_user),)
    if "tool_choice" in fields and "tools" not in fields:
        leave_choice(fields, walk)
    fields.pop("stream", None)
    if walk.stream:
        fields["stream"] = True


_SAFEGUARD: Final = Shape({
    "type": None, "classifier_context": drop("safeguards.classifier_context"),
}).put
"""A check of the answer's tool calls. Its context is free JSON about whoever runs the agent."""

_PROMPT: Final[dict[str, Verdict]] = {
    "model": None,
    "system": _system,
    "messages": items(_MESSAGE),
    "tools": filled(items(_tool)),
    "tool_choice": by_name,
    "thinking": untold(Shape({"type": None, "budget_tokens": number, "display": None}).put),
    "cache_control": by_name,
    "context_management": filled(by_name),
    "compaction": by_name,
    "output_config": filled(Shape({
        "effort": None, "format": _FORMAT, "task_budget": by_name}).put),
    "output_format": _FORMAT,
    "mcp_servers": remote("mcp_servers", reading(items(_SERVER))),
    "speed": speed,
    "safeguards": items(_SAFEGUARD),
    "billing_policy": _billing,
    "user_profile_id": refuse("user_profile_id"),
    "workspace_id": refuse("workspace_id"),
    "betas": drop("betas"),
    "diagnostics": drop("diagnostics"),
    "fallback_credit_token": drop("fallback_credit_token"),
    "fallbacks": drop("fallbacks"),
    "container": refuse("container"),
    "thread": refuse("thread"),
}
"""What both endpoints take, or what neither does."""

_SAMPLING: Final[dict[str, Verdict]] = {
    "max_tokens": number,
    "temperature": number,
    "top_p": number,
    "top_k": number,
    "stop_sequences": filled(by_name),
    "service_tier": tier("service_tier"),
    "inference_geo": None,
    "metadata": _metadata,
    "stream": flag_stream,
}

MESSAGES: Final = Table({**_PROMPT, **_SAMPLING}, _finish)

COUNT_TOKENS: Final = Table({**_PROMPT, **dict.fromkeys(_SAMPLING, silent)})
"""A count needs no sampling and no user: these fields go without a word."""
