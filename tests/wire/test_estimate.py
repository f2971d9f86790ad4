"""Estimates go by a body's length, and by the number of files in it."""

from __future__ import annotations

from typing import Any

import pytest

from relayd.core.provider import Api
from relayd.wire.estimate import (
    CONTEXT_TOKENS, FILE_TOKENS, LOOKED_AT_MAX, estimated_tokens, tokens_about_and_at_most,
)
from relayd.wire.extent import PICTURE_TOKENS_MAX
from relayd.wire.walk import OPEN, PICTURED

FILE = b"iVBO" * 50_000


@pytest.mark.parametrize(("api", "raw", "tokens"), [
    ("openai", b"", 1), ("openai", b"x" * 400, 101), ("gemini", b"a word " * 10_000, 17_501),
    ("openai", b'{"url":"data:image/png;base64,' + FILE + b'"}', FILE_TOKENS + 9),
    ("anthropic", b'{"type":"base64","data":"' + FILE + b'","data": "' + FILE + b'"}',
     2 * FILE_TOKENS + 10),
    ("openai", b'{"input_audio":{"data":"' + FILE + b'"}}', FILE_TOKENS + 7),
    ("gemini", b'{"inlineData":{"data":"' + FILE + b'"}}', FILE_TOKENS + 7),
    ("gemini", b'{"inline_data":{"data":"' + FILE + b'"}}', FILE_TOKENS + 7),
    ("openai", b'{"file_data":"data:application/pdf;base64,' + FILE + b'"}', FILE_TOKENS + 12),
    ("anthropic", b'{"type":"base64","data":"' + b"a word " * 5_000 + b'"}', 8_757),
    ("anthropic", b'{"type":"base64","data":"short"}' + b" " * 40_000, 10_009),
    ("anthropic", b'{"type":"base64","data":"' + FILE, 50_007),
])
def test_estimates_are_by_length_and_by_the_number_of_files(
    api: Api, raw: bytes, tokens: int
) -> None:
    assert estimated_tokens(api, raw) == tokens


def test_a_body_is_not_searched_without_end() -> None:
    """In each of these places a file may begin, which is looked at for its end."""
    raw = b'{"content":"' + b';base64,\\"' * 100_000 + b'"}'
    looked = Looked(raw)
    assert estimated_tokens("openai", looked) == len(raw) // 4 + 1
    assert looked.times < 3 * LOOKED_AT_MAX


class Looked(bytes):
    """Counts how often something is looked for in it."""

    times = 0

    def find(self, *args: Any) -> int:
        self.times += 1
        return super().find(*args)


LINK = b'{"image_url":{"url":"https://a.example/b"}}'
LENGTHS = len(b'{"inlineData":{"data":""}}')


@pytest.mark.parametrize(("api", "raw", "marks", "most"), [
    ("openai", b"", (), 1), ("openai", b"x" * 400, (), 400),
    ("openai", b"x" * (CONTEXT_TOKENS + 1), (), CONTEXT_TOKENS),
    ("openai", b"x", (OPEN,), CONTEXT_TOKENS), ("openai", b"x", (OPEN, PICTURED), CONTEXT_TOKENS),
    ("openai", LINK * 3, (PICTURED,), 3 * (len(LINK) + PICTURE_TOKENS_MAX)),
    ("openai", LINK.replace(b"/", b"\\/"), (PICTURED,), len(LINK) + 3 + PICTURE_TOKENS_MAX),
    ("openai", LINK + b"caf\\u00e9 \\u003cb\\u003e \\u0060", (PICTURED,),
     len(LINK) + 30 + PICTURE_TOKENS_MAX),
    *(("openai", (LINK * 9).replace(b":/", hidden), (PICTURED,),
       9 * (len(LINK) + len(hidden) - 2)
       + PICTURE_TOKENS_MAX * (9 * (len(LINK) + len(hidden) - 2) // 50 + 1))
      for hidden in (b"\\u003a/", b"\\u003A/", b":\\u002f", b":\\u002F")),
    # addresses in text are no pictures
    ("openai", LINK * 2 + b"https://a.example " * 9, (PICTURED,),
     2 * (len(LINK) + PICTURE_TOKENS_MAX) + 9 * 18),
    ("anthropic", b'{"source":{"type":"url","url":"https://b"}} base64 ' + b"http://c " * 9,
     (PICTURED,), 51 + 9 * 9 + PICTURE_TOKENS_MAX),
    ("anthropic", b'{"source":{"type":"base64","data":"iVBO"}}', (PICTURED,),
     42 + PICTURE_TOKENS_MAX),
    ("anthropic", b'{"source":{"type":"b\\u0061se64","data":"iVBO"}}', (PICTURED,),
     47 + PICTURE_TOKENS_MAX),
    ("gemini", b'{"inlineData":{"data":"iVBO"}}', (PICTURED,), 30 + PICTURE_TOKENS_MAX),
    ("gemini", b'{"\\u0069nlineData":{"data":"iVBO"}}', (PICTURED,), 35 + PICTURE_TOKENS_MAX),
    # of sound more is heard the longer it is
    ("gemini", b'{"inlineData":{"data":"' + FILE + b'"}}', (), LENGTHS + len(FILE) // 16),
    ("gemini", b'{"inlineData":{"data":"' + FILE[:20_000] + b'"}}', (),
     LENGTHS + PICTURE_TOKENS_MAX),
    # text of another script is no base64, whatever stands before it
    ("openai", b'{"content":";base64,' + "\u4e2d".encode() * 9_000 + b'"}', (), 27_022),
])
def test_there_is_a_most_for_what_a_body_may_have(
    api: Api, raw: bytes, marks: tuple[str, ...], most: int
) -> None:
    about = estimated_tokens(api, raw)
    assert tokens_about_and_at_most(api, raw, marks, True) == (about, max(most, about))


@pytest.mark.parametrize(("size", "most"), [(10, 5_000), (5_001, 5_001)])
def test_what_nothing_bounds_is_taken_for_so_much_or_for_what_came(size: int, most: int) -> None:
    assert tokens_about_and_at_most(
        "openai", b"x" * size, (OPEN,), True, 5_000) == (size // 4 + 1, most)


def test_many_inputs_of_one_request_have_more_than_one_context() -> None:
    raw = b"x" * (CONTEXT_TOKENS + 1)
    assert tokens_about_and_at_most("openai", raw, (), False)[1] == CONTEXT_TOKENS + 1
