"""Embeddings of the demo provider: texts that share words point the same way.

Law: deterministic and of length one. Each word has a direction of its own; a text is the sum.
"""

from __future__ import annotations

import base64
import math
import random
import re
import struct
from typing import Final

OPENAI_DIMENSIONS: Final = 1536
OPENAI_LARGE_DIMENSIONS: Final = 3072
GEMINI_DIMENSIONS: Final = 3072
DIMENSIONS_MAX: Final = 4096
WORDS_MAX: Final = 12
"""More words of one text are not looked at: this is a demo, and each costs a direction."""

_WORD: Final = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text, in lower case, each once and in order."""
    return list(dict.fromkeys(_WORD.findall(text.lower())))


def vector(text: str, dimensions: int) -> list[float]:
    """The direction of a text, rounded to what a 32-bit float holds."""
    size = min(max(dimensions, 1), DIMENSIONS_MAX)
    total = [0.0] * size
    for word in words(text)[:WORDS_MAX] or [""]:
        rolls = random.Random(word)
        total = [value + rolls.random() - 0.5 for value in total]
    length = math.sqrt(math.fsum(value * value for value in total)) or 1.0
    packed = struct.pack(f"<{size}f", *(value / length for value in total))
    return list(struct.unpack(f"<{size}f", packed))


def base64_of(values: list[float]) -> str:
    """32-bit floats, little-endian, as `encoding_format: base64` gives them."""
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def likeness(query: str, text: str) -> float:
    """How much of a query's words a text has: 0 to 1."""
    wanted = set(words(query))
    return len(wanted & set(words(text))) / len(wanted) if wanted else 0.0
