"""The incremental count equals that of the whole text, however the text is cut into pieces."""

from __future__ import annotations

import os
import random
import time
import unicodedata
from collections.abc import Callable, Iterator

import pytest
import toktok
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayd.relay import count
from relayd.relay.count import (
    ENDED_MAX, FLUSH_CHARACTERS, LOOP_CHARACTERS_MAX, PIECE_CHARACTERS_MAX, STREAMS_MAX,
    TEXT_CHARACTERS_MAX,
)
from relayd.relay.count import Count, TextCounter, count_text, last_cut, pieces
from relayd.relay.tokenizer import NAMES, Encodings, ModelEncoding, encoding_for, estimate
from tests.fakes import oracles

CUTTINGS = int(os.environ.get("RELAYD_CUTTINGS", "10000"))
"""Random texts that are cut at random. `RELAYD_CUTTINGS=100000` is the long run."""

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
        counter.add("")  # a buffer is there from the second piece on
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


KINDS: dict[str, Callable[[random.Random], str]] = {
    "any": lambda d: chr(d.choice((d.randrange(0xD800), d.randrange(0xE000, 0x110000)))),
    "low": lambda d: chr(d.randrange(0x800)),
    "white space": lambda d: (
        d.choice(" \t\n\r\x0b\x0c\x85\xa0\u2003\u2028\u3000") * d.choice((1, 1, 2, 3, 17, 90))),
    "code": lambda d: d.choice((
        "def f(self):\n", "    return ", "if (x1 != y_2) {\n", "\t\t", "}\n\n", "'s",
        "it's", "0x1F", "3.14", "12345", "// ", "/*", "<div class=\"a\">", "\\n", "#!",
        "self.", "camelCase", "SNAKE_", "==", "->", "…", "\r\n", "&&", "`",
        "{\"key\": [1,2", "]}", "%", "@x", "a1b2")),
    "chinese": lambda d: d.choice((
        chr(d.randrange(0x4E00, 0x9FA6)), chr(d.randrange(0x4E00, 0x9FA6)), "，", "。", "的", "“",
        "》", "ー", "カ", "の", "한", " ", "\u3000", "2024", "AI", chr(d.randrange(0x20000, 0x2A6DF)))),
    "emoji": lambda d: d.choice((
        chr(d.randrange(0x1F300, 0x1F650)), "👩‍👩‍👧", "🇩🇪", "👍🏽", "\u200d", "\ufe0f", "❤️",
        "1️⃣", " ", "#")),
    "marks": lambda d: d.choice((
        "e\u0301", "\u0301", "n", "N", "ǅ", "ʰ", "नि", "ไทย", "'", "’", "'T", "!", "\u0489")),
    "letters": lambda d: d.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    "digits": lambda d: d.choice("0123456789²٣Ⅻ"),
    "words": lambda d: d.choice(("The ", "quick", " brown", "'re ", ", ", "fox.\n", "I'm", "—")),
}


def random_text(dice: random.Random) -> str:
    kinds = list(KINDS.values())
    chosen = dice.sample(kinds, dice.choice((1, 1, 2, 3, len(kinds))))
    length = dice.choice((3, 12, 40, 40, 120, 400))
    text = "".join(dice.choice(chosen)(dice) for _ in range(dice.randint(1, length)))
    return text[:PIECE_CHARACTERS_MAX - 1]


def test_random_cuttings(encodings: Encodings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two other tokenizers say that the whole is right, the counter that the parts are.

    They are not asked about characters that Unicode 14 does not know: their tables are newer.
    """
    dice = random.Random(2026)
    flushes = 0
    for _ in range(CUTTINGS):
        text = random_text(dice)
        name = dice.choice(NAMES)
        monkeypatch.setattr(count, "FLUSH_CHARACTERS", dice.choice((1, 5, 20, 60, 1024)))
        counter = TextCounter(encodings, ModelEncoding(name, True, 1000))
        start = 0
        while start < len(text):
            end = start + dice.choice((1, 1, 2, 3, 8, 30, 500))
            counter.add(text[start:end])
            start = end
        flushes += counter._tokens > 0
        whole, _ = encodings.count(name, text)
        assert counter.total() == whole and not counter.approximate
        if name in oracles.KNOWN and "Cn" not in map(unicodedata.category, text):
            assert oracles.counts(name, text) == [whole, whole]
    assert flushes > CUTTINGS // 4


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


@pytest.mark.parametrize("streams", ["0", "00", "000", "01", "010", "110", "101", "0120"])
def test_a_reply_of_one_piece_or_a_few_counts_as_its_texts(
    encodings: Encodings, streams: str
) -> None:
    counter = TextCounter(encodings, GPT_4O)
    texts: dict[int, str] = {}
    for number, stream in enumerate(map(int, streams)):
        piece = f"inter{number}natio"
        counter.add(piece, stream)
        texts[stream] = texts.get(stream, "") + piece
        exact = sum(toktok.batch_count(list(texts.values()), "o200k_base"))
        assert counter.total() == exact and not counter.approximate


def test_an_ended_text_is_counted_and_dropped(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    for stream in range(STREAMS_MAX * 3):
        counter.add("inter", stream)
        counter.add("national", stream)
    assert len(counter._buffers) == STREAMS_MAX
    each = encodings.count("o200k_base", "international")[0]
    assert counter.total() == STREAMS_MAX * 3 * each and not counter.approximate


def test_a_text_that_goes_on_after_its_end_is_approximate(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    for stream in range(STREAMS_MAX + 1):
        counter.add("inter", stream)
    counter.add("national", 1)
    assert not counter.approximate
    counter.add("national", 0)
    assert counter.approximate and counter.total() > STREAMS_MAX


def test_ended_texts_are_known_up_to_a_limit(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    for stream in range(ENDED_MAX + STREAMS_MAX):
        counter.add("x", stream)
    assert len(counter._ended) == ENDED_MAX and not counter.approximate
    counter.add("x", -1)
    assert len(counter._ended) == ENDED_MAX and counter.approximate


class Later:
    """Counts elsewhere when it is told to."""

    def __init__(self, encodings: Encodings) -> None:
        self.encodings = encodings
        self.waiting: list[tuple[str, str, Callable[[Count | None], None]]] = []

    def __call__(self, name: str, text: str, done: Callable[[Count | None], None]) -> None:
        self.waiting.append((name, text, done))

    def go(self, *, fail: bool = False) -> None:
        waiting, self.waiting = self.waiting, []
        for name, text, done in waiting:
            done(None if fail else count_text(self.encodings, name, text, TEXT_CHARACTERS_MAX))


def test_a_long_burst_is_counted_elsewhere(encodings: Encodings) -> None:
    later = Later(encodings)
    counter = TextCounter(encodings, GPT_4O, later)
    told: list[int] = []
    counter.when_done = lambda: told.append(counter.total())
    text = "The quick brown fox, it's said, jumps. " * (2 * LOOP_CHARACTERS_MAX // 39)
    counter.add("Well: ")
    counter.add(text)
    counter.add(text[7:])
    assert counter.pending == 2 == len(later.waiting) and counter.approximate
    whole = encodings.count("o200k_base", "Well: " + text + text[7:])[0]
    assert whole * 0.5 < counter.total() < whole * 2
    later.go()
    assert told == [whole] and counter.total() == whole and not counter.approximate


def test_a_burst_that_could_not_be_counted_is_estimated(encodings: Encodings) -> None:
    later = Later(encodings)
    counter = TextCounter(encodings, GPT_4O, later)
    text = "word " * LOOP_CHARACTERS_MAX
    counter.add(text)
    later.go(fail=True)
    assert counter.pending == 0 and counter.approximate
    assert abs(counter.total() - estimate(text)) <= 1


def test_what_the_loop_encodes_at_once_is_bounded(encodings: Encodings) -> None:
    class Watched(Encodings):
        longest = 0

        def count(self, name: str, text: str) -> Count:
            self.longest = max(self.longest, len(text))
            return encodings.count(name, text)

    watched = Watched()
    counter = TextCounter(watched, GPT_4O, Later(encodings))
    for size in (1, 100, 3000, LOOP_CHARACTERS_MAX, 50_000, 3, 700_000):
        counter.add("some words, "[:size] + "more words " * (size // 11))
        counter.add("x" * size)
    counter.total()
    assert FLUSH_CHARACTERS < watched.longest <= PIECE_CHARACTERS_MAX + 1


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


class Ledger(Encodings):
    """Adds up the work of the tokenizer in place of its time."""

    def __init__(self, inner: Encodings) -> None:
        super().__init__()
        self.inner = inner
        self.calls: list[int] = []

    def count(self, name: str, text: str) -> Count:
        self.calls.append(len(text))
        return self.inner.count(name, text)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[0]))
@pytest.mark.parametrize("size", [1_000_000, 500, 16])
def test_hostile_text_is_bounded_in_work_and_space(
    encodings: Encodings, monkeypatch: pytest.MonkeyPatch, text: str, size: int
) -> None:
    searched: list[int] = []

    def watched(text: str, start: int, end: int) -> int:
        searched.append(end - start)
        return last_cut(text, start, end)

    monkeypatch.setattr(count, "last_cut", watched)
    ledger = Ledger(encodings)
    counter = TextCounter(ledger, GPT_4O)
    begun = time.process_time()
    for start in range(0, len(text), size):
        counter.add(text[start:start + size])
        assert sum(held.size for held in counter._buffers.values()) < PIECE_CHARACTERS_MAX
    total = counter.total()
    print(f"{text[0]!r} by {size}: {time.process_time() - begun:.2f} s")
    assert sum(ledger.calls) == len(text) and max(ledger.calls) <= PIECE_CHARACTERS_MAX + size
    assert sum(searched) <= 3 * len(text)
    assert counter.approximate
    exact = toktok.batch_count([text], "o200k_base")[0]
    assert abs(total - exact) <= exact * 0.02 + 4


def test_work_is_linear_in_the_text(encodings: Encodings) -> None:
    """Twice the text, twice the characters that are encoded and searched, whatever the pieces."""
    for unit in ("word ", "文字，", "x1", "    ", "long" * 300 + " "):
        text = unit * (200_000 // len(unit))
        ledger = Ledger(encodings)
        counter = TextCounter(ledger, GPT_4O)
        for chunk in chunks(text, [3, 11, 700]):
            counter.add(chunk)
        counter.total()
        assert sum(ledger.calls) == len(text)
        assert len(ledger.calls) <= len(text) // FLUSH_CHARACTERS + 2


def test_a_burst_beyond_the_limit_is_reckoned_in_proportion(encodings: Encodings) -> None:
    text = "The quick brown fox jumps. " * (2 * TEXT_CHARACTERS_MAX // 27)
    tokens, exact = count_text(encodings, "o200k_base", text, TEXT_CHARACTERS_MAX)
    assert not exact
    assert tokens == pytest.approx(toktok.batch_count([text], "o200k_base")[0], rel=0.01)


def test_text_is_not_in_a_repr(encodings: Encodings) -> None:
    counter = TextCounter(encodings, GPT_4O)
    counter.add("canary")
    assert "canary" not in repr(counter)
    counter.add("canary")
    assert "canary" not in repr(counter) + repr(counter._buffers)
