"""Names of conversations: per account, the client's key before the text, new in each process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from relayd.relay.sticky import Sticky


def exchange(account: str = "a", text: str = "hi", key: str | None = None) -> Any:
    fields = {"messages": [{"role": "user", "content": text}]}
    stand_ins = () if key is None else (("prompt_cache_key", "cache_key", key),)
    return SimpleNamespace(ask=SimpleNamespace(fields=fields, stand_ins=stand_ins),
                           grant=SimpleNamespace(account=account))


def test_names() -> None:
    sticky = Sticky()
    names = [sticky.key(exchange(*args)) for args in (
        (), ("b",), ("a", "ho"), ("a", "hi", "key"), ("b", "hi", "key"), ("a", "hi", "other"))]
    assert len(set(names)) == 6 and all(name and len(name) == 16 for name in names)
    assert sticky.key(exchange()) == names[0]
    assert sticky.key(exchange("a", "another text", "key")) == names[3]
    # an account and a text never stand for others by their joint
    assert sticky.key(exchange("", "key")) != sticky.key(exchange("", "", "key"))
    assert Sticky().key(exchange()) != names[0]


def test_what_is_no_conversation_has_none() -> None:
    sticky = Sticky()
    assert sticky.key(exchange(text="")) is None
    assert sticky.key(SimpleNamespace(ask=None, grant=None)) is None  # type: ignore[arg-type]
