"""The usual chat in one go: messages that are a role and a text, with nothing beside them.

Law: what is counted here is what the rule of `relay/prompt_openai.py` counts, under the same keys
of the memo; whatever is not as plain as that gives None and is left to the rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relayd.relay.count import Count
from relayd.relay.prompt_frame import FRAMES, OPENAI
from relayd.relay.prompt_memo import AccountMemo
from relayd.relay.prompt_openai import BESIDE_MESSAGES, ROLE_AND_CONTENT
from relayd.relay.prompt_thoughts import TAGGED, THOUGHT_END
from relayd.relay.tokenizer import O200K_HAN, Encodings, ModelEncoding

ROLES: Final = {"user": False, "system": False, "developer": False, "assistant": True}
"""Roles that are one token under the encodings named here; True: the model said it."""
ENCODINGS: Final = frozenset({"o200k_base", "cl100k_base", O200K_HAN})
"""Those of chat models."""


def plain_chat(
    fields: Mapping[str, object], encoding: ModelEncoding, encodings: Encodings, memo: AccountMemo
) -> Count | None:
    """Tokens of a chat's prompt, and whether they are exact; None where it is not plain.

    For bodies that are counted on the loop: what is encoded is as short as they are.
    """
    messages, name = fields.get("messages"), encoding.name
    if (type(messages) is not list or not BESIDE_MESSAGES.isdisjoint(fields)
            or name not in ENCODINGS):
        return None
    frame = FRAMES.get(encoding.family, OPENAI)
    tagged = encoding.family in TAGGED
    place = memo.places.get(name) or memo.place_of_texts(encoding)
    known = memo.memo.texts
    tokens, fixed = len(messages), frame.opening
    for message in messages:
        if type(message) is not dict or len(message) != ROLE_AND_CONTENT:
            return None
        role, content = message.get("role"), message.get("content")
        if type(role) is not str or type(content) is not str or role not in ROLES:
            return None
        if tagged and ROLES[role] and THOUGHT_END in content:
            return None
        key = hash(content) ^ len(content) ^ place
        counted = known.get(key)
        if counted is None:
            counted, exact = encodings.count(name, content)
            if not exact:
                return None
            memo.memo.put(key, counted)
        tokens += counted
        fixed += frame.message
        if ROLES[role]:
            fixed += frame.assistant
    if encoding.factor_permille != 1000:
        tokens = encoding.scaled(tokens)
    return max(tokens + fixed, 0), encoding.exact
