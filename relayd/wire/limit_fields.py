"""Header fields that tell a client how far it is from its limits, by each API's own names.

Law: the figures are the relay's own, never those of the operator's account at a provider. Gemini
has no such fields; a wait is told in its error's body.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from relayd.core.provider import Api
from relayd.core.timestamp import rfc3339

LIMIT_FIELDS: Final = tuple(
    f"x-ratelimit-{figure}-{unit}" for unit in ("requests", "tokens")
    for figure in ("limit", "remaining", "reset"))
"""OpenAI's names, which pages of other origins may read too."""


class Standing(NamedTuple):
    """One limit per minute: how high, how much is left, and when all of it is back (ms)."""

    limit: int
    remaining: int
    reset_ms: int


def duration(ms: int) -> str:
    """A time as OpenAI writes it: `120ms`, `1.182s`, `6m0s`."""
    if ms < 1000:
        return f"{ms}ms" if ms > 0 else "0s"
    minutes, rest = divmod(ms, 60_000)
    seconds = f"{rest / 1000:g}s"
    return f"{minutes}m{seconds}" if minutes else seconds


def limit_lines(
    api: Api, requests: Standing | None, tokens: Standing | None, now_ms: int
) -> bytes:
    """The field lines of a reply; b"" where nothing is limited per minute."""
    if api == "gemini":
        return b""
    text = ""
    for unit, standing in (("requests", requests), ("tokens", tokens)):
        if standing is None:
            continue
        limit, remaining, reset_ms = standing
        if api == "anthropic":
            text += (f"anthropic-ratelimit-{unit}-limit: {limit}\r\n"
                     f"anthropic-ratelimit-{unit}-remaining: {remaining}\r\n"
                     f"anthropic-ratelimit-{unit}-reset: {rfc3339(now_ms + reset_ms)}\r\n")
        else:
            text += (f"x-ratelimit-limit-{unit}: {limit}\r\n"
                     f"x-ratelimit-remaining-{unit}: {remaining}\r\n"
                     f"x-ratelimit-reset-{unit}: {duration(reset_ms)}\r\n")
    return text.encode("ascii")
