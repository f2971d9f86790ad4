"""A tally counts exactly up to its limit and reckons beyond it, in bounded time."""

from __future__ import annotations

import time

import pytest
import toktok

from relayd.relay.prompt_tally import PROMPT_CHARACTERS_MAX, Tally, any_object, member, objects
from relayd.relay.tokenizer import Encodings, encoding_for
from relayd.wire.spliced import Run


def test_text_fixed_and_factor(encodings: Encodings) -> None:
    tally = Tally(encodings, encoding_for("claude-sonnet-5"))
    tally.text("one two three four")
    tally.fixed(100)
    assert tally.total() == 6 + 100
    assert tally.approximate
    exact = Tally(encodings, encoding_for("gpt-4o"))
    exact.text("one two three four")
    assert (exact.total(), exact.approximate) == (4, False)
    exact.fixed(-9)
    assert exact.total() == 0


@pytest.mark.parametrize("value", [None, "", 5, 1.5, True, [], ["x"], {"text": "x"}, b"x"])
def test_what_is_no_text_counts_nothing(encodings: Encodings, value: object) -> None:
    tally = Tally(encodings, encoding_for("gpt-4o"))
    tally.text(value)
    assert tally.total() == 0


@pytest.mark.parametrize("value", [
    {"a": [1, 2.5, None, True, 1 << 70]}, {"你": "好"}, "text", 0, {"lone": "\ud83d"}, []])
def test_json_counts_as_its_compact_text(encodings: Encodings, value: object) -> None:
    tally = Tally(encodings, encoding_for("gpt-4o"))
    tally.json(value)
    assert 1 <= tally.total() <= 40
    tally.json(None)
    tally.json(None, spaced=True)
    assert tally.approximate is False
    spaced = Tally(encodings, encoding_for("gpt-4o"))
    spaced.json(value, spaced=True)
    assert tally.total() <= spaced.total() <= 60


def test_beyond_the_limit_text_is_reckoned_in_proportion(encodings: Encodings) -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 1000
    tally = Tally(encodings, encoding_for("gpt-4o"))
    times = PROMPT_CHARACTERS_MAX // len(text) + 20
    begun = time.process_time()
    for _ in range(times):
        tally.text(text)
    assert time.process_time() - begun < 2
    exact = times * toktok.batch_count([text], "o200k_base")[0]
    assert tally.total() == pytest.approx(exact, rel=0.001)
    assert tally.approximate


@pytest.mark.parametrize("text", ["a" * 5_000_000, " " * 5_000_000], ids=["a", "space"])
def test_hostile_text_takes_bounded_time(encodings: Encodings, text: str) -> None:
    tally = Tally(encodings, encoding_for("gpt-4o"))
    begun = time.process_time()
    tally.text(text)
    assert time.process_time() - begun < 4
    exact = toktok.batch_count([text], "o200k_base")[0]
    assert tally.total() == pytest.approx(exact, rel=0.01)


def test_objects_and_members_of_anything() -> None:
    assert objects([{"a": 1}, 5, None, [], {}]) == [{"a": 1}, {}]
    assert objects({"a": 1}) == objects(None) == objects("x") == []
    assert member({"a": 1}, "a") == 1
    assert member({}, "a") is member([], "a") is member("a", "a") is member(None, "a") is None


@pytest.mark.parametrize(("texts", "found"), [
    ([b"{}"], True), ([b'{"a":1}', b"5"], True), ([b"5", b"{}"], True), ([b"5", b"[{}]"], False),
    ([], False)])
def test_an_object_among_known_elements(texts: list[bytes], found: bool) -> None:
    for text in (b",".join(texts), memoryview(b",".join(texts))):
        run = Run(text, range(len(texts)), [len(text) for text in texts], 7)
        assert any_object([run]) is found
        assert any_object([5, run]) is found
        assert any_object([run, {}]) is True
    assert not any_object(None) and not any_object([]) and not any_object({"a": {}})
