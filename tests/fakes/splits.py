"""Ways to cut bytes into pieces."""

from __future__ import annotations

from hypothesis import strategies as st


def one_by_one(data: bytes) -> list[bytes]:
    return [data[place:place + 1] for place in range(len(data))]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The pieces between these places, wherever they are; none of them is empty."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in zip(ends, ends[1:], strict=False)]


places = st.lists(st.integers(0, 1 << 20), max_size=12)
