"""Every recorded reply of the shared corpus, through its tap: passed untouched, read as known.

`JUDGED` lists where relayd reads a reply otherwise than the corpus, and why.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from relayd.core.usage import Usage
from relayd.relay.tap import Report, tap_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.replytext import ARGUMENTS, CONTENT, REASONING
from tests.fakes.splits import cut, one_by_one
from tests.fakes.texts import Texts
from tests.shared import shared

OPERATIONS = {
    "chat.completions": "chat",
    "completions": "completions",
    "responses": "responses",
    "embeddings": "embeddings",
    "moderations": "moderations",
    "images.generations": "image_generation",
    "images.edits": "image_edit",
    "audio.speech": "speech",
    "audio.transcriptions": "transcription",
    "audio.translations": "translation",
    "rerank": "rerank",
    "messages": "messages",
    "messages.count_tokens": "count_tokens",
    "generateContent": "generate",
    "streamGenerateContent": "stream_generate",
    "countTokens": "count",
    "embedContent": "embed",
}
"""The corpus's word for an API, and the operation that serves it. Not served: the providers' own
shapes of Cohere, Ollama, DashScope, Anthropic's `complete`, and responses.input_tokens."""

FIELDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_input_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
    "reasoning_tokens": "reasoning_output_tokens",
    "audio_input_tokens": "audio_input_tokens",
    "audio_output_tokens": "audio_output_tokens",
}

THOUGHTS = "thoughts are in the total alone, and are billed: output = total - prompt"
AUDIO = "audio is in the total but not in prompt_tokens: an input total includes its parts"
PART = "the provider names this part, the corpus leaves it off its scale"
INPUT = "a total alone is the input, where there is no output"
JUDGED: dict[str, tuple[Usage, str]] = {
    "gemini.chat.completions.json.1bd0a9c6": (Usage(35, 74), THOUGHTS),
    "gemini.chat.completions.json.e305c1c4": (Usage(66, 34), THOUGHTS),
    "mistral.audio.transcriptions.json.5587ee67": (Usage(380, 11, audio_input_tokens=375), AUDIO),
    "mistral.audio.transcriptions.json.a5ad61e5": (Usage(378, 11, audio_input_tokens=375), AUDIO),
    "mistral.chat.completions.json.a380514f": (Usage(384, 201, audio_input_tokens=375), AUDIO),
    "openrouter.rerank.json.aac249d0": (Usage(17), INPUT),
    "mistral.chat.completions.json.a9f09d4d": (Usage(254, 93, cache_read_input_tokens=48), PART),
    "openai.audio.transcriptions.json.7332bb2c": (Usage(1, 5, audio_input_tokens=1), PART),
    "openai.audio.transcriptions.json.c6f67bb9": (Usage(37, 144, audio_input_tokens=37), PART),
    "openai.audio.transcriptions.stream.efb7797a": (Usage(37, 12, audio_input_tokens=37), PART),
}
"""Usage that is taken otherwise. Besides: answers of count_tokens and countTokens are no usage of
a call, they bill nothing."""

TWICE = {
    "together.chat.completions.stream.a004e312",
    "together.chat.completions.stream.a5379a6f",
    "together.completions.stream.af251dbe",
}
"""The corpus adds `text` and `delta.content` of one choice, which are the same text twice."""

FAILED = {"openrouter.chat.completions.stream.ccc6b6e4": "provider_stream_error"}
"""Errors under status 200."""


def cases(pattern: str = "*") -> list[Path]:
    """The folders of all cases that map to an endpoint and are no error; none without corpus."""
    try:
        root = shared("corpus", "cases")
    except pytest.skip.Exception:
        return []
    return [
        case for case in sorted(root.glob(pattern))
        if ".err." not in case.name and expected(case)["api"] in OPERATIONS
    ]


def expected(case: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((case / "expected.json").read_text())
    return value


def content_type(case: Path) -> bytes:
    head = json.loads((case / "response.json").read_text())
    return str(head["headers"].get("content-type", "")).encode()


def splits(case: Path, body: bytes) -> list[list[bytes]]:
    """Whole; cut at random; cut everywhere, if it is short."""
    source = random.Random(case.name)
    ways = [[body]]
    for pieces in (3, 40, 400):
        ways.append(cut(body, [source.randrange(len(body) + 1) for _ in range(pieces)]))
    if len(body) < 6000:
        ways.append(one_by_one(body))
    return ways


def through(
    case: Path, pieces: list[bytes], counter: Texts | None, *, withhold: bool = False
) -> tuple[bytes, Report]:
    endpoint = BY_OPERATION[OPERATIONS[expected(case)["api"]]]
    tap = tap_for(endpoint, content_type(case), 200, withhold_usage=withhold, counter=counter,
                  limit=1 << 25)
    assert tap.passes_all is not withhold
    passed = b"".join([tap.feed(piece) for piece in pieces]) + tap.flush()
    return passed, tap.finish(True)


def usage_of(case: Path) -> Usage | None:
    """What is to be read; a figure that the provider did not give is 0."""
    if case.name in JUDGED:
        return JUDGED[case.name][0]
    known = expected(case)
    figures = known["usage_normalized"]
    if figures is None or known["api"] in ("messages.count_tokens", "countTokens"):
        return None
    return Usage(**{ours: figures[theirs] for theirs, ours in FIELDS.items() if theirs in figures})


CASES = cases()
WITHHELD = [
    case for case in CASES
    if ".stream." in case.name and expected(case)["api"] in ("chat.completions", "completions")
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_the_corpus_is_there() -> None:
    shared("corpus", "cases")
    assert len(CASES) > 400
    assert {case.name for case in CASES} >= set(JUDGED) | TWICE | set(FAILED)


@by_name
def test_a_reply_passes_untouched_and_its_usage_is_read(case: Path) -> None:
    body = (case / "response.raw").read_bytes()
    for pieces in splits(case, body):
        for counter in (None, Texts()):
            passed, report = through(case, pieces, counter)
            assert passed == body
            assert report.usage == usage_of(case)
            assert report.ended and report.error == FAILED.get(case.name)


@by_name
def test_its_text_is_read(case: Path) -> None:
    body = (case / "response.raw").read_bytes()
    known = expected(case).get("text") or {}
    first: dict[int, str] | None = None
    for pieces in splits(case, body):
        texts = Texts()
        through(case, pieces, texts)
        first = texts.streams if first is None else first
        assert texts.streams == first
    for word, kind in (("content", CONTENT), ("reasoning", REASONING),
                       ("tool_arguments", ARGUMENTS)):
        if word in known:
            text = texts.kind(kind) * (2 if case.name in TWICE else 1)
            assert len(text) == known[word]["chars"]
            if case.name not in TWICE:
                assert hashlib.sha256(text.encode()).hexdigest() == known[word]["sha256"]


@pytest.mark.parametrize("case", WITHHELD, ids=lambda case: case.name)
def test_usage_events_are_withheld_and_nothing_else(case: Path) -> None:
    body = (case / "response.raw").read_bytes()
    kept = b"".join([
        event for event in re.findall(rb"(?s).*?(?:\r\n\r\n|\n\n)|.+", body)
        if not reports_usage_only(event)
    ])
    for pieces in splits(case, body):
        passed, report = through(case, pieces, None, withhold=True)
        assert passed == kept
        assert report.usage == usage_of(case) and report.ended


def reports_usage_only(event: bytes) -> bool:
    try:
        value = json.loads(event.strip().removeprefix(b"data:"))
    except ValueError:
        return False
    return value.get("choices") == [] and isinstance(value.get("usage"), dict)
