"""Where the bytes of elements lie: cut, joined, and the same as the elements themselves."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.stretch import (
    ELEMENT_COST, MEMBER_COST, PIECE_COST, STRETCH_COST, Seen, cut, join, leading, stretch,
)

TEXTS = st.lists(st.binary(min_size=2, max_size=12), min_size=1, max_size=6)


def seen_of(texts: list[bytes], pieces: list[tuple[slice, ...] | None]) -> dict[int, Seen]:
    return {id(text): (hash(text), len(text), None if own is None else array("I", [
        bound for piece in own for bound in (piece.start, piece.stop)]), ("name",) if own else ())
        for text, own in zip(texts, pieces, strict=False)}


def sent(text: bytes, own: tuple[slice, ...] | None) -> bytes:
    return text if own is None else b"".join([text[piece] for piece in own])


PIECES = st.lists(st.one_of(st.none(), st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=3)),
    min_size=6, max_size=6)


@given(TEXTS, PIECES, st.integers(1, 5))
def test_what_is_sent_is_the_elements(
    texts: list[bytes], bounds: list[list[tuple[int, int]] | None], first: int
) -> None:
    """Also of two stretches that have become one."""
    texts = [bytes(bytearray(text)) for text in texts]
    pieces = [None if own is None else tuple([
        slice(min(a, b, len(text)), min(max(a, b), len(text))) for a, b in own])
        for text, own in zip(texts, bounds, strict=False)]
    seen = seen_of(texts, pieces)
    wanted = b",".join([sent(text, own) for text, own in zip(texts, pieces, strict=True)])
    raw = b"xy" + b",".join(texts)
    elements, end = leading(texts, seen, 2)
    assert (len(elements), end) == (len(texts), len(raw))
    whole = cut(elements)
    run = whole.run(memoryview(raw))
    assert bytes(run.text) == wanted and list(run.tags) == [hash(text) for text in texts]
    assert [one.text for one in run.elements()] == [
        sent(text, own) for text, own in zip(texts, pieces, strict=True)]
    assert whole.names == {"name" for own in pieces if own}
    one, end = leading(texts[:first], seen, 2)
    two, _ = leading(texts[first:], seen, 1)
    if two:
        joined = join(cut(one), [(end, cut(two))])
        assert bytes(joined.text(memoryview(raw))) == wanted
        assert joined._replace(pieces=whole.pieces) == whole


def test_the_first_that_is_not_known_ends_it() -> None:
    texts = [b"aa", b"bbb", b"cc"]
    seen = seen_of([texts[0], texts[2]], [None, None])
    elements, end = leading(texts, seen, 10)
    assert [at for at, _ in elements] == [10] and end == 12
    assert leading([], seen, 1) == ([], 0)


def test_what_it_takes_of_the_memory() -> None:
    text = b"abcdef"
    part = cut([(0, (1, 6, array("I", [0, 2, 4, 6]), ()))])
    assert bytes(part.text(memoryview(text))) == b"abef"
    whole = stretch(6, 0, [("b", 0, 1)], [("a", part)])
    assert whole.cost == STRETCH_COST + 2 * MEMBER_COST + 2 * PIECE_COST + ELEMENT_COST
