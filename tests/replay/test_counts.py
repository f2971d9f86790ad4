"""The relay's own count of every recorded reply is that of tiktoken over each whole text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relayd.relay import count
from relayd.relay.count import FLUSH_CHARACTERS, TextCounter
from relayd.relay.tap import tap_for
from relayd.relay.tokenizer import (
    NAMES, O200K_HAN, Encodings, ModelEncoding, encoding_for,
)
from relayd.wire.dialect import BY_OPERATION
from relayd.wire.replytext import ARGUMENTS, CONTENT, KINDS, REASONING
from tests.fakes.splits import cut
from tests.fakes.texts import Texts
from tests.shared import known_collection
from tests.wire.test_corpus import CASES, OPERATIONS, TWICE, content_type, expected

CUTS = (0, 3, 40, 400)
"""Pieces into which each reply is cut, at random."""

FACTS = {"content": CONTENT, "reasoning": REASONING, "tool_arguments": ARGUMENTS}


@pytest.fixture(scope="module")
def encodings() -> Encodings:
    loaded = Encodings()
    loaded.load(NAMES)
    return loaded


class Counted:
    """Counts, and keeps the texts to count them again as wholes."""

    def __init__(self, encodings: Encodings, encoding: ModelEncoding) -> None:
        self.texts = Texts()
        self.counter = TextCounter(encodings, encoding)

    def add(self, text: str, stream: int = 0) -> None:
        """Both take every piece."""
        self.texts.add(text, stream)
        self.counter.add(text, stream)


def replayed(case: Path, encodings: Encodings, encoding: ModelEncoding) -> Iterator[Counted]:
    body = (case / "response.raw").read_bytes()
    dice = random.Random(case.name)
    for pieces in CUTS:
        counted = Counted(encodings, encoding)
        tap = tap_for(BY_OPERATION[OPERATIONS[expected(case)["api"]]], content_type(case), 200,
                      withhold_usage=False, counter=counted, limit=1 << 25)
        for piece in cut(body, [dice.randrange(len(body) + 1) for _ in range(pieces)]):
            tap.feed(piece)
        tap.flush()
        tap.finish(True)
        yield counted


def model_of(known: dict[str, Any]) -> ModelEncoding:
    return encoding_for(known["model_requested"] or known["model_reported"] or "")


def whole(encodings: Encodings, name: str, texts: Texts) -> int:
    encoding = encodings.get(name)
    assert encoding is not None
    return sum(len(encoding.encode(text, disallowed_special=()))
               for text in texts.streams.values())


def test_the_corpus_has_models_of_openai() -> None:
    known_collection("corpus", "cases")
    assert sum(model_of(expected(case)).exact for case in CASES) > 140


@pytest.mark.parametrize("flush", [8, 60, FLUSH_CHARACTERS])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_counted_as_the_whole_texts(
    case: Path, flush: int, encodings: Encodings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For other models: before the factor. Recorded texts are short, so they are flushed early."""
    monkeypatch.setattr(count, "FLUSH_CHARACTERS", flush)
    name = model_of(expected(case)).name
    name = "o200k_base" if name == O200K_HAN else name
    plain = ModelEncoding(name, True, 1000)
    totals = set()
    for counted in replayed(case, encodings, plain):
        assert counted.counter.total() == whole(encodings, name, counted.texts)
        assert not counted.counter.approximate
        totals.add(counted.counter.total())
    assert len(totals) == 1


def test_the_corpus_s_own_figures(encodings: Encodings) -> None:
    """They are of all texts of a kind joined, so the one text there is has to be all of them."""
    known_collection("corpus", "cases")
    checked = 0
    for case in CASES:
        facts = expected(case).get("text") or {}
        if case.name in TWICE or not facts:
            continue
        texts = next(replayed(case, encodings, encoding_for("gpt-4o"))).texts
        for word, kind in FACTS.items():
            found = [text for stream, text in texts.streams.items() if stream % KINDS == kind]
            for name in ("o200k_base", "cl100k_base") if len(found) == 1 and word in facts else ():
                counter = TextCounter(encodings, ModelEncoding(name, True, 1000))
                counter.add(found[0])
                assert counter.total() == facts[word][name], case.name
                checked += 1
    assert checked > 500
