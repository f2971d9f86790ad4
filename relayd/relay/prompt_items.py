"""What Responses, and tools that are no functions, add to a prompt: a table and rules for items.

Law: figures are fitted to recorded usage (docs/counting.md has the errors). What a provider's own
tools find cannot be foreseen and counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from relayd.relay.prompt_tally import Object, Tally, member, objects
from relayd.wire.spliced import Run, Spliced

CUSTOM: Final = 38
"""A custom tool, beyond its name and description (recorded: 38)."""
GRAMMAR: Final = 31
"""The grammar of a custom tool, beyond its text (recorded: 30 to 32)."""
OWN_TOOLS: Final = {"apply_patch": 623, "shell": 237, "web_search": 294, "web_search_preview": 294}
"""Tools that the provider describes: what the description takes (recorded with gpt-5.4, and the
search with gpt-4.1, where nothing was searched)."""
CARRIED_OUT: Final = {"apply_patch_call": 69, "shell_call": 41}
"""A call of one of them and what came of it, beyond what they say and the frame of a message."""

REREADING: Final = frozenset({"gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5.4", "o", "o-mini"})
"""Families that read their reasoning again until the user's next message."""
THOUGHT_SHORTEST: Final = 870
THOUGHT_CHARACTERS: Final = 6.3
"""Encrypted reasoning in base64: its tokens by its length (recorded: 9 for 952 characters, 134 for
1,612, 512 for 3,980, 1,024 for 8,150; what says nothing has 870)."""

_REASONING: Final = b'{"type":"reasoning",'
_USER: Final = (b'{"role":"user"', b'{"type":"message","role":"user"')
"""How items begin in canonical JSON."""
_ENCRYPTED: Final = b'"encrypted_content":"'


def own_tools(tally: Tally, tools: list[Object]) -> None:
    """Tools that are no functions: custom ones, the provider's. Of chat and of Responses."""
    for tool in tools:
        kind = tool.get("type")
        if kind == "custom":
            _custom(tally, tool.get("custom", tool))
        elif isinstance(kind, str) and kind in OWN_TOOLS and (
                kind != "shell" or member(tool.get("environment"), "type") == "local"):
            tally.fixed(OWN_TOOLS[kind])


def _custom(tally: Tally, custom: object) -> None:
    tally.fixed(CUSTOM)
    tally.text(member(custom, "name"))
    tally.text(member(custom, "description"))
    form = member(custom, "format")
    definition = member(member(form, "grammar") or form, "definition")  # chat has it deeper
    if definition is not None:
        tally.fixed(GRAMMAR)
        tally.text(definition)


def functions(tools: list[Object]) -> list[Object]:
    """The functions among tools of Responses that a model is shown, and its search for others."""
    shown = []
    for tool in tools:
        kind = tool.get("type")
        if kind == "function" and not tool.get("defer_loading"):
            shown.append(tool)
        elif kind == "tool_search" and "parameters" in tool:
            shown.append({**tool, "name": "tool_search"})
        elif kind == "namespace":
            shown.extend(inner for inner in objects(tool.get("tools"))
                         if inner.get("type") == "function" and not inner.get("defer_loading"))
    return shown


def call(tally: Tally, item: Object) -> None:
    """What a call says that has no arguments: commands, a patch, code; and what a server said."""
    action, operation = item.get("action"), item.get("operation")
    for commands in (member(action, "commands"), member(action, "command")):
        for command in commands if isinstance(commands, list) else ():
            tally.text(command)
    tally.text(member(operation, "path"))
    tally.text(member(operation, "diff"))
    tally.text(item.get("code"))
    tally.text(item.get("output"))


def output(tally: Tally, output: object) -> None:
    """What the shell said; what came of a patch is a text."""
    for part in objects(output):
        tally.text(part.get("stdout"))
        tally.text(part.get("stderr"))


def compaction(tally: Tally, item: Object) -> None:
    """What stands for all that was said before."""
    content = item.get("encrypted_content")
    if isinstance(content, str):
        tally.fixed(hidden(len(content)))


def hidden(length: int) -> int:
    """Tokens of an encrypted text of so many characters."""
    return max(round((length - THOUGHT_SHORTEST) / THOUGHT_CHARACTERS), 0)


def thoughts(tally: Tally, items: object, of_all_turns: bool = False) -> None:
    """Encrypted reasoning since the user's last message, so it is not known with the item."""
    if tally.encoding.family in REREADING:
        for length in _since_user(items, not of_all_turns):
            tally.fixed(hidden(length))


def _since_user(items: object, ends: bool) -> Iterator[int]:
    """How long each encrypted reasoning is after the user's last message, if that `ends` it."""
    for item in reversed(items) if isinstance(items, list) else ():
        if type(item) is dict:
            if ends and item.get("role") == "user":
                return
            content = item.get("encrypted_content")
            if item.get("type") == "reasoning" and isinstance(content, str):
                yield len(content)
        elif type(item) is Spliced or type(item) is Run:
            lengths, ended = _written(
                bytes(item.text), item.sizes if type(item) is Run else (len(item.text),), ends)
            yield from lengths
            if ended:
                return


def _written(text: bytes, sizes: Sequence[int], ends: bool) -> tuple[list[int], bool]:
    """The same of elements that were not read, and whether a message of the user is among them.

    The time goes by their number: only their beginnings are looked at.
    """
    lengths = []
    end = len(text)
    for size in reversed(sizes):
        start = end - size
        if text.startswith(_REASONING, start):
            lengths.append(_length(text, start, end))
        elif ends and text.startswith(_USER, start):
            return lengths, True
        end = start - 1
    return lengths, False


def _length(text: bytes, start: int, end: int) -> int:
    """The length of the encrypted text of an item; base64 has no quotation mark."""
    found = text.find(_ENCRYPTED, start, end)
    if found < 0:
        return 0
    found += len(_ENCRYPTED)
    return text.find(b'"', found) - found
