"""Pseudonyms: what may stand for a client at a provider (facts: HMAC-SHA256, RFC 2104; RFC 4648).

Law: nothing can be joined. Each provider has its own key, a new one every epoch, so that two
providers cannot compare notes and one provider cannot follow an account beyond an epoch.
"""

from __future__ import annotations

import hmac
from base64 import b32encode
from dataclasses import dataclass, field
from typing import Final

EPOCH_MS: Final = 30 * 24 * 3600 * 1000
PSEUDONYM_LENGTH: Final = 26


def epoch_of(unix_ms: int) -> int:
    """The number of the epoch of 30 days that a time (Unix milliseconds) lies in."""
    return unix_ms // EPOCH_MS


def provider_key(master: bytes, provider: str, epoch: int) -> bytes:
    """The pseudonym key (32 bytes) of one provider in one epoch."""
    label = b"relayd pseudonyms v1|%d|%b" % (epoch, provider.encode())
    return hmac.digest(master, label, "sha256")


def pseudonym(key: bytes, account: str, value: str | None = None, label: str = "u") -> str:
    """26 base32 characters that stand for an account, or for what one of its users said.

    `label` keeps different uses of the same words apart. Account ids hold no `|`.
    """
    text = f"v1|acct|{account}" if value is None else f"v1|acct|{account}|{label}|{value}"
    digest = hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")
    return b32encode(digest)[:PSEUDONYM_LENGTH].decode()


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The pseudonyms of one account at one provider, as `[privacy]` has them."""

    key: bytes = field(repr=False)
    account: str
    end_user_policy: str = "absent"
    cache_key_policy: str = "hashed"

    def end_user(self, value: str | None) -> str | None:
        """Stands for the end user that the client named, if any; None: nothing does."""
        if self.end_user_policy == "absent":
            return None
        return pseudonym(self.key, self.account,
                         value if self.end_user_policy == "enduser" else None)

    def cache_key(self, value: str) -> str | None:
        """Stands for a key of the provider's prompt cache; None: nothing does."""
        if self.cache_key_policy == "absent":
            return None
        return pseudonym(self.key, self.account, value, "cache")
