"""Texts as blocks and links; what changed between two."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.document import Span, blocks, changes, difference, digest, spans, tidied

TEXT = """\
# Title

A line
that goes on.

- one
- two with a [link](/legal/terms)

| a | b |
| --- | --- |
| 1 | [x](https://example.org/) |

## Part
"""


def test_blocks_of_every_kind() -> None:
    found = list(blocks(TEXT))
    assert [(b.kind, b.level) for b in found] == [
        ("heading", 1), ("paragraph", 0), ("list", 0), ("table", 0), ("heading", 2)]
    assert found[0].lines == ((Span("Title"),),)
    assert found[1].lines == ((Span("A line that goes on."),),)
    assert found[2].lines[1] == (Span("two with a "), Span("link", "/legal/terms"))
    assert found[3].rows == (
        ((Span("a"),), (Span("b"),)),
        ((Span("1"),), (Span("x", "https://example.org/"),)))


@pytest.mark.parametrize("text", [
    "[x](javascript:alert(1))", "[x](http://plain.example)", "[x]( /a)", "<b>x</b>", "[x]",
])
def test_what_is_no_link_is_text(text: str) -> None:
    assert spans(text) == (Span(text),)


@given(st.text(alphabet="[]()ab /:https\n", max_size=60))
def test_no_text_is_lost(text: str) -> None:
    assert "".join(
        s.text if s.href is None else f"[{s.text}]({s.href})" for s in spans(text)) == text


def test_a_digest_is_of_the_bytes() -> None:
    assert digest("é\n") == hashlib.sha256("é\n".encode()).hexdigest()


def test_tidied_text_stays_the_same() -> None:
    assert tidied(" a  \n\n\n\nb\n\n") == "a\n\nb\n" == tidied("a\n\nb\n")


def test_what_changed() -> None:
    assert difference("a\nb\n", "a\nc\n") == [("same", "a"), ("removed", "b"), ("added", "c")]
    before = "\n".join(f"line {n}" for n in range(20))
    after = before.replace("line 2\n", "").replace("line 15", "line fifteen")
    assert changes(before, after, 1) == [
        ("same", "line 1"), ("removed", "line 2"), ("same", "line 3"), None,
        ("same", "line 14"), ("removed", "line 15"), ("added", "line fifteen"),
        ("same", "line 16"), None]
    assert [x for x in changes(before, before) if x is not None] == []


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_a_difference_has_both_texts(before: list[str], after: list[str]) -> None:
    lines = difference("\n".join(before), "\n".join(after))
    assert [text for sign, text in lines if sign != "added"] == before
    assert [text for sign, text in lines if sign != "removed"] == after
