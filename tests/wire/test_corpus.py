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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.core.usage import Beside, Usage
from relayd.relay.tap import Report, tap_for
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.replytext import ARGUMENTS, CONTENT, REASONING
from relayd.wire.reply_media import BYTES_PER_SECOND
from relayd.wire.sound import Sound
from relayd.wire.usage import Normalize, openai_usage
from tests.fakes.splits import cut, one_by_one
from tests.fakes.texts import Texts
from tests.shared import known_collection, shared

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
"""The corpus's word for an API, and the operation that serves it."""

UNSERVED: dict[str, Normalize | None] = {
    "cohere.chat": openai_usage,
    "dashscope.native": openai_usage,
    "ollama.chat": openai_usage,
    "ollama.generate": openai_usage,
    "responses.input_tokens": openai_usage,
    "complete": None,
}
"""APIs that no path of the relay serves, and who reads their usage objects all the same, because
others pass them on. Anthropic's `complete` has none."""

COUNTING = frozenset({"messages.count_tokens", "countTokens"})
"""Their figures are answers, not usage: these calls bill nothing."""

FIELDS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_input_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_creation_input_tokens",
    "reasoning_tokens": "reasoning_output_tokens",
    "audio_input_tokens": "audio_input_tokens",
    "audio_output_tokens": "audio_output_tokens",
    "image_input_tokens": "image_input_tokens",
}
"""The corpus's figures. Its others follow from them (`uncached_input_tokens`, `total_tokens`) or
are no tokens (`cost`); `tool_use_input_tokens` is a part of the input that nothing here names."""

THOUGHTS = "thoughts are in the total alone, and are billed: output = total - prompt"
AUDIO = "audio is in the total but not in prompt_tokens: an input total includes its parts"
INPUT = "a total alone is the input, where there is no output"
JUDGED: dict[str, tuple[dict[str, int], str]] = {
    "gemini.chat.completions.json.1bd0a9c6": ({"output_tokens": 74}, THOUGHTS),
    "gemini.chat.completions.json.e305c1c4": ({"output_tokens": 34}, THOUGHTS),
    "mistral.audio.transcriptions.json.5587ee67": ({"input_tokens": 380}, AUDIO),
    "mistral.audio.transcriptions.json.a5ad61e5": ({"input_tokens": 378}, AUDIO),
    "mistral.chat.completions.json.a380514f": ({"input_tokens": 384}, AUDIO),
    "openrouter.rerank.json.aac249d0": ({"input_tokens": 17}, INPUT),
}
"""Figures that are taken otherwise than the corpus has them, and why."""

SPOKEN = {
    "openai.audio.speech.json.58ad1182": 6,  # 5.352
    "openrouter.audio.speech.json.3f4f99f5": 5,  # 4.32
}
"""Seconds of sound files by ffprobe, rounded up."""

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
    known = expected(case)
    if known["api"] in COUNTING:
        return None
    figured = known["usage_normalized"] or {}
    figures = {ours: figured[theirs] for theirs, ours in FIELDS.items() if theirs in figured}
    figures |= off_the_scale(case, known["usage_reported"] or {})
    figures |= JUDGED.get(case.name, ({}, ""))[0]
    seconds = 0 if figures else paced(case)
    if seconds:
        return Beside(audio_seconds=seconds)
    made = Usage if figured or not {*figures} <= {"images", "searches"} else Beside
    return made(**figures) if figures else None


def paced(case: Path) -> int:
    """How long the words of a transcription take to say that has nothing but them, and how long a
    sound is by ffprobe."""
    if ".audio.speech." in case.name and content_type(case).startswith(b"audio/"):
        sound = Sound()
        sound.feed((case / "response.raw").read_bytes())
        return SPOKEN.get(case.name) or sound.seconds()
    if ".audio.trans" not in case.name or ".json." not in case.name:
        return 0
    text = json.loads((case / "response.raw").read_bytes()).get("text", "")
    return -(-len(text.encode()) // BYTES_PER_SECOND)


def off_the_scale(case: Path, reported: dict[str, Any]) -> dict[str, int]:
    """Figures that the provider gives and the corpus has no word for, or leaves out."""
    details = reported.get("input_token_details") or {}
    by_time = reported.get("cache_creation") or {}
    tokens = reported.get("tokens") or {}
    modalities = {row["modality"]: row.get("tokenCount")
                  for row in reported.get("promptTokensDetails") or []}
    found = {
        "image_input_tokens": modalities.get("IMAGE") or tokens.get("image_tokens"),
        "reasoning_output_tokens": tokens.get("reasoning_tokens"),
        "audio_input_tokens": details.get("audio_tokens"),
        "cache_read_input_tokens":
            reported.get("num_cached_tokens") or reported.get("cached_tokens"),
        "cache_creation_1h_input_tokens": by_time.get("ephemeral_1h_input_tokens"),
        "audio_seconds": reported.get("seconds") or reported.get("prompt_audio_seconds"),
        "searches": searches(case, reported),
    }
    if case.name.split(".")[1:3] in (["images", "generations"], ["images", "edits"]):
        found["images"] = len(json.loads((case / "response.raw").read_bytes())["data"])
    elif ".audio.transcriptions.json" in case.name:
        reply = json.loads((case / "response.raw").read_bytes())
        found["audio_seconds"] = found["audio_seconds"] or -(-reply.get("duration", 0) // 1)
    elif ".rerank." in case.name:
        meta = json.loads((case / "response.raw").read_bytes()).get("meta") or {}
        found["searches"] = (meta.get("billed_units") or {}).get("search_units")
    return {name: int(value) for name, value in found.items() if value}


QUERIES = re.compile(rb'"webSearchQueries":\s*(\[[^]]*\])')


def searches(case: Path, reported: dict[str, Any]) -> int:
    """Searches of the web: where no figure says how many, what names each of them is counted."""
    for report, names in (("server_tool_use", ["web_search_requests"]),
                          ("server_side_tool_usage_details", ["web_search_calls"])):
        if said := reported.get(report):
            return sum(said.get(name, 0) for name in names)
    raw = (case / "response.raw").read_bytes()
    if case.name.split(".")[1].endswith("Content"):
        named = [json.loads(each) for each in QUERIES.findall(raw)]
        return max((sum(map(bool, queries)) for queries in named), default=0)
    if b'"web_search_call"' not in raw or ".json." not in case.name:
        return 0
    calls = [item for item in json.loads(raw)["output"] if item["type"] == "web_search_call"]
    return sum(call["action"]["type"] == "search" for call in calls)


CASES = cases()
WITHHELD = [
    case for case in CASES
    if ".stream." in case.name and expected(case)["api"] in ("chat.completions", "completions")
]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_the_corpus_is_there() -> None:
    known_collection("corpus", "cases")
    root = shared("corpus", "cases")
    assert len(CASES) > 400
    assert {expected(case)["api"] for case in root.iterdir()} == {*OPERATIONS, *UNSERVED}
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
def test_the_rest_of_the_scale_follows(case: Path) -> None:
    usage, known = usage_of(case), expected(case)
    figured = known["usage_normalized"] or {}
    if usage is None or case.name in JUDGED:
        return
    if "uncached_input_tokens" in figured:
        assert figured["uncached_input_tokens"] == (
            usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens)
    if figured.get("total_tokens") is not None:
        assert figured["total_tokens"] == usage.input_tokens + usage.output_tokens


@pytest.mark.skipif(not CASES, reason="the corpus is not here")
@settings(max_examples=1500, deadline=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
@given(st.data())
def test_every_byte_may_be_the_last_of_a_read(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(CASES))
    body = (case / "response.raw").read_bytes()
    places = data.draw(st.lists(st.integers(0, len(body)), min_size=1, max_size=6))
    texts, whole = Texts(), Texts()
    passed, report = through(case, cut(body, places), texts)
    through(case, [body], whole)
    assert passed == body and report.usage == usage_of(case) and texts.streams == whole.streams


@pytest.mark.parametrize("api", [api for api, reads in UNSERVED.items() if reads is not None])
def test_usage_objects_of_apis_that_are_not_served(api: str) -> None:
    normalize = UNSERVED[api]
    assert normalize is not None
    seen = 0
    for case in shared("corpus", "cases").iterdir():
        known = expected(case)
        if known["api"] != api or known["usage_reported"] is None:
            continue
        figured = known["usage_normalized"]
        figures = {ours: figured[theirs] for theirs, ours in FIELDS.items() if theirs in figured}
        figures |= off_the_scale(case, known["usage_reported"])
        assert normalize(known["usage_reported"]) == Usage(**figures), case.name
        seen += 1
    assert seen


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
