"""Tests of the embeddings."""

from __future__ import annotations

import base64
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relayd.demo import vectors


@settings(max_examples=25, deadline=None)
@given(st.text(max_size=40), st.integers(-1, 64))
def test_length_is_one_and_nothing_is_lost_in_32_bits(text: str, dimensions: int) -> None:
    values = vectors.vector(text, dimensions)
    assert len(values) == max(dimensions, 1)
    assert math.fsum(v * v for v in values) == pytest.approx(1.0, abs=1e-5)
    packed = base64.b64decode(vectors.base64_of(values))
    assert list(struct.unpack(f"<{len(values)}f", packed)) == values


def test_texts_that_share_words_are_near() -> None:
    def likeness(one: str, other: str) -> float:
        return math.fsum(a * b for a, b in zip(vectors.vector(one, 256),
                                               vectors.vector(other, 256), strict=True))

    assert vectors.vector("A relay", 64) == vectors.vector("a RELAY", 64)
    assert likeness("a fast relay", "a slow relay") > 0.4 > likeness("a fast relay", "blue sky")


def test_size_is_bounded() -> None:
    assert len(vectors.vector("x", 10 ** 9)) == vectors.DIMENSIONS_MAX


@pytest.mark.parametrize(("query", "text", "expected"), [
    ("red car", "a RED car", 1.0), ("red car", "a red bus", 0.5), ("", "x", 0.0)])
def test_likeness(query: str, text: str, expected: float) -> None:
    assert vectors.likeness(query, text) == expected
