"""The holder: the person at the door of an account, as signing in knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

USERNAME_CHARS_MAX: Final = 64

Outcome = Literal["signed_in", "wrong_password", "wrong_code", "locked_out"]


@dataclass(frozen=True, slots=True)
class Holder:
    """What is kept of a holder besides the account. `password` is Argon2id's own text.

    `dormant_steps` counts what dormancy has done since `seen_at_ms`, the last at `dormant_at_ms`.
    """

    account: str
    password: str | None = field(repr=False)
    password_at_ms: int | None
    age_stated_at_ms: int | None
    seen_at_ms: int
    dormant_steps: int = 0
    dormant_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class SignIn:
    """One attempt that reached an account, as its holder sees it."""

    id: str
    account: str
    at_ms: int
    outcome: Outcome
    method: str
    device: str
    address: str | None = field(repr=False)
