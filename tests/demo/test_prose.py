"""Tests of the demo provider's texts and its counting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.demo import prose

ALL = (*prose.PARAGRAPHS, prose.AFTER_TOOL, prose.REASONING)


@given(st.text())
def test_pieces_are_the_text_and_are_what_is_counted(text: str) -> None:
    found = prose.pieces(text)
    assert "".join(found) == text
    assert len(found) == prose.count(text)


@pytest.mark.parametrize("text", ALL)
def test_every_text_tests_unicode(text: str) -> None:
    assert any("\u4e00" <= letter <= "\u9fff" for letter in text)
    assert any(len(piece.encode()) > 3 for piece in prose.pieces(text))
    assert 30 < prose.count(text) < 120


def test_answers_are_deterministic_and_differ_by_turn() -> None:
    assert prose.answer("gpt-5.5", "hello") == prose.answer("gpt-5.5", "hello")
    turns = {prose.answer("gpt-5.5", "hello", turn) for turn in range(3)}
    assert turns == set(prose.PARAGRAPHS)


def test_long_is_long() -> None:
    assert prose.LONG_PIECES <= prose.count(prose.answer("demo-long", "hello")) < 3_000


def test_texts_are_what_a_model_reads() -> None:
    request = {"messages": [
        {"role": "user", "content": [{"type": "text", "text": "one"},
                                     {"type": "image", "source": {"data": "AAAA"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "two"}]}
    assert list(prose.texts(request)) == ["one", "two"]
    assert prose.count_all(request) == 2 and prose.count_all(None) == 1


def test_nesting_without_end_is_cut() -> None:
    deep: list[object] = ["x"]
    for _ in range(5_000):
        deep = [deep]
    assert list(prose.texts(deep)) == []


@pytest.mark.parametrize(("model", "expected"), [
    ("demo-think", True), ("my-reasoner", True), ("gpt-5.5", False)])
def test_models_that_think(model: str, expected: bool) -> None:
    assert prose.thinks(model) is expected


def test_an_echo_says_what_it_was_asked() -> None:
    assert prose.answer("demo-echo", "安 hello") == "安 hello"
    assert prose.pieces(" 安全 internationalization\n", "demo-echo") == (
        " 安全", " internationalization", "\n")
    assert prose.answer("demo-echo", "") in prose.PARAGRAPHS
