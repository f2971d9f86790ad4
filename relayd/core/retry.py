"""Which failed attempts are made again, where, after which wait, and how many in all.

Law: only before the first byte of a reply has gone to the client, and only what `RULES` says. A
call to a model is not idempotent: where a provider may have worked on it, it is sent again only
where its answer says that it failed. Pure: told the time and the dice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Reason = Literal["unavailable", "context_length", "content_policy"]
"""Why another model may be asked instead."""
Scope = Literal["nobody", "provider", "deployment", "credential"]
"""Whose health a failure counts against."""

WAIT_SECONDS: Final = 0.25
WAIT_SECONDS_MAX: Final = 4.0
"""The bound of the first wait, and of every later one, each twice the one before."""
ASKED_SECONDS_MAX: Final = 5.0
"""A provider that asks for a longer wait is not waited for: the client is told instead."""
RETRY_SHARE: Final = 0.2
BUDGET_SECONDS: Final = 10.0
BUDGET_MIN: Final = 10
"""Further attempts over the last 10 to 20 seconds: a share of the calls, or so many at least."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What follows from one kind of failure.

    `again`: the same deployment may be asked once more after a wait; `onward`: the next one, or
    the next credential where `scope` says that it is one's own fault; `sent`: the provider may
    have worked on the call; `hard`: nothing answers there; `reason`: which fallback it is for.
    """

    meaning: str
    again: bool = False
    onward: bool = True
    scope: Scope = "nobody"
    hard: bool = False
    sent: bool = True
    reason: Reason | None = "unavailable"


RULES: Final[dict[str, Rule]] = {
    # nothing of the request was sent
    "connect": Rule("no connection: refused, no route, no name, no way through a proxy, too slow",
                    scope="provider", hard=True, sent=False),
    "tls": Rule("no secure connection", scope="provider", hard=True, sent=False),
    "busy": Rule("no connection or place in its queue was free", sent=False),
    # it was sent, and no answer came
    "reset": Rule("closed before or in the middle of its answer's head", scope="deployment"),
    "timeout": Rule("no answer in the provider's first_byte time", scope="deployment", hard=True),
    "protocol": Rule("an answer that is not valid HTTP, or a redirect", scope="deployment"),
    # an answer came that says that it failed
    "request_timeout": Rule("408", again=True, scope="deployment"),
    "conflict": Rule("409", again=True),
    "rate_limited": Rule("429, or a word for it", again=True, scope="credential"),
    "overloaded": Rule("498, 503, 529, or an overload as a stream's first event", again=True,
                       scope="deployment"),
    "failed": Rule("500, 502, 504 and all other 5xx", scope="deployment"),
    "quota": Rule("402, or another status with a word for no credit", scope="credential"),
    "auth": Rule("401, or a word for a bad credential", scope="credential"),
    "forbidden": Rule("403", scope="credential", reason=None),
    "not_found": Rule("404: this provider does not have the model"),
    # the request is at fault: every deployment of the same model would say so
    "context_length": Rule("the prompt is too long for the model", onward=False,
                           reason="context_length"),
    "content_policy": Rule("the prompt is against the provider's policy", onward=False,
                           reason="content_policy"),
    "rejected": Rule("any other 4xx", onward=False, reason=None),
}
"""A kept connection that closes before a byte of an answer is no failure: the call is sent once
more on a fresh one (RFC 9112 section 9.3.1)."""

_BY_CODE: Final = {
    "upstream_connect": "connect", "upstream_proxy": "connect", "upstream_tls": "tls",
    "upstream_busy": "busy",
    "upstream_reset": "reset", "upstream_truncated": "reset", "upstream_stalled": "reset",
    "upstream_timeout": "timeout", "upstream_protocol": "protocol",
    "upstream_endless": "protocol",
    "provider_auth": "auth", "provider_quota": "quota", "provider_rate_limited": "rate_limited",
}
_BY_STATUS: Final = {
    401: "auth", 402: "quota", 403: "forbidden", 404: "not_found", 408: "request_timeout",
    409: "conflict", 429: "rate_limited", 498: "overloaded", 503: "overloaded", 529: "overloaded",
}
_CONTEXT_LENGTH: Final = frozenset({
    "context_length_exceeded", "string_above_max_length", "request_too_large",
    "model_context_window_exceeded", "prompt_too_long",
})
_CONTENT_POLICY: Final = frozenset({
    "content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation",
    "data_inspection_failed", "DataInspectionFailed", "1301", "sensitive_words_detected",
    "moderation_blocked", "contentFilter",  # of images: OpenAI's, Azure's
})


def kind_of(code: str, status: int = 0, words: frozenset[str] = frozenset()) -> str:
    """The row of `RULES`, from an error's code (core/errors.py).

    `status`: the provider's, where it answered; `words`: the machine-readable members of its
    error.
    """
    if status in (400, 403, 413, 422):
        if words & _CONTEXT_LENGTH:
            return "context_length"
        if words & _CONTENT_POLICY:
            return "content_policy"
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    if 300 <= status < 400:
        return "protocol"
    if status >= 500 or code == "provider_failed":
        return _BY_STATUS.get(status, "failed")
    return _BY_STATUS.get(status, "rejected")


def wait(turn: int, dice: float, asked: float | None, patience: float) -> float | None:
    """Seconds until the same deployment is asked again, None where that is too long.

    `turn` counts the waits of a call from 0; `dice` is in [0, 1): full jitter; `asked` is what the
    provider asked for, which is kept to the moment and a little more; `patience` is how long the
    client will wait yet.
    """
    longest = min(WAIT_SECONDS * 2.0 ** min(turn, 10), WAIT_SECONDS_MAX)
    seconds = dice * longest
    if asked is not None:
        if asked > ASKED_SECONDS_MAX:
            return None
        seconds = max(asked, 0.0) + dice * WAIT_SECONDS
    return seconds if seconds < patience else None


class Budget:
    """How many further attempts are made, as a share of the calls of the last seconds."""

    __slots__ = ("calls", "_share", "_retries", "_before", "_turned")

    def __init__(self, share: float = RETRY_SHARE) -> None:
        self.calls = 0
        self._share = share
        self._retries = 0
        self._before = (0, 0)
        self._turned = 0.0

    def call(self, now: float) -> None:
        """One call."""
        if now - self._turned >= BUDGET_SECONDS:
            self._turn(now)
        self.calls += 1

    def spend(self, now: float) -> bool:
        """Whether one more may be made; it then counts."""
        self._turn(now)
        calls = self.calls + self._before[0]
        retries = self._retries + self._before[1]
        if retries + 1 > max(self._share * calls, BUDGET_MIN if self._share else 0):
            return False
        self._retries += 1
        return True

    def note(self, now: float) -> None:
        """One was made that loads no provider: it counts, and is never refused."""
        self._turn(now)
        self._retries += 1

    def _turn(self, now: float) -> None:
        passed = now - self._turned
        if passed >= BUDGET_SECONDS:
            fresh = passed < 2 * BUDGET_SECONDS
            self._before = (self.calls, self._retries) if fresh else (0, 0)
            self.calls = self._retries = 0
            self._turned = now
