"""Header fields that tell a client how far it is from its limits, by each API's own names.

Law: the figures are the relay's own, never those of the operator's account at a provider. Gemini
has no such fields; a wait is told in its error's body.
"""

from __future__ import annotations

from typing import Final

from relayd.core.provider import Api
from relayd.core.timestamp import rfc3339

LIMIT_FIELDS: Final = tuple(
    name.format(figure, unit)
    for name in ("x-ratelimit-{0}-{1}", "anthropic-ratelimit-{1}-{0}")
    for unit in ("requests", "tokens") for figure in ("limit", "remaining", "reset"))
"""Their names, which pages of other origins may read too."""


_OPENAI: Final = (
    "x-ratelimit-limit-{0}: %d\r\nx-ratelimit-remaining-{0}: %d\r\nx-ratelimit-reset-{0}: %s\r\n")
_ANTHROPIC: Final = (
    "anthropic-ratelimit-{0}-limit: %d\r\nanthropic-ratelimit-{0}-remaining: %d\r\n"
    "anthropic-ratelimit-{0}-reset: %s\r\n")
_LINES: Final = {
    api: tuple(lines.format(unit) for unit in ("requests", "tokens"))
    for api, lines in (("openai", _OPENAI), ("anthropic", _ANTHROPIC))}


_BOTH: Final = "".join(_LINES["openai"]).encode()

Standing = tuple[int, int, int]
"""One limit per minute: how high, how much is left, and when all of it is back (ms)."""


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
    if requests and tokens and api == "openai":
        limit, remaining, reset_ms = requests
        most, left, full_ms = tokens
        return _BOTH % (limit, remaining, duration(reset_ms).encode(),
                        most, left, duration(full_ms).encode())
    text = ""
    for line, standing in zip(_LINES[api], (requests, tokens), strict=True):
        if standing is not None:
            limit, remaining, reset_ms = standing
            reset = duration(reset_ms) if api == "openai" else rfc3339(now_ms + reset_ms)
            text += line % (limit, remaining, reset)
    return text.encode("ascii")
