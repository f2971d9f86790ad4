"""Two tokenizers that share no code with tiktoken: what counts are held against."""

from __future__ import annotations

import importlib
import warnings
from functools import cache
from typing import Any, Final

import toktok

KNOWN: Final = ("o200k_base", "cl100k_base")
"""The encodings that both have."""


@cache
def _bpe(name: str) -> Any:
    """Loaded where it is asked: it reads three rank files as it is imported, which takes a second
    of each process that collects the tests."""
    with warnings.catch_warnings():  # it reads its files in a way that importlib has deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        return importlib.import_module("bpe_openai").get_encoding(name)


def counts(name: str, text: str) -> list[int]:
    """What each of them counts. The text must be shorter than 200,000 tokens."""
    return [toktok.batch_count([text], name)[0], len(_bpe(name).encode_ordinary(text))]
