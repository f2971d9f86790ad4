"""What a family of models puts around a prompt's texts on OpenAI's endpoints: one table.

Law: figures alone. OpenAI's are its published rules with the corrections that recorded usage
asks for; the others' are fitted to recorded usage (docs/counting.md has the errors), and stand
for chat templates that differ by provider and version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Frame:
    """Tokens of the model itself, beyond texts, names, arguments and roles.

    `opening` once, with the beginning of the reply; `message` for each; `assistant` more for each
    of the model's own; `call` for each tool call; `tools` once where there are tools, of which
    `tools_beside_system` less with a system message and `tools_chat` more on the chat endpoint,
    instead of all three `tools_responses` on that of Responses where it is set, and there
    `call_responses` more for each call;
    `tool` for each of them; `schema` for the schema of the answer, None where the model is not
    shown it. Tools are shown as TypeScript, as JSON, or as JSON with spaces between its tokens.
    """

    opening: int
    message: int
    call: int
    tools: int
    schema: int | None = 17
    tool: int = 0
    assistant: int = 0
    tools_beside_system: int = 0
    tools_chat: int = 0
    tools_responses: int | None = None
    call_responses: int = 0
    shown_as: Literal["typescript", "json", "spaced"] = "json"


OPENAI: Final = Frame(
    3, 3, 7, 9, 0, tools_beside_system=4, tools_responses=3, call_responses=4,
    shown_as="typescript")
_REASONING: Final = Frame(2, 3, 11, 9, 0, assistant=2, shown_as="typescript")
_GPT_5: Final = Frame(
    2, 3, 11, 9, 0, assistant=2, tools_chat=81, call_responses=4, shown_as="typescript")

FRAMES: Final[dict[str, Frame]] = {
    "gpt-3.5-0301": Frame(3, 4, 7, 9, 0, tools_beside_system=4, shown_as="typescript"),
    "gpt-5": _GPT_5, "gpt-5-mini": _GPT_5, "gpt-5-nano": _GPT_5, "gpt-5.4": _GPT_5,
    "o": _REASONING, "o-mini": _REASONING,
    "gpt-oss": Frame(63, 3, 14, 20, 63, shown_as="typescript"),
    "claude-3": Frame(4, 2, 50, 270, 140, tool=25), "claude": Frame(4, 2, 50, 313, 140, tool=25),
    "claude-4.5": Frame(4, 2, 50, 496, 140, tool=18),
    "claude-5": Frame(4, 2, 50, 300, 140, tool=18),
    "gemini": Frame(0, -1, 0, 0, None), "gemini-2": Frame(0, -1, 0, 0, None),
    "gemini-3": Frame(0, -1, 0, 0, None),
    "llama-3": Frame(5, 3, 20, 190, tool=8, shown_as="spaced"),
    "llama": Frame(30, 4, 20, 190, tool=8, shown_as="spaced"),
    "llama-4": Frame(30, 4, 20, 530, tool=8, shown_as="spaced"),
    "mistral": Frame(1, 2, 14, 0, None, tool=10, shown_as="spaced"),
    "qwen": Frame(3, 4, 20, 75, tool=8, shown_as="spaced"),
    "qwen-3": Frame(3, 4, 20, 75, tool=8, shown_as="spaced"),
    "deepseek": Frame(1, 2, 25, 220, tool=8, shown_as="spaced"),
    "deepseek-4": Frame(80, 2, 25, 210, tool=8, shown_as="spaced"),
    "glm": Frame(5, 2, 6, 84, None, tool=6, shown_as="spaced"),
    "kimi": Frame(3, 3, 18, 4, tool=8, shown_as="spaced"),
    "kimi-2.5": Frame(3, 3, 18, 10, tool=8, shown_as="typescript"),
    "grok": Frame(185, 2, 50, 60, 0, tool=8),
    "sonar": Frame(0, 0, 7, 9, None),
}
"""By the family of `relay/tokenizer.py`; all others are counted by OpenAI's published rules."""


def frame_of(family: str) -> Frame:
    """The frame of a family."""
    return FRAMES.get(family, OPENAI)
