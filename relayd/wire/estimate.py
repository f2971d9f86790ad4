"""About how many tokens a request has, before anybody has counted them: by its length alone.

Law: microseconds, whatever the body: limits and balances ask before a call is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from relayd.core.provider import Api

BYTES_PER_TOKEN: Final = 4
"""Of JSON; English prose and code have 4 to 4.5 bytes a token."""
UPLOAD_TOKENS: Final = 1_000
"""What an upload is taken for until its end: a minute or two of speech, or a picture."""
FILE_TOKENS: Final = 1_000
"""What a file within a JSON body is taken for."""
FILE_BYTES_MIN: Final = 4_096
"""Shorter base64 counts as text."""
TEXT_BYTES: Final = 256
"""Text has a space within so many bytes."""
SEARCHED_BYTES_MIN: Final = 16_384
"""Bodies in which files are looked for; 80 KB cost 30 us a word."""
_WORDS: Final[Mapping[Api, tuple[bytes, ...]]] = {
    "openai": (b"base64", b"input_audio"), "anthropic": (b"base64",), "gemini": (b"nline",),
}
"""What a body with a file in it has: Gemini's `inlineData` is `inline_data` to some."""
_MARKS: Final = (b";base64,", b'"data":"', b'"data": "', b'"file_data":"', b'"file_data": "')


def estimated_tokens(api: Api, raw: bytes) -> int:
    """About how many tokens a JSON body's input has, in microseconds: by its length alone.

    Files in it, which are long and hold few tokens, are counted by number.
    """
    size = len(raw)
    files = 0
    if size > SEARCHED_BYTES_MIN and any(word in raw for word in _WORDS[api]):
        for start, end in _files(raw):
            size -= end - start
            files += 1
    return size // BYTES_PER_TOKEN + files * FILE_TOKENS + 1


def _files(raw: bytes) -> Iterator[tuple[int, int]]:
    """Where long base64 lies in a body."""
    for mark in _MARKS:
        at = raw.find(mark)
        while at >= 0:
            start = at + len(mark)
            end = raw.find(b'"', start)
            if end < 0:
                break
            # text has spaces, and what is a data: URL is found by its own mark
            if end - start >= FILE_BYTES_MIN and raw[start:start + 5] != b"data:" and (
                    raw.find(b" ", start, start + TEXT_BYTES) < 0):
                yield start, end
            at = raw.find(mark, end)
