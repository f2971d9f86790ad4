"""What OpenAI's endpoints share: tools, answer formats, and the fields that name the end user.

Sources: type definitions of openai-python 3.57. Tools that would work on content kept at the
provider (vector stores, containers, files) are refused; a remote MCP server is the operator's
choice, because the provider contacts it with what the client gave. OpenRouter's tools that ask
other models are dropped: the key may not use those, and no usage has what they take.
"""

from __future__ import annotations

from typing import Final

from relayd.core.errors import RelayError
from relayd.wire.extent import CLIENTS_TOOLS, environment, reading
from relayd.wire.fields import (
    GONE, Act, Shape, Verdict, by_name, copies, drop, filled, items, kinds, number, refuse, remote,
    said,
)
from relayd.wire.schema import schema
from relayd.wire.tier import memory
from relayd.wire.walk import Walk

FUNCTION: Final = Shape({
    "name": None, "description": said, "parameters": schema, "strict": said,
    "output_schema": filled(schema), **copies("tools.function"),
}, other=said).put

FORMAT: Final = Shape()
FORMAT.define({
    "type": None, "name": None, "description": None, "schema": schema, "strict": None,
    "json_schema": FORMAT.put,
})
"""`response_format` of chat, whose schema is one level deeper, and `text.format` of responses."""

_NETWORK: Final = Shape({
    "type": None, "allowed_domains": None, "domain_secrets": refuse("tools.domain_secrets"),
}).put

_SKILLS: Final = items(kinds("type", {"skill_reference": refuse("tools.skills")}, by_name))

_PLACE: Final = Shape({
    "type": None, "container_id": refuse("tools.container_id"),
    "file_ids": refuse("tools.file_ids"), "memory_limit": memory, "network_policy": _NETWORK,
    "skills": _SKILLS,
}).put


def _container(value: object, walk: Walk) -> object:
    """A code interpreter's container: a new one, never one that exists (named by a string)."""
    if isinstance(value, str):
        raise RelayError("refused_field", param="tools.container")
    return _PLACE(value, walk)


_MASK: Final = Shape({"image_url": None, "file_id": refuse("tools.input_image_mask.file_id")}).put

_TOOL: Final = Shape(other=said)

_MCP: Final = Shape({
    "type": None, "server_label": None, "server_url": None, "connector_id": None,
    "tunnel_id": refuse("tools.tunnel_id"), "server_description": None, "authorization": None,
    "headers": by_name, "allowed_tools": by_name, "require_approval": by_name,
    "allowed_callers": None, "defer_loading": None,
}).put

_ROUTERS_SEARCH: Final = Shape({
    "type": None,
    "parameters": Shape({"user_location": drop("tools.parameters.user_location")}).put,
    "user_location": drop("tools.user_location"), **copies("tools"),
}).put

ROUTERS_TOOLS: Final[dict[str, Act]] = {
    "openrouter:web_search": reading(_ROUTERS_SEARCH),
    "openrouter:advisor": drop("tools.advisor"),
    "openrouter:fusion": drop("tools.fusion"),
    "openrouter:image_generation": drop("tools.image_generation"),
    "openrouter:subagent": drop("tools.subagent"),
}
"""By `type`; on Anthropic's endpoint too, which OpenRouter has as well."""

_reads_on: Final = reading(_TOOL.put)


def _other(value: object, walk: Walk) -> object:
    """A tool of a type that is not the client's; some take those without one for functions."""
    act = _reads_on if type(value) is dict and "type" in value else _TOOL.put
    return act(value, walk)


TOOL: Final = kinds("type", {
    **dict.fromkeys(CLIENTS_TOOLS, _TOOL.put),
    "mcp": remote("tools.mcp", reading(_MCP)),
    "file_search": refuse("tools.file_search"), "retrieval": refuse("tools.retrieval"),
    **ROUTERS_TOOLS,
}, _other)
"""One tool of chat or responses, told apart by its `type`. `retrieval` is Zhipu's search of files
that the operator keeps there."""

_EACH: Final = items(TOOL)


def _tools(value: object, walk: Walk) -> object:
    """The tools; a list of which nothing is left is not written, for providers refuse it."""
    kept = _EACH(value, walk)
    return GONE if kept == [] and value != [] else kept


TOOLS: Final[Act] = _tools

_TOOL.define({
    "type": None, "name": None, "description": said, "strict": None, "parameters": schema,
    "output_schema": filled(schema), "function": FUNCTION, "custom": by_name, "format": by_name,
    "tools": TOOLS, "input_schema": schema, "annotations": None, "container": _container,
    "environment": environment(_PLACE), "input_image_mask": _MASK,
    "vector_store_ids": refuse("tools.vector_store_ids"),
    "user_location": drop("tools.user_location"), **copies("tools"),
})
"""Every other tool: `tools` are a namespace's, `container` and `environment` where code runs. Of
what may be null the types of openai-python require `parameters` and `strict` alone to be there."""


_LEFT_OUT: Final = frozenset(
    {"tools.advisor", "tools.fusion", "tools.image_generation", "tools.subagent"})
AMONG_TOOLS: Final = frozenset({"tool_choice", "parallel_tool_calls"})
"""Fields that providers refuse without tools."""


def leave_choice(fields: dict[str, object], walk: Walk) -> None:
    """Where none is left of the tools that came, what was said of them goes with them. A choice
    that demands one stays: the provider's refusal is the answer to it."""
    choice = fields.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind not in (None, "auto", "none") or walk.dropped.isdisjoint(_LEFT_OUT):
        return
    for name in sorted(AMONG_TOOLS & fields.keys()):
        del fields[name]
        walk.drop(name)


def choices(value: object, walk: Walk) -> object:
    """How many answers are asked for: one is what every API of models gives unasked."""
    value = number(value, walk)
    return GONE if value == 1 and type(value) is int else value


def note_end_user(value: object, walk: Walk) -> object:
    """`user` or `safety_identifier`: kept aside; the later in the table's order counts."""
    if isinstance(value, str) and value:
        walk.end_user = value
    elif not isinstance(value, str):
        raise RelayError("invalid_field", param="user")
    return GONE


def _named(name: str) -> Act:
    """As `note_end_user`; where nothing may stand for the end user the name is reported."""
    dropped = drop(name)

    def act(value: object, walk: Walk) -> object:
        if walk.policy.end_user == "absent":
            return dropped(value, walk)
        return note_end_user(value, walk)
    return act


END_USER: Final[dict[str, Verdict]] = {
    "user": _named("user"), "safety_identifier": _named("safety_identifier"),
}
"""Both name the end user; the API documents that `safety_identifier` takes precedence."""


def end_user(fields: dict[str, object], walk: Walk) -> None:
    """One field stands for the end user upstream, `user`: every provider of this API knows it.

    It is written whether the client named a user or not, so that its absence tells nothing.
    """
    if walk.policy.end_user != "absent":
        fields["user"] = ""
        walk.stand_ins += (("user", "end_user", walk.end_user),)


def cache_key(value: object, walk: Walk) -> object:
    """`prompt_cache_key`: a pseudonym stands for it, or nothing."""
    if not isinstance(value, str):
        raise RelayError("invalid_field", param="prompt_cache_key")
    if not value:
        return GONE
    if walk.policy.cache_key == "absent":
        walk.drop("prompt_cache_key")
        return GONE
    walk.stand_ins += (("prompt_cache_key", "cache_key", value),)
    return ""


def cache_retention(value: object, walk: Walk) -> object:
    """`prompt_cache_retention`: in memory alone; a longer one keeps content at the provider."""
    if value == "in_memory":
        return value
    walk.drop("prompt_cache_retention")
    return GONE


def _lifetime(report: str) -> Act:
    """How long a cache keeps content at the least: the API's default, no longer."""
    dropped = drop(report)

    def act(value: object, walk: Walk) -> object:
        return value if value == "30m" else dropped(value, walk)
    return act


CACHE_BREAKPOINT: Final = Shape({
    "mode": None, "ttl": _lifetime("prompt_cache_breakpoint.ttl"),
}).put

CACHE_OPTIONS: Final = Shape({
    "mode": None, "ttl": _lifetime("prompt_cache_options.ttl"), "prewarm": None,
    "comparison_response_id": drop("prompt_cache_options.comparison_response_id"),
}).put

_STREAM_OPTIONS: Final = Shape({"include_usage": None, "include_obfuscation": None}).put


def stream_options(value: object, walk: Walk) -> object:
    """`stream_options`: notes whether the client itself asked for the usage event."""
    if type(value) is not dict:
        raise RelayError("invalid_field", param="stream_options")
    walk.usage_asked = value.get("include_usage") is True
    return _STREAM_OPTIONS(value, walk)


def streaming(fields: dict[str, object], walk: Walk, *, with_usage: bool) -> None:
    """Writes `stream` and `stream_options` last; the options mean nothing without a stream.

    `with_usage`: the usage event is asked for, whether the client wants to see it or not.
    """
    options = fields.pop("stream_options", None)
    fields.pop("stream", None)
    if not walk.stream:
        walk.usage_asked = False
        return
    fields["stream"] = True
    wanted = {"include_usage": True} if with_usage else {}
    if isinstance(options, dict):
        options.pop("include_usage", None)
        wanted.update(options)
    if wanted:
        fields["stream_options"] = wanted
