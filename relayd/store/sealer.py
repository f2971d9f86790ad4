"""What a transaction seals and opens personal columns with.

Law: whatever is personal passes here on its way to a column and back; nothing else knows a key.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from relayd.store import seal, secret
from relayd.store.keyring import Keyring


@dataclass(frozen=True, slots=True)
class Sealer:
    """The keys of one open store."""

    keyring: Keyring = field(repr=False)
    index_key: bytes = field(repr=False)

    def seal(
        self, owner: str, table: str, column: str, row: str, text: str | None,
    ) -> bytes | None:
        """The text for its place, None for None. Raises StoreError `data_key_gone`."""
        if text is None:
            return None
        cipher = self.keyring.cipher(owner)
        return seal.seal(cipher, seal.place(table, column, row), text.encode("utf-8"))

    def unseal(
        self, owner: str, table: str, column: str, row: str, sealed: bytes | None,
    ) -> str | None:
        """The text again. Raises StoreError `data_key_gone` or `seal_broken`."""
        if sealed is None:
            return None
        cipher = self.keyring.cipher(owner)
        return seal.unseal(cipher, seal.place(table, column, row), sealed).decode("utf-8")

    def blind(self, kind: str, value: str) -> bytes:
        """32 bytes to find a sealed value by; `value` in the form in which it is compared."""
        return seal.blind(self.index_key, kind, value)


def sealer(keyring: Keyring, store_secret: bytes) -> Sealer:
    """The sealer of the store with this secret."""
    return Sealer(keyring, secret.derived(store_secret, secret.INDEX_LABEL))
