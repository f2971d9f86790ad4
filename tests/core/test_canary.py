"""Canaries: each form of a mark is found wherever it lies, and nothing else is."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.canary import FORMS, RANDOM_BYTES, Mark, count, mark_of, needles

MARKS = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES).map(mark_of)
NAMES = ("latin", "han", "emoji", "identity")


def forms_in(data: bytes, mark: Mark, name: str) -> set[str]:
    return {form for found, form in count(data, needles(mark)) if found == name}


@given(MARKS, st.text(max_size=5), st.sampled_from(NAMES))
def test_every_encoding_is_found(mark: Mark, around: str, name: str) -> None:
    around = around.encode("utf-8", "ignore").decode()
    text = f"{around}{getattr(mark, name)}{around}"
    for form in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        assert form in forms_in(b"x" + text.encode(form) + b"x", mark, name)
    escaped = json.dumps(text).encode()
    assert forms_in(escaped, mark, name) & {"json", "utf-8"}
    assert forms_in(escaped.replace(b"\\u", b"\0").upper().replace(b"\0", b"\\u"), mark, name) or (
        getattr(mark, name).isascii())
    assert forms_in(quote(text).encode(), mark, name) & {"percent", "utf-8"}


@given(MARKS, st.binary(max_size=7), st.sampled_from(NAMES))
def test_base64_is_found_wherever_it_begins(mark: Mark, before: bytes, name: str) -> None:
    data = before + getattr(mark, name).encode() + before
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert "base64" in forms_in(encode(data), mark, name)


@given(MARKS, MARKS)
def test_one_run_s_marks_are_not_another_s(one: Mark, two: Mark) -> None:
    if not set(one) & set(two):
        assert count(one.text.encode() + one.identity.encode(), needles(two)) == {}


@given(MARKS)
def test_scripts_need_one_two_and_four_bytes(mark: Mark) -> None:
    assert mark.latin.isascii() and mark.identity.isascii()
    assert all(0xFF < ord(each) <= 0xFFFF for each in mark.han)
    assert all(ord(each) > 0xFFFF for each in mark.emoji)
    assert mark.text.split() == list(mark[:3])


def test_copies_are_counted_by_form() -> None:
    mark = mark_of(bytes(range(RANDOM_BYTES)))
    data = mark.latin.encode() * 3 + mark.han.encode("utf-16-le")
    found = count(data, needles(mark, identity=False))
    assert found[("latin", "utf-8")] == 3 and found[("han", "utf-16-le")] == 1
    assert {form for _, form in needles_of(mark)} == set(FORMS)
    assert count(mark.identity.encode(), needles(mark, identity=False)) == {}


def needles_of(mark: Mark) -> set[tuple[str, str]]:
    return {(needle.mark, needle.form) for needle in needles(mark)}


def test_a_mark_takes_its_bytes() -> None:
    with pytest.raises(AssertionError):
        mark_of(b"short")


def test_every_byte_that_was_drawn_is_in_the_mark() -> None:
    drawn = bytes(range(RANDOM_BYTES))
    found = {mark_of(drawn[:at] + bytes([drawn[at] ^ 1]) + drawn[at + 1:])
             for at in range(RANDOM_BYTES)}
    assert len(found | {mark_of(drawn)}) == RANDOM_BYTES + 1
    mark = mark_of(drawn)
    assert len({mark.latin, mark.identity, mark.han, mark.emoji}) == 4
