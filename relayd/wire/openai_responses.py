"""The fields of POST /v1/responses (type definitions of openai-python 3.57).

Nothing is stored at the provider: `store` is false whatever was asked for, and a request that
builds on stored content (an earlier response, a conversation, an item by reference) is refused.

Item ids: with `store` false the provider does not look items up by id, and clients invent them
(Codex sends a random `msg_<uuid>` for every message), so an id would link requests and make equal
ones differ. Ids are dropped where the API does not need them: messages, reasoning (what counts is
`encrypted_content`; without it the API looks for the id, finds nothing stored and answers 404),
calls and outputs that `call_id` joins. They are kept where the API requires them or another item
refers to them: provider-side calls (web_search_call, image_generation_call,
code_interpreter_call, computer_call, ...), mcp_* items and programs.
"""

from __future__ import annotations

from typing import Final

from relayd.core.errors import RelayError
from relayd.wire.extent import opened, picture
from relayd.wire.fields import (
    GONE, Act, Shape, Table, Verdict, by_name, copies, drop, filled, flag_stream, items, kinds,
    number, refuse, said, whole,
)
from relayd.wire.openai_tools import (
    AMONG_TOOLS, CACHE_BREAKPOINT, CACHE_OPTIONS, END_USER, FORMAT, TOOLS, cache_key,
    cache_retention, end_user, leave_choice, stream_options, streaming,
)
from relayd.wire.tier import tier
from relayd.wire.walk import Walk

NAMELESS: Final = (
    "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output", "tool_search_call", "tool_search_output", "additional_tools",
    "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output",
    "computer_call_output", "compaction", "compaction_trigger", "configuration_update",
    "mcp_approval_response",
)
"""Types of items whose id is optional."""

_LOGPROB: Final = Shape()
_LOGPROB.define({
    "token": None, "bytes": None, "logprob": number, "top_logprobs": items(_LOGPROB.put),
})

_PART: Final = items(Shape({
    "type": None, "text": None, "refusal": None, "image_url": picture(None), "detail": None,
    "filename": None, "file_data": opened(None), "file_url": opened(None),
    "file_id": refuse("input.content.file_id"), "input_audio": by_name, "annotations": by_name,
    "logprobs": filled(items(_LOGPROB.put)),
    "prompt_cache_breakpoint": CACHE_BREAKPOINT,
    "parsed": drop("input.content.parsed"), "created_by": drop("input.content.created_by"),
    **copies("input.content"),
}, other=said).put)

_COPIES: Final = copies("input")

_ENVIRONMENT: Final = Shape({
    "type": None, "container_id": refuse("input.environment.container_id"),
}).put

_REST: Final[dict[str, Verdict]] = {
    "role": None, "phase": None, "status": None, "content": _PART, "summary": items(by_name),
    "encrypted_content": None, "call_id": None, "namespace": None, "name": None,
    "arguments": None, "input": None, "output": _PART, "action": by_name, "actions": by_name,
    "operation": by_name, "caller": by_name, "tools": TOOLS,
    "environment": _ENVIRONMENT,
    "container_id": refuse("input.container_id"),
    "reasoning": by_name, "text": Shape({"format": FORMAT.put}).put,
    "internal_chat_message_metadata_passthrough":
        drop("input.internal_chat_message_metadata_passthrough"),
    "client_metadata": drop("input.client_metadata"),
    "parsed_arguments": drop("input.parsed_arguments"), "created_by": drop("input.created_by"),
}
_UNNAMED: Final = Shape({
    "type": None, **_COPIES, **_REST,
    **dict.fromkeys(("phase", "status", "encrypted_content", "namespace", "caller"), said),
}, other=said).put
"""What SDKs dump of an answer names all that their types know, null where it said nothing. Items
that keep their id may have to say null: a code interpreter's outputs, for one."""

_NAMED: Final = Shape({"type": None, **_COPIES, "id": None, **_REST}).put


def _bare(value: object, walk: Walk) -> object:
    """As `said`, at every level; in a list null keeps its place."""
    if type(value) is dict:
        return {key: _bare(value[key], walk) for key in sorted(value) if value[key] is not None}
    if type(value) is list:
        return [inner if inner is None else _bare(inner, walk) for inner in value]
    return GONE if value is None else value


_SPARSE: Final[dict[str, Verdict]] = {
    **_REST,
    **dict.fromkeys(("phase", "status", "encrypted_content", "namespace", "caller", "call_id",
                     "name"), said),
    "content": filled(_PART), "output": filled(_PART), "action": _bare,
    "environment": filled(_ENVIRONMENT),
}
_UNNAMED_SPARSE: Final = Shape({"type": None, **_COPIES, **_SPARSE}, other=said).put
_NAMED_SPARSE: Final = Shape({"type": None, **_COPIES, "id": None, **_SPARSE}, other=said).put
"""Items that have members which may be null but need not be there: the types of openai-python
require none of theirs to be null, as they do of a double click's keys."""


def _other(value: object, walk: Walk) -> object:
    """An item of no type: a message, or an id alone, which refers to a stored item."""
    if type(value) is not dict or value.get("type") is not None:
        return _NAMED(value, walk)
    if "role" not in value and "id" in value:
        raise RelayError("refused_field", param="input.item_reference")
    return _UNNAMED(value, walk)


_UNMADE: Final = ("failed", "generating", "in_progress")


def _image(value: object, walk: Walk) -> object:
    """An image that was made before; without its result its id refers to a stored one. A call
    that has made none is not sent: with nothing stored the API answers 404 to its id."""
    if type(value) is dict and not value.get("result"):
        if value.get("status") not in _UNMADE:
            raise RelayError("refused_field", param="input.item_reference")
        walk.drop("input.image_generation_call")
        return GONE
    return _NAMED(value, walk)


_ITEM: Final[Act] = kinds("type", {
    **dict.fromkeys(NAMELESS, _UNNAMED),
    **dict.fromkeys(("reasoning", "tool_search_call", "tool_search_output", "shell_call",
                     "apply_patch_call_output"), _UNNAMED_SPARSE),
    **dict.fromkeys(("web_search_call", "file_search_call", "local_shell_call",
                     "local_shell_call_output", "mcp_call", "mcp_list_tools",
                     "mcp_approval_request"), _NAMED_SPARSE),
    "item_reference": refuse("input.item_reference"), "image_generation_call": _image,
}, _other)


def _finish(fields: dict[str, object], walk: Walk) -> None:
    end_user(fields, walk)
    if "tools" not in fields and not AMONG_TOOLS.isdisjoint(fields):
        leave_choice(fields, walk)
    fields["store"] = False
    streaming(fields, walk, with_usage=False)


TABLE: Final = Table({
    "model": None,
    "instructions": whole(None),
    "input": items(_ITEM),
    "tools": filled(TOOLS),
    "tool_choice": by_name,
    "parallel_tool_calls": None,
    "max_tool_calls": number,
    "max_output_tokens": number,
    "temperature": number,
    "top_p": number,
    "top_logprobs": number,
    "reasoning": filled(by_name),
    "text": filled(Shape({"format": FORMAT.put, "verbosity": None}).put),
    "include": filled(by_name),
    "truncation": None,
    "context_management": by_name,
    "image": by_name,
    "moderation": by_name,
    "service_tier": tier("service_tier"),
    "prompt_cache_key": cache_key,
    "prompt_cache_options": filled(CACHE_OPTIONS),
    "prompt_cache_retention": cache_retention,
    **END_USER,
    "access_programs": drop("access_programs"),
    "metadata": drop("metadata"),
    "client_metadata": drop("client_metadata"),
    "background": refuse("background"),
    "background_options": refuse("background_options"),
    "conversation": refuse("conversation"),
    "previous_response_id": refuse("previous_response_id"),
    "prompt": refuse("prompt"),
    "store": drop("store"),
    "stream": flag_stream,
    "stream_options": stream_options,
}, _finish)
"""`access_programs` claims an enrolment of the operator's organisation, so it is dropped."""
