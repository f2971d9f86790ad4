"""The lawful request: an authority's, or one's own to protect rights, and what may answer it.

Law: states move by the table alone; who entered a request does not approve it. An account and a
user of the system are never two people: they may be one. What is produced is of the request's
scopes and time and nothing else; content is in no scope, because none is held.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from relayd.core.actor import Actor, Role
from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS

TEXT_CHARS_MAX: Final = 300
EXPIRES_MS_MAX: Final = 366 * DAY_MS
SHA256: Final = re.compile(r"[0-9a-f]{64}")

Basis = Literal["court_order", "investigation", "regulator", "rights_protection"]
BASES: Final[tuple[Basis, ...]] = (
    "court_order", "investigation", "regulator", "rights_protection")
APPROVERS: Final[dict[Basis, frozenset[Role]]] = {
    "court_order": frozenset({"legal", "owner"}),
    "investigation": frozenset({"legal", "owner"}),
    "regulator": frozenset({"legal", "owner"}),
    # nobody but ourselves asks: the owner answers for it
    "rights_protection": frozenset({"owner"}),
}
AT_SHELL: Final = "shell:"
"""Begins the name of a person who is known as a user of the system."""
CONTENT: Final = "content"
SCOPES: Final = ("profile", "keys", "calls", "network", "sign_ins", "orders", CONTENT)
"""What can be asked for. `content` is answered with "not held"."""
RequestState = Literal["open", "approved", "refused", "produced", "not_held", "expired"]
STATES: Final[tuple[RequestState, ...]] = (
    "open", "approved", "refused", "produced", "not_held", "expired")
RequestMove = Literal["approve", "refuse", "produce", "answer", "expire"]
MOVES: Final[dict[tuple[RequestState, RequestMove], RequestState]] = {
    ("open", "approve"): "approved",
    ("open", "refuse"): "refused",
    ("open", "answer"): "not_held",
    ("open", "expire"): "expired",
    ("approved", "produce"): "produced",
    ("approved", "refuse"): "refused",
    ("approved", "expire"): "expired",
}
ENDED: Final[frozenset[RequestState]] = frozenset({"refused", "produced", "not_held", "expired"})


@dataclass(frozen=True, slots=True)
class LawfulRequest:
    """One request. `authority` and `reference` may name people and are in no repr."""

    id: str
    account: str
    basis: Basis
    state: RequestState
    authority: str = field(repr=False)
    reference: str = field(repr=False)
    document_sha256: str
    scope: tuple[str, ...]
    since_ms: int
    until_ms: int
    requester: str
    opened_at_ms: int
    expires_at_ms: int
    approver: str | None = None
    decided_at_ms: int | None = None
    produced_at_ms: int | None = None
    produced: str | None = None
    produced_sha256: str | None = None
    canary_sha256: str | None = None
    gag_until_ms: int | None = None
    notified_at_ms: int | None = None

    @property
    def only_content(self) -> bool:
        """Whether it asks for nothing that exists."""
        return set(self.scope) == {CONTENT}


def advance(state: RequestState, move: RequestMove) -> RequestState:
    """The state after a move. Raises RelayError `request_state` where the table has no row."""
    try:
        return MOVES[state, move]
    except KeyError:
        raise RelayError("request_state", param="request") from None


def person(actor: Actor, user: str | None = None) -> str:
    """Who acts, for the two-person rule: an account, or a user of the system at the shell."""
    if actor.account is not None:
        return actor.account
    if actor.via == "shell" and user:
        return AT_SHELL + user
    raise RelayError("two_persons", param="request")


def judge_approval(request: LawfulRequest, who: str, roles: frozenset[Role]) -> None:
    """Raises `two_persons` for whoever entered it, and for whoever is known in another way, so
    that it may have been them; `role_needed` without the basis's role."""
    if who == request.requester or who.startswith(AT_SHELL) != request.requester.startswith(
            AT_SHELL):
        raise RelayError("two_persons", param="request")
    if APPROVERS[request.basis].isdisjoint(roles):
        raise RelayError("role_needed", param="request")


def check_scope(words: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes in the table's order, each once. Raises `invalid_value`."""
    if not words or not set(words) <= set(SCOPES):
        raise RelayError("invalid_value", param="scope")
    return tuple(word for word in SCOPES if word in words)


def check_sha256(text: str) -> str:
    """A SHA-256 in lower-case hexadecimal digits. Raises `invalid_value`."""
    text = text.strip().lower()
    if SHA256.fullmatch(text) is None:
        raise RelayError("invalid_value", param="document")
    return text
