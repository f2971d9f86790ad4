"""Identity verification: what a third party says of somebody, and nothing of what it was shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from relayd.core.errors import RelayError

Verdict = Literal["verified", "refused"]
Level = Literal["name", "document", "face"]
"""What was compared: the name with a register, a document, a face with a document."""

PROVIDER: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
REFERENCE_CHARS_MAX: Final = 128
FIELDS: Final = ("reference",)
"""What a verifier is told: a sealed reference, with which its message comes back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer. `reference` is its own number of the check."""

    verdict: Verdict
    level: Level
    reference: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """What is kept of one check."""

    id: str
    account: str
    provider: str
    answer: Answer
    at_ms: int


def checked(provider: str, answer: Answer) -> Answer:
    """The answer, where it can be kept. Raises invalid_value."""
    reference = answer.reference
    if not PROVIDER.fullmatch(provider):
        raise RelayError("invalid_value", param="provider")
    if not (0 < len(reference) <= REFERENCE_CHARS_MAX and reference.isprintable()):
        raise RelayError("invalid_value", param="reference")
    return answer
