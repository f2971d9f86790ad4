"""Masking: what operators see of a personal text before they have a reason to see it all."""

from __future__ import annotations

from typing import Final

MASK: Final = "***"


def masked(text: str) -> str:
    """`l***@x`: the first character of each side of an address; of other texts the first one.

    It is the same length for everybody, and a domain is as personal as what stands before it.
    """
    local, at, domain = text.rpartition("@")
    if at:
        return f"{local[:1]}{MASK}@{domain[:1]}{MASK}"
    return f"{text[:1]}{MASK}"
