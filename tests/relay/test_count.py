"""The incremental count equals that of the whole text, however the text is cut into pieces."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import toktok
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.relay import count
from relayd.relay.count import (
    BURST_CHARACTERS_MAX, FLUSH_CHARACTERS, PIECE_CHARACTERS_MAX, STREAMS_MAX,
)
from relayd.relay.count import TextCounter, count_text, last_cut, pieces
from relayd.relay.tokenizer import NAMES, Encodings, ModelEncoding, encoding_for
from tests.shared import shared

GPT_4O = encoding_for("gpt-4o")
ATOMS = [
    " ", "  ", "\t", "\n", "\r\n", "\n\n", "\u3000", "\xa0", "\x1c", "\x85", "\u2028", "'",
    "'s", "'LL", "’", "don't", "a", "Z", "AbC", "the ", "é", "e\u0301", "\u0301", "ß", "ǅ", "ʰ",
    "ª", "你好", "，", "。", "《", "】", "ひら", "カタ", "ー", "한국", "ไทย", "नि", "1", "12", "1234567", "Ⅻ",
    "²", "٣", ".", "!?", "//", "/", "--", "…", "“",
    "{\"k\":", "}", "👩‍👩‍👧", "🇩🇪", "\u200d", "\ufeff",
    "\x00", "<|endoftext|>", "https://a.b/c?d=1", "_x1", "\ud83d", "\ude00",
]
TEXT = st.lists(st.one_of(st.sampled_from(ATOMS), st.text(max_size=4)), max_size=60).map("".join)


def chunks(text: str, sizes: list[int]) -> Iterator[str]:
    start, turn = 0, 0
    while start < len(text):
        size = sizes[turn % len(sizes)]
        yield text[start:start + size]
        start += size
        turn += 1


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow,
          HealthCheck.function_scoped_fixture])
@given(text=TEXT, sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8),
       flush=st.sampled_from([1, 2, 7, 40, FLUSH_CHARACTERS]))
def test_any_chunking_counts_as_the_whole(
    encodings: Encodings, name: str, text: str, sizes: list[int], flush: int
) -> None:
    counter = TextCounter(encodings, ModelEncoding(name, True, 1000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(count, "FLUSH_CHARACTERS", flush)
        counter.add("")
        for chunk in chunks(text, sizes):
            counter._buffers[0].due = min(counter._buffers[0].due, flush)
            counter.add(chunk)
        assert counter.total() == encodings.count(name, text)[0]
    assert not counter.approximate


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=250, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_every_cut_splits_ids_not_only_counts(encodings: Encodings, name: str, text: str) -> None:
    encoding = encodings.get(name)
    assert encoding is not None
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    whole = encoding.encode(text, disallowed_special=())
    end = len(text)
    while (cut := last_cut(text, 0, end)) > 0:
        parts = [encoding.encode(part, disallowed_special=()) for part in (text[:cut], text[cut:])]
        assert parts[0] + parts[1] == whole
        end = cut


@pytest.mark.parametrize(("text", "cut"), [
    ("a b", 1), ("a  ", 1), ("a\tb", 1), (" ", 0), ("a", 0), ("", 0), ("a \n", 1), ("a\n", 1),
    (".\n", 0), ("it's", 0), ("a.b", 1), ("字。", 1), ("a1", 1), ("1a", 1), ("11", 0),
    ("e\u0301", 0), ("\t\t1", 0), (". a", 1),
    ("\x1c x", 0),
])
def test_where_a_text_may_be_cut(text: str, cut: int) -> None:
    assert last_cut(text, 0, len(text)) == cut


def test_pieces_tile_the_text_and_say_which_are_forced() -> None:
    text = "word " * 20_000 + "a" * 100_000
    parts = list(pieces(text))
    assert "".join(part for part, _ in parts) == text
    assert all(len(part) <= PIECE_CHARACTERS_MAX for part, _ in parts)
    assert [forced for _, forced in parts].count(True) >= 2 and not parts[0][1]


def corpus_texts() -> Iterator[tuple[str, list[str], dict[str, object]]]:
    for case in sorted(shared("corpus", "cases").glob("*.chat.completions.stream.*")):
        expected = json.loads((case / "expected.json").read_text())
        facts = (expected.get("text") or {}).get("content")
        if facts:
            yield case.name, deltas(case), facts


def deltas(case: Path) -> list[str]:
    found = []
    for line in (case / "response.raw").read_bytes().splitlines():
        if line.startswith(b"data:") and line[5:].strip().startswith(b"{"):
            for choice in json.loads(line[5:]).get("choices") or []:
                piece = (choice.get("delta") or {}).get("content")
                if isinstance(piece, str):
                    found.append(piece)
    return found


def test_recorded_streams_count_as_expected(encodings: Encodings) -> None:
    checked = 0
    for case, found, facts in corpus_texts():
        if hashlib.sha256("".join(found).encode()).hexdigest() != facts["sha256"]:
            continue
        for name in ("o200k_base", "cl100k_base"):
            counter = TextCounter(encodings, ModelEncoding(name, True, 1000))
            for piece in found:
                counter.add(piece)
            assert counter.total() == facts[name], case
        checked += 1
    assert checked >= 50


def test_long_mixed_text_agrees_with_an_independent_tokenizer(encodings: Encodings) -> None:
    dice = random.Random(7)
    atoms = [atom for atom in ATOMS if atom.isprintable() or atom.isspace()]
    text = "".join(dice.choice(atoms) for _ in range(60_000))
    counter = TextCounter(encodings, GPT_4O)
    for chunk in chunks(text, [dice.randint(1, 60) for _ in range(97)]):
        counter.add(chunk)
    assert counter.total() == toktok.batch_count([text], "o200k_base")[0]
    assert not counter.approximate


def test_streams_are_texts_of_their_own(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    for left, right in zip("internationalization", "12345678901234567890", strict=True):
        counter.add(left)
        counter.add(right, 1)
    parts = ("internationalization", "12345678901234567890")
    assert counter.total() == sum(encodings.count("o200k_base", part)[0] for part in parts)
    assert not counter.approximate


def test_streams_are_bounded(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    for stream in range(STREAMS_MAX * 3):
        counter.add("word ", stream)
        assert counter.approximate is (stream >= STREAMS_MAX)
    assert len(counter._buffers) == STREAMS_MAX
    assert counter.total() > STREAMS_MAX


def test_the_total_can_be_asked_for_at_any_time(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    assert counter.total() == 0
    counter.add("inter")
    counter.total()
    counter.add("national")
    assert counter.total() == encodings.count("o200k_base", "international")[0]


def test_a_model_without_its_own_encoding_is_scaled(encodings: Encodings) -> None:
    counter = TextCounter(encodings, encoding_for("claude-sonnet-4-5"))
    counter.add("one two three four five six seven eight nine ten " * 10)
    assert counter.total() == round(encodings.count("o200k_base", "one two three four five six "
                                    "seven eight nine ten " * 10)[0] * 1.15)


def test_an_encoding_that_comes_late_is_used_from_then_on(encodings: Encodings) -> None:
    late = Encodings()
    counter = TextCounter(late, GPT_4O)
    counter.add("word " * 400)
    assert counter.approximate
    before = counter._tokens
    late.load(("o200k_base",))
    counter.add("word " * 400)
    assert 380 <= counter.total() - before <= 420


HOSTILE = ["a" * 1_000_000, " " * 1_000_000, "\n" * 1_000_000, "!" * 1_000_000, "9" * 1_000_000,
           "\u0301" * 1_000_000, "ไ" * 1_000_000]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[0]))
@pytest.mark.parametrize("size", [1_000_000, 500])
def test_hostile_text_is_bounded_in_time_and_space(
    encodings: Encodings, text: str, size: int
) -> None:
    counter = TextCounter(encodings, GPT_4O)
    begun = time.process_time()
    for start in range(0, len(text), size):
        counter.add(text[start:start + size])
        assert counter._buffers[0].size <= PIECE_CHARACTERS_MAX
    total = counter.total()
    assert time.process_time() - begun < 8
    assert counter.approximate
    exact = toktok.batch_count([text], "o200k_base")[0]
    assert abs(total - exact) <= exact * 0.02 + 4


def test_a_burst_beyond_the_limit_is_reckoned_in_proportion(encodings: Encodings) -> None:
    text = "The quick brown fox jumps. " * (4 * BURST_CHARACTERS_MAX // 27)
    tokens, exact = count_text(encodings, "o200k_base", text, BURST_CHARACTERS_MAX)
    assert not exact
    assert tokens == pytest.approx(toktok.batch_count([text], "o200k_base")[0], rel=0.01)


def test_text_is_not_in_a_repr(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    counter.add("canary")
    assert "canary" not in repr(counter) + repr(counter._buffers)
