"""About how many tokens a request has, before anybody has counted them: by its length alone.

Law: microseconds, whatever the body: limits and balances ask before a call is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from relayd.core.provider import Api
from relayd.wire.extent import PICTURE_TOKENS_MAX
from relayd.wire.walk import OPEN, PICTURED

BYTES_PER_TOKEN: Final = 4
"""Of JSON; English prose and code have 4 to 4.5 bytes a token."""
UPLOAD_TOKENS: Final = 1_000
"""What an upload is taken for until its end: a minute or two of speech, or a picture."""
FILE_TOKENS: Final = 1_000
"""What a file within a JSON body is taken for."""
SOUND_BYTES_PER_TOKEN: Final = 16
"""Of base64, of speech that is compressed hard: Gemini hears 32 tokens a second."""
CONTEXT_TOKENS: Final = 1 << 20
"""What a model reads at most."""
PICTURE_BYTES: Final = 50
"""What a picture takes of a body at least, by its address or its data."""
_PICTURES: Final = (b":/", b":\\/", b"base64", b"nline")
"""What each picture has by itself: an address, or the words that say that its data follow."""
_HOLDERS: Final = (b"image_url", b'"source"', b"nline")
"""What each stands in: text may have any number of addresses beside one picture."""
_HIDING: Final = (b"\\u003a", b"\\u003A", b"\\u002f", b"\\u002F", b"\\u0034", b"\\u0036",
                  b"\\u004", b"\\u005", b"\\u007")
"""Escapes of what those consist of, which no client writes but to hide it; of the letters in
`\\u006_` there is the backtick besides, which .NET's escape."""
FILE_BYTES_MIN: Final = 4_096
"""Shorter base64 counts as text."""
TEXT_BYTES: Final = 256
"""Text has a space within so many bytes."""
LOOKED_AT_MAX: Final = 1_024
"""Places that may be a file's beginning; what is behind the last of them counts as text. 1 MB in
which such words follow each other held the loop for 0.4 s."""
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
    files = _lengths(api, raw)
    return (len(raw) - sum(files)) // BYTES_PER_TOKEN + len(files) * FILE_TOKENS + 1


def tokens_about_and_at_most(
    api: Api, raw: bytes, marks: Collection[str], one_context: bool,
    open_tokens: int = CONTEXT_TOKENS,
) -> tuple[int, int]:
    """`estimated_tokens`, and how many there are at most: one for each byte of text, since some
    scripts and signs have so many; for a file what its length allows.

    `marks` are those of wire/extent.py. `one_context`: it is all read at once. `open_tokens`: what
    is taken for the most where nothing bounds it.
    """
    files = _lengths(api, raw)
    text = len(raw) - sum(files)
    about = text // BYTES_PER_TOKEN + len(files) * FILE_TOKENS + 1
    most = text + sum([max(PICTURE_TOKENS_MAX, size // SOUND_BYTES_PER_TOKEN) for size in files])
    if PICTURED in marks:
        most += _pictures(raw) * PICTURE_TOKENS_MAX
    if one_context:
        most = min(most, CONTEXT_TOKENS)
    if OPEN in marks:
        most = max(most, open_tokens)
    return about, max(about, most)


def _pictures(raw: bytes) -> int:
    """How many pictures a body may have that are short in it."""
    if b"\\u00" in raw:
        letters = raw.count(b"\\u006") - raw.count(b"\\u0060")
        if letters or any(escape in raw for escape in _HIDING):
            return len(raw) // PICTURE_BYTES + 1
    return min(sum([raw.count(word) for word in words]) for words in (_PICTURES, _HOLDERS))


def _lengths(api: Api, raw: bytes) -> list[int]:
    """Of the files in a body, in base64."""
    if len(raw) <= SEARCHED_BYTES_MIN or not any(word in raw for word in _WORDS[api]):
        return []
    return [end - start for start, end in _files(raw)]


def _files(raw: bytes) -> Iterator[tuple[int, int]]:
    """Where long base64 lies in a body."""
    left = LOOKED_AT_MAX
    for mark in _MARKS:
        at = raw.find(mark)
        while at >= 0 and left:
            left -= 1
            start = at + len(mark)
            end = raw.find(b'"', start)
            if end < 0:
                break
            # text has spaces or other scripts, and what is a data: URL is found by its own mark
            if end - start >= FILE_BYTES_MIN and raw[start:start + 5] != b"data:" and (
                    raw.find(b" ", start, start + TEXT_BYTES) < 0 and raw[start:end].isascii()):
                yield start, end
            at = raw.find(mark, end)
