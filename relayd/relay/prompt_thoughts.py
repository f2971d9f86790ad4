"""What models thought before they answered or called tools, in chats that give it back to them.

Law: they read it again until the user's next message, as their chat templates have it, so its
count is not known with the message. Its place is found by how unread messages begin.
"""

from __future__ import annotations

from typing import Final

from relayd.relay.prompt_tally import Object, Tally, objects
from relayd.wire.spliced import Run, Spliced

TAGGED: Final = frozenset({"qwen", "qwen-3", "glm", "deepseek", "deepseek-4"})
"""Families whose templates take a thought out of the answer, up to its end tag."""
THOUGHT_END: Final = "</think>"

_USER: Final = b'{"role":"user"'
_TOOL: Final = b'{"role":"tool"'
"""How messages begin in canonical JSON."""
_WHOLE: Final = "chat thoughts"
_REST: Final = "chat thoughts since the user"
"""Where what is known of messages belongs: all of them, those after the user's last one."""


def answer(tally: Tally, content: str) -> str:
    """What the model said to the user."""
    return content.rpartition(THOUGHT_END)[2] if tally.encoding.family in TAGGED else content


def thoughts(tally: Tally, messages: object) -> None:
    """Those of the messages after the user's last one."""
    for message in reversed(messages) if type(messages) is list else ():
        if type(message) is Run:
            if _of_run(tally, message):
                return
        elif _is(message, "user", _USER):
            return
        elif not _is(message, "tool", _TOOL):
            _count(tally, message, _WHOLE)


def _is(message: object, role: str, text: bytes) -> bool:
    if type(message) is Spliced:
        return message.text.startswith(text)
    return type(message) is dict and message.get("role") == role


def _of_run(tally: Tally, run: Run) -> bool:
    """Whether a message of the user is among them; those that follow it are counted then."""
    if tally.knows(run, _WHOLE):
        return False
    if tally.knows(run, _REST):
        return True
    rest = _rest(run)
    _count(tally, run if rest is None else rest, _WHOLE if rest is None else _REST)
    return rest is not None


def _count(tally: Tally, messages: object, where: str) -> None:
    for message in tally.each([messages], where):
        _thought(tally, message)


def _thought(tally: Tally, message: Object) -> None:
    """Three names are used, often more than one for the same."""
    said = message.get("reasoning_content") or message.get("reasoning")
    if said:
        tally.text(said)
    else:
        for part in objects(message.get("reasoning_details")):
            tally.text(part.get("text"))
    content = message.get("content")
    if (tally.encoding.family in TAGGED and type(content) is str
            and message.get("role") == "assistant"):
        tally.text(content.rpartition(THOUGHT_END)[0])


def _rest(run: Run) -> Run | None:
    """What follows the last message of the user; None without such a message."""
    end = len(run.text)
    for number in range(len(run.sizes) - 1, -1, -1):
        start = end - run.sizes[number]
        if run.text[start:start + len(_USER)] == _USER:
            after = start + run.sizes[number] + 1
            return Run(run.text[after:], run.tags[number + 1:], run.sizes[number + 1:], run.tag)
        end = start - 1
    return None
