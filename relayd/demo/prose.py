"""What the demo provider says: paragraphs about relays, cut into tokens, and how text is counted.

Law: deterministic. The same question gets the same answer; a piece of text is one token in streams
and in reported usage alike, so that the two always agree.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any, Final

PARAGRAPHS: Final = (
    "A relay stands between those who ask and those who answer. It passes each word on as it "
    "comes, keeps none of them, and counts them all. In Chinese it is called 中继, and runners "
    "hand one over on the track: 🏃‍♀️→🏃. This answer came from the demo provider that is built "
    "into relayd, so nothing left your machine.",
    "In 1835 the electrical relay carried telegraph signals farther than one battery could: a "
    "weak current closed a switch, and a fresh one went on. 电报 crossed continents that way. A "
    "relay for language models does the same with tokens 🔁: a request goes in, a clean one goes "
    "out, and the answer streams back unchanged. You are reading one now, from the demo provider.",
    "Good relays are boring. They are fast, they forget what they carried, and they know to the "
    "token how much it was. Naïve ones buffer the stream; this one does not: each of these words "
    "arrived on its own 🐇. 接力 means to run in turns, and the demo provider has just handed you "
    "the baton. Ask again with another model name to see other dialects.",
)
AFTER_TOOL: Final = (
    "Thank you, the tool has answered ✅. With that result the demo provider has all it needs: the "
    "call went out through the relay, your code ran it, and its result came back the same way. "
    "工具调用 works end to end."
)
REASONING: Final = (
    "The question came through a relay, so it could have come from anyone. I look at what was "
    "asked, not at who asked 🤔. A short answer about relays fits; 好的, I write that."
)
LONG_PIECES: Final = 2_000
LONG_NAME: Final = "demo-long"
ECHO_NAME: Final = "demo-echo"
"""Says what it was asked: `relayd audit-canary` wants its text to come back."""
THINKING_NAMES: Final = ("think", "reason")

_PIECE: Final = re.compile(r"\s*(?:[A-Za-z]{1,12}|[0-9]{1,3}|\S)|\s+")
_WORD: Final = re.compile(r"\s*\S+|\s+")
_NOT_TEXT: Final = frozenset({
    "id", "type", "role", "model", "data", "url", "signature", "encrypted_content", "call_id",
    "tool_call_id", "tool_use_id", "thoughtSignature", "mimeType", "media_type",
})
_DEPTH_MAX: Final = 64


def pieces(text: str, model: str = "") -> tuple[str, ...]:
    """The tokens of a text; joined they give the text again. An echo's words stay whole."""
    return tuple((_WORD if ECHO_NAME in model else _PIECE).findall(text))


def count(text: str) -> int:
    """How many tokens a text has."""
    return sum(1 for _ in _PIECE.finditer(text))


def texts(node: Any, depth: int = 0) -> Iterator[str]:
    """Every string of a request that a model would read, in order."""
    if isinstance(node, str):
        yield node
    elif depth < _DEPTH_MAX and isinstance(node, list):
        for item in node:
            yield from texts(item, depth + 1)
    elif depth < _DEPTH_MAX and isinstance(node, dict):
        for key, value in node.items():
            if key not in _NOT_TEXT:
                yield from texts(value, depth + 1)


def count_all(*nodes: Any) -> int:
    """The tokens of everything in these parts of a request; at least one."""
    return max(1, sum(count(text) for node in nodes for text in texts(node)))


def answer(model: str, question: str, turn: int = 0) -> str:
    """The answer to a question; `turn` counts the choices of one request."""
    if ECHO_NAME in model and question:
        return question
    first = zlib.crc32(question.encode("utf-8", "surrogatepass")) + turn
    if LONG_NAME not in model:
        return PARAGRAPHS[first % len(PARAGRAPHS)]
    parts: list[str] = []
    total = 0
    while total < LONG_PIECES:
        paragraph = PARAGRAPHS[(first + len(parts)) % len(PARAGRAPHS)]
        parts.append(paragraph)
        total += count(paragraph)
    return "\n\n".join(parts)


def thinks(model: str) -> bool:
    """True for models that show their reasoning without being asked to."""
    return any(word in model for word in THINKING_NAMES)
