"""Prompt counts of Anthropic's messages: estimates, for its tokenizer is not public.

Law: what a field of a wrong type would have said counts nothing; nothing here raises for a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relayd.relay.prompt_image import image_tokens, size_of_base64
from relayd.relay.prompt_tally import Object, Tally, any_object, member, objects

OPENING: Final = 4
MESSAGE: Final = 3
"""Recorded: 7 tokens around a single message, 3 more around each further one."""

TOOLS: Final = 346
TOOLS_FORCED: Final = 313
"""Anthropic's published size of its own instructions for tools, by `tool_choice`."""

TOOLS_SINCE_4_5: Final = 180
"""How much more that is recorded to be with Claude 4.5 and later."""

TOOL: Final = 8
THINKING: Final = 28
SCHEMA: Final = 150
"""What extended thinking and a schema for the answer add (recorded: 28 to 29, 120 to 160)."""


def messages(tally: Tally, fields: Mapping[str, object]) -> None:
    """`/v1/messages` and `/v1/messages/count_tokens`."""
    tally.fixed(OPENING)
    system = fields.get("system")
    tally.text(system)
    for block in tally.each(system, "system"):
        _outer(tally, block)
    for message in tally.each(fields.get("messages"), "messages"):
        tally.fixed(MESSAGE)
        _content(tally, message.get("content"))
    tools = fields.get("tools")
    if any_object(tools):
        forced = member(fields.get("tool_choice"), "type") in ("any", "tool")
        tally.fixed(TOOLS_FORCED if forced else TOOLS)
        if tally.encoding.family != "claude":
            tally.fixed(TOOLS_SINCE_4_5)
    for tool in tally.each(tools, "tools"):
        tally.fixed(TOOL)
        tally.text(tool.get("name"))
        tally.text(tool.get("description"))
        tally.json(tool.get("input_schema"))
    schema = member(member(fields.get("output_config"), "format"), "schema")
    if schema is not None:
        tally.fixed(SCHEMA)
        tally.json(schema)
    if member(fields.get("thinking"), "type") == "enabled":
        tally.fixed(THINKING)


def _content(tally: Tally, content: object) -> None:
    """A text or a list of blocks; a tool's result holds such content again."""
    tally.text(content)
    for block in objects(content):
        _outer(tally, block)


def _outer(tally: Tally, block: Object) -> None:
    _block(tally, block)
    for inner in objects(block.get("content")):
        _block(tally, inner)


def _block(tally: Tally, block: Object) -> None:
    kind = block.get("type")
    if kind == "image":
        source = block.get("source")
        size = size_of_base64(member(source, "data"))
        tally.fixed(image_tokens(tally.encoding.family, size))
    elif kind == "tool_use":
        tally.text(block.get("name"))
        tally.json(block.get("input"))
    elif kind == "tool_result":
        tally.text(block.get("content"))
    elif kind == "document":
        tally.text(member(block.get("source"), "data")
                   if member(block.get("source"), "type") == "text" else None)
    else:
        tally.text(block.get("text"))
