"""The models of the demo: the usual names, so that quickstarts run as they are, and the faults.

Law: one table of names and patterns; the demo's routes and the demo provider's lists come from it.
"""

from __future__ import annotations

from typing import Any, Final

from relayd.core.provider import Api

OPENAI: Final = (
    "gpt-6.2-sol", "gpt-5.5", "gpt-5.4-mini", "gpt-4.1", "gpt-4o", "gpt-4o-mini",
    "gpt-3.5-turbo-instruct", "o3", "o4-mini", "text-embedding-3-small", "text-embedding-3-large",
    "omni-moderation-latest", "gpt-image-2", "dall-e-3", "whisper-1", "gpt-4o-transcribe", "tts-1",
    "gpt-4o-mini-tts", "gpt-realtime", "rerank-v3.5",
)
ANTHROPIC: Final = (
    "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-sonnet-4-5",
)
GEMINI: Final = (
    "gemini-3.8-flash", "gemini-3.1-pro-preview", "gemini-2.5-flash", "gemini-embedding-001",
)
DEMO: Final = (
    "demo", "demo-think", "demo-long", "demo-echo", "demo-slow", "demo-cut", "demo-error",
    "demo-stall", "demo-noend", "demo-html", "demo-400", "demo-401", "demo-402", "demo-403",
    "demo-404", "demo-408", "demo-409", "demo-413", "demo-422", "demo-429", "demo-500", "demo-502",
    "demo-503", "demo-504", "demo-529",
)
PATTERNS: Final = (
    "gpt-*", "chatgpt-*", "codex-*", "o*", "text-embedding-*", "text-moderation-*",
    "omni-moderation-*", "dall-e-*", "whisper-*", "tts-*", "rerank*", "claude-*", "gemini-*",
    "gemma-*", "demo-*", "fake*",
)
NAMES: Final[dict[Api, tuple[str, ...]]] = {
    "openai": OPENAI + DEMO, "anthropic": ANTHROPIC + DEMO, "gemini": GEMINI + DEMO,
}
CREATED: Final = 1_767_225_600
CREATED_TEXT: Final = "2026-01-01T00:00:00Z"


def listing(api: Api) -> dict[str, Any]:
    """All models, as this API lists them."""
    entries = [entry(api, name) for name in NAMES[api]]
    if api == "gemini":
        return {"models": entries}
    if api == "anthropic":
        return {"data": entries, "has_more": False, "first_id": entries[0]["id"],
                "last_id": entries[-1]["id"]}
    return {"object": "list", "data": entries}


def entry(api: Api, name: str) -> dict[str, Any]:
    """One model, as this API describes it."""
    if api == "gemini":
        return {"name": f"models/{name}", "version": "001", "displayName": name,
                "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["generateContent", "countTokens"]}
    if api == "anthropic":
        return {"type": "model", "id": name, "display_name": name, "created_at": CREATED_TEXT,
                "lifecycle": "active"}
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "relayd-demo"}
