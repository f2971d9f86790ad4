"""Erasure: an account's way out, with its cooling-off, and the certificate at its end.

Law: states move by the table alone. What goes and what must stay is one table, which the page
before, the job and the certificate all read: none can promise what another does not do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import msgspec

from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS

COOLING_MS: Final = 7 * DAY_MS
CERTIFICATE_VERSION: Final = "relayd erasure 1"

Cause = Literal["holder", "operator", "minor", "dormant"]
CAUSES: Final[tuple[Cause, ...]] = ("holder", "operator", "minor", "dormant")
AT_ONCE: Final[frozenset[Cause]] = frozenset({"minor"})
"""Causes without a cooling-off."""
ErasureState = Literal["cooling", "cancelled", "erased"]
STATES: Final[tuple[ErasureState, ...]] = ("cooling", "cancelled", "erased")
ErasureMove = Literal["cancel", "erase"]
MOVES: Final[dict[tuple[ErasureState, ErasureMove], ErasureState]] = {
    ("cooling", "cancel"): "cancelled",
    ("cooling", "erase"): "erased",
}

Fate = Literal["shred", "delete", "empty", "vault", "keep"]
FATES: Final[dict[Fate, str]] = {
    "shred": "its key is destroyed, then the rows are deleted",
    "delete": "deleted",
    "empty": "the columns that name somebody are emptied",
    "vault": "copied to the legal vault until its floor, then as above",
    "keep": "stays: nothing in it leads to a person once the account is erased",
}


class Part(NamedTuple):
    """One kind of data: what becomes of it, and the retention category that holds it back."""

    name: str
    fate: Fate
    until: str | None = None


PARTS: Final[tuple[Part, ...]] = (
    Part("profile", "empty"),
    Part("password", "delete"),
    Part("second_factors", "delete"),
    Part("roles", "delete"),
    Part("sessions", "delete"),
    Part("mail_links", "delete"),
    Part("keys", "empty"),
    Part("limits", "delete"),
    Part("app_labels", "empty"),
    Part("tickets", "shred"),
    Part("letters", "shred"),
    Part("objections", "delete"),
    Part("findings", "delete"),
    Part("call_records", "keep", "call_records"),
    Part("network_records", "keep", "network_records"),
    Part("sign_ins", "keep", "sign_ins"),
    Part("audit", "keep", "audit"),
    Part("orders", "vault", "orders"),
    Part("invoices", "vault", "invoices"),
    Part("consents", "vault", "consents"),
    Part("legal_requests", "keep", "legal_requests"),
    Part("erasures", "keep", "erasures"),
)
"""In the order in which they are told."""
GOES: Final = tuple(part for part in PARTS if part.until is None)
STAYS: Final = tuple(part for part in PARTS if part.until is not None)


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure of one account. `was` is the state it returns to where it is called off."""

    id: str
    account: str
    cause: Cause
    state: ErasureState
    asked_at_ms: int
    due_at_ms: int
    was: str
    ended_at_ms: int | None = None
    certificate: str | None = None


class Kept(msgspec.Struct, frozen=True):
    """What stays, why and until when: a line of the summary and of the certificate."""

    part: str
    rows: int
    until: str
    basis: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says. Times are RFC 3339; nothing in it names a person."""

    version: str = CERTIFICATE_VERSION
    erasure: str
    account: str
    cause: str
    asked_at: str
    erased_at: str
    erased: Mapping[str, int]
    kept: tuple[Kept, ...]


def advance(state: ErasureState, move: ErasureMove) -> ErasureState:
    """The state after a move. Raises RelayError `erasure_state` where the table has no row."""
    try:
        return MOVES[state, move]
    except KeyError:
        raise RelayError("erasure_state", param="erasure") from None


def due_at_ms(cause: Cause, asked_at_ms: int, *, at_once: bool = False) -> int:
    """When the account is erased, if nobody calls it off."""
    return asked_at_ms if at_once or cause in AT_ONCE else asked_at_ms + COOLING_MS


def signed_bytes(certificate: Certificate) -> bytes:
    """The bytes that are signed: sorted keys, no space."""
    return msgspec.json.encode(certificate, order="sorted")
