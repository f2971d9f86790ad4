"""A keyed hash of long texts: GMAC, 4 us for 80 KB where Python's own SipHash takes 17.

Under a key of this process. Of two texts that differ nobody who lacks the key can tell better than
by chance (1 in 2^112 for 1 MB) whether they have one hash. The nonce is the same each time, so the
law is: what comes out stays in memory and is only compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES: Final = 16
_NONCE: Final = bytes(12)


def gmac() -> Callable[[bytes | memoryview], bytes]:
    """The hash under a new key."""
    return partial(AESGCM(os.urandom(_KEY_BYTES)).encrypt, _NONCE, b"")
