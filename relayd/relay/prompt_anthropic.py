"""Prompt counts of Anthropic's messages: estimates, for its tokenizer is not public.

Law: what a field of a wrong type would have said counts nothing; nothing here raises for a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from relayd.relay.prompt_image import image_tokens, size_of_base64
from relayd.relay.prompt_tally import Object, Tally, any_object, member, objects

OPENING: Final = 4
MESSAGE: Final = 3
"""Recorded: 7 tokens around a single message, 3 more around each further one."""

RESULT: Final = 20
ARGUMENT: Final = 10
"""Recorded of calls in a history: around a result, and around each argument of a call."""

REFERENCE: Final = 80
"""The definition of a deferred tool that a result names (recorded of small ones: 70 to 85)."""

THINKING: Final = 28
SCHEMA: Final = 140
"""What extended thinking and a schema for the answer add (recorded: 28 to 29, 120 to 160)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a family of models puts around tools (recorded).

    `tools` once where there are tools, `forced` more where one has to be called; `tool` for each
    of them; `call` for each call in the history.
    """

    tools: int
    tool: int
    forced: int
    call: int


_SINCE_4_5: Final = Frame(496, 18, 92, 20)
FRAMES: Final = {
    "claude": Frame(313, 25, 2, 35), "claude-3": Frame(270, 25, 0, 35),
    "claude-5": Frame(300, 18, 120, 20),
}
"""By family; all others are taken for Claude 4.5. Anthropic publishes `tools` by model: 264 to 530
(Claude 3), 313 (4), 496 (4.5, 4.6), 675 (Opus 4.7), 290 (4.8), 286 (Opus 5), 354 (Sonnet 5). Where
some are deferred, 118 more are recorded since Claude 5."""

OWN_TOOLS: Final = {
    "bash": 235, "code_execution": 1760, "computer": 1300, "memory": 1040,
    "tool_search_tool_bm25": 290, "tool_search_tool_regex": 290, "web_fetch": 800,
    "web_search": 1690,
}
"""What the model is told of Anthropic's own tools (recorded), by their types without the date.
What they find, and that the prompt is then billed again, cannot be foreseen."""

_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_FOUND: Final = ("stdout", "stderr", "content")


def messages(tally: Tally, fields: Mapping[str, object]) -> None:
    """`/v1/messages` and `/v1/messages/count_tokens`."""
    frame = FRAMES.get(tally.encoding.family, _SINCE_4_5)
    tally.fixed(OPENING)
    system = fields.get("system")
    tally.text(system)
    for block in tally.each(system, "system"):
        _outer(tally, block, frame)
    for message in tally.each(fields.get("messages"), "messages"):
        tally.fixed(MESSAGE)
        _content(tally, message.get("content"), frame)
    tools = fields.get("tools")
    if any_object(tools):
        forced = member(fields.get("tool_choice"), "type") in ("any", "tool")
        tally.fixed(frame.tools + frame.forced if forced else frame.tools)
    for tool in tally.each(tools, "tools"):
        _tool(tally, tool, frame)
    schema = member(member(fields.get("output_config"), "format"), "schema")
    if schema is None:
        schema = member(fields.get("output_format"), "schema")
    if schema is not None:
        tally.fixed(SCHEMA)
        tally.json(schema)
    if member(fields.get("thinking"), "type") == "enabled":
        tally.fixed(THINKING)


def _tool(tally: Tally, tool: Object, frame: Frame) -> None:
    """A tool whose loading is deferred is not in the prompt until a result names it."""
    if tool.get("defer_loading") is True:
        return
    tally.fixed(frame.tool)
    kind = tool.get("type")
    if type(kind) is str:
        tally.fixed(OWN_TOOLS.get(kind.rpartition("_")[0], 0))
    tally.text(tool.get("name"))
    tally.text(tool.get("description"))
    tally.json(tool.get("input_schema"))
    tally.json(tool.get("input_examples"))


def _content(tally: Tally, content: object, frame: Frame) -> None:
    """A text or a list of blocks; a tool's result holds such content again."""
    tally.text(content)
    for block in objects(content):
        _outer(tally, block, frame)


def _outer(tally: Tally, block: Object, frame: Frame) -> None:
    _block(tally, block, frame)
    content = block.get("content")
    for inner in objects(content):
        _block(tally, inner, frame)
    if type(content) is dict:  # what running code printed, a file that it showed, a page
        for name in _FOUND:
            tally.text(content.get(name))
        if type(page := content.get("content")) is dict:
            _block(tally, page, frame)


def _block(tally: Tally, block: Object, frame: Frame) -> None:
    kind = block.get("type")
    if kind == "text":
        tally.text(block.get("text"))
    elif kind == "image":
        source = block.get("source")
        size = size_of_base64(member(source, "data"))
        tally.fixed(image_tokens(tally.encoding.family, size))
    elif type(kind) is str and kind in _CALLS:
        arguments = block.get("input")
        tally.fixed(frame.call + (ARGUMENT * len(arguments) if type(arguments) is dict else 0))
        tally.text(block.get("name"))
        tally.json(arguments)
    elif kind == "tool_result":
        tally.fixed(RESULT)
        tally.text(block.get("content"))
    elif kind == "document":
        tally.text(member(block.get("source"), "data")
                   if member(block.get("source"), "type") == "text" else None)
    elif kind == "thinking":
        tally.text(block.get("thinking"))
    elif kind == "compaction":
        tally.text(block.get("content"))
    elif kind == "tool_reference" or kind == "tool_addition":
        tally.fixed(REFERENCE)
    else:
        tally.text(block.get("text"))
