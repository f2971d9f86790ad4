"""What of a request's input the length of its body does not bound, noted while it is read.

A picture by its address is a few words in the body, a document of some kilobytes has a thousand
pages, a film an hour; and with some tools the provider goes on reading by itself, more than came.
Balances set aside what such a call may cost (relay/wallet.py). Of some of it, and of thoughts and
sound, only the reply's last event tells how much it was: nobody can count it if the client leaves
before (relay/abandoned.py). The notes go the way of dropped names, so that they are remembered
with known elements.
"""

from __future__ import annotations

from typing import Final

from relayd.wire.fields import Act, Verdict
from relayd.wire.walk import OPEN, PICTURED, UNTOLD, Walk

PICTURE_TOKENS_MAX: Final = 5_000
"""Of one picture, however short: Claude's largest have 4,784."""

TEXT_LETTERS: Final = 20
"""Text has a space among its first ones."""

CLIENTS_TOOLS: Final = (
    "function", "custom", "namespace", "tool_search", "local_shell", "shell", "apply_patch",
    "computer", "computer_use_preview", "computer-preview",
)
"""Types of tools of OpenAI's that the client runs itself, or that read nothing more."""
_ANTHROPICS: Final = ("bash_", "text_editor_", "computer_", "memory_", "tool_search_")
"""How those of Anthropic's begin; `custom` is not written."""


def opened(act: Verdict) -> Act:
    """Runs `act` on what may have any number of tokens; an empty list has none."""
    def run(value: object, walk: Walk) -> object:
        if value is not None and value != []:
            walk.drop(OPEN)
        return value if act is None else act(value, walk)
    return run


def document(act: Act) -> Act:
    """Runs `act` on a document of Anthropic's: one that is text in the body is no longer than it.
    """
    def run(value: object, walk: Walk) -> object:
        source = value.get("source") if type(value) is dict else None
        if type(source) is not dict or not _is_text(source):
            walk.drop(OPEN)
        return act(value, walk)
    return run


def _is_text(source: dict[str, object]) -> bool:
    """Not what wire/estimate.py may take for a file: it looks for a space in the bytes of the
    body, where a letter has up to 12."""
    data = source.get("data")
    return source.get("type") == "content" or (
        source.get("type") == "text" and type(data) is str and " " in data[:TEXT_LETTERS])


def untold(act: Verdict) -> Act:
    """Runs `act` on what has tokens that the relay cannot count: sound, and what makes a model
    think, of which little or nothing is shown."""
    def run(value: object, walk: Walk) -> object:
        if value and not (type(value) is dict and value.get("type") == "disabled"):
            walk.drop(UNTOLD)
        return value if act is None else act(value, walk)
    return run


def reading(act: Verdict) -> Act:
    """Runs `act` on a tool with which the provider reads on while it answers."""
    return untold(opened(act))


def picture(act: Verdict) -> Act:
    """Runs `act` on a picture: its data or address, or an object that has it as `url`. It may have
    more tokens than it has letters."""
    def run(value: object, walk: Walk) -> object:
        where = value.get("url") if type(value) is dict else value
        if type(where) is str and len(where) < PICTURE_TOKENS_MAX:
            walk.drop(PICTURED)
        return value if act is None else act(value, walk)
    return run


def blob(act: Act) -> Act:
    """Runs `act` on Gemini's `inlineData`: a picture or sound has as many tokens as its length
    allows, anything else any number."""
    def run(value: object, walk: Walk) -> object:
        if type(value) is dict:
            kind = value.get("mimeType", value.get("mime_type"))
            if type(kind) is not str or not kind.startswith(("image/", "audio/")):
                walk.drop(OPEN)
            _picture(value.get("data"), walk)
        return act(value, walk)
    return run


_picture: Final = picture(None)


def environment(act: Act) -> Act:
    """Runs `act` on where a tool runs; with what is not the client's own the provider reads on."""
    def run(value: object, walk: Walk) -> object:
        if type(value) is dict and value.get("type") != "local":
            walk.drop(OPEN)
            walk.drop(UNTOLD)
        return act(value, walk)
    return run


def note_tool(kind: object, walk: Walk) -> None:
    """Notes a tool of Anthropic's by its type."""
    if type(kind) is not str or not kind.startswith(_ANTHROPICS):
        walk.drop(OPEN)
        walk.drop(UNTOLD)
