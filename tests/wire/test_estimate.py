"""Estimates go by a body's length, and by the number of files in it."""

from __future__ import annotations

import pytest

from relayd.core.provider import Api
from relayd.wire.estimate import FILE_TOKENS, estimated_tokens

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
