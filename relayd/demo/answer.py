"""What the demo provider decides to answer, before any dialect puts it into its shape.

Law: a pure function of the wish. A tool is called where tools are offered and the last word is the
client's; after a tool's result comes text. A long list of tools is an agent's own toolbox: the
demo never makes an agent run something on somebody's machine.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from relayd.demo import prose
from relayd.demo.sample import value_for

TOOLS_MAX: Final = 4
"""More tools than this are an agent's, and are only called where the client forces one."""
CHOICES_MAX: Final = 8
CACHE_STEP: Final = 128
CACHE_TOKENS_MIN: Final = 1024


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the client offers; `schema` is that of its arguments."""

    name: str
    schema: Any


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for, in no dialect's words.

    `forced` None: the model may choose; "": some tool must be called; else that one. `answered`:
    the last word is a tool's result. `schema` is that of a structured answer ({}: any object).
    """

    model: str
    question: str
    input_tokens: int
    tools: tuple[Tool, ...] = ()
    forced: str | None = None
    tools_off: bool = False
    answered: bool = False
    schema: Any = None
    thinks: bool = False
    output_tokens_max: int | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call; `arguments` is JSON."""

    name: str
    value: Mapping[str, Any]
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice: pieces of reasoning, then text or a call. `cut`: the token limit ended it."""

    reasoning: tuple[str, ...]
    text: tuple[str, ...]
    call: Call | None
    cut: bool

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of reasoning: a part of the output."""
        return len(self.reasoning)

    @property
    def output_tokens(self) -> int:
        """Everything that was generated."""
        called = 0
        if self.call is not None:
            called = prose.count(self.call.name) + prose.count(self.call.arguments)
        return len(self.reasoning) + len(self.text) + called


def answer(wish: Wish, turn: int = 0) -> Answer:
    """The answer to a wish; `turn` is the index of the choice."""
    reasoning = prose.pieces(prose.REASONING) if wish.thinks or prose.thinks(wish.model) else ()
    tool = _tool(wish)
    if tool is not None:
        value = value_for(tool.schema)
        value = value if isinstance(value, dict) else {}
        return Answer(reasoning, (), Call(tool.name, value, orjson.dumps(value).decode()), False)
    text = prose.pieces(_text(wish, turn), wish.model)
    most = wish.output_tokens_max
    if most is None or len(reasoning) + len(text) <= most:
        return Answer(reasoning, text, None, False)
    reasoning = reasoning[:most]
    return Answer(reasoning, text[:most - len(reasoning)], None, True)


def choices(wish: Wish, wanted: object) -> list[Answer]:
    """As many answers as the request wants, within reason."""
    number = wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else 1
    return [answer(wish, turn) for turn in range(min(max(number, 1), CHOICES_MAX))]


def _tool(wish: Wish) -> Tool | None:
    if not wish.tools or wish.tools_off:
        return None
    if wish.forced:
        return next((tool for tool in wish.tools if tool.name == wish.forced), None)
    if wish.forced == "":
        return wish.tools[0]
    return wish.tools[0] if not wish.answered and len(wish.tools) <= TOOLS_MAX else None


def _text(wish: Wish, turn: int) -> str:
    if wish.schema is not None:
        return orjson.dumps(value_for(wish.schema) or {}).decode()
    if wish.answered:
        return prose.AFTER_TOOL
    return prose.answer(wish.model, wish.question, turn)


def cached_tokens(input_tokens: int) -> int:
    """How much of a prompt the demo claims to have cached: whole steps of a long one."""
    if input_tokens < CACHE_TOKENS_MIN:
        return 0
    return input_tokens // 2 // CACHE_STEP * CACHE_STEP


def new_id(prefix: str) -> str:
    """An id as providers make them."""
    return prefix + secrets.token_hex(12)
