"""Mail domains that give out addresses for minutes, as a list that others keep."""

from __future__ import annotations

from disposable_email_domains import blocklist


def is_disposable(email: str) -> bool:
    """Whether the address is at such a domain, or below one."""
    labels = email.rpartition("@")[2].lower().rstrip(".").split(".")
    return any(".".join(labels[at:]) in blocklist for at in range(len(labels) - 1))
