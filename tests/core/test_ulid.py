"""ULIDs: format and order, against a plain encoding of the specification."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.ulid import (
    ALPHABET, ENTROPY_BLOCK_BYTES, RANDOM_BITS, RANDOM_BYTES, Ulids, ulid,
)

TIMES = st.integers(0, 2 ** 48 - 1)
RANDOM = st.binary(min_size=10, max_size=10)


def plain(unix_ms: int, random80: bytes) -> str:
    value = unix_ms << 80 | int.from_bytes(random80, "big")
    return "".join(ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


@given(TIMES, RANDOM)
def test_is_crockford_base_32_of_128_bits(unix_ms: int, random80: bytes) -> None:
    assert ulid(unix_ms, random80) == plain(unix_ms, random80)


@given(TIMES, TIMES, RANDOM, RANDOM)
def test_sorts_by_time(one_ms: int, other_ms: int, one: bytes, other: bytes) -> None:
    first, second = ulid(one_ms, one), ulid(other_ms, other)
    assert (first < second) == ((one_ms, one) < (other_ms, other))


@pytest.mark.parametrize("unix_ms, random80", [(-1, bytes(10)), (2 ** 48, bytes(10)),
                                               (0, bytes(9)), (0, bytes(11))])
def test_refuses_what_does_not_fit(unix_ms: int, random80: bytes) -> None:
    with pytest.raises(AssertionError):
        ulid(unix_ms, random80)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=50), st.sampled_from([b"\x00", b"\xff"]))
def test_ids_of_a_process_only_grow(ticks: list[int], filler: bytes) -> None:
    """Whatever the clock does, and where the random part is all ones and overflows."""
    make = Ulids(lambda size: filler * size)
    ids = [make(tick) for tick in ticks]
    assert all(one < other for one, other in pairwise(ids))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50),
       st.sampled_from([bytes(10), b"\xff" * 10, b"\xff" * 9 + b"\xfe",
                        bytes(7) + b"\x0f\xff\xff"]))
def test_they_are_one_number_that_counts(ticks: list[int], drawn: bytes) -> None:
    make = Ulids(lambda size: (drawn * size)[:size])
    fresh = int.from_bytes(drawn, "big")
    ms, number = -1, 0
    for tick in ticks:
        number += 1
        if tick > ms:
            ms, number = tick, fresh
        elif number == 1 << RANDOM_BITS:
            ms, number = ms + 1, fresh
        assert make(tick) == ulid(ms, number.to_bytes(RANDOM_BYTES, "big"))


@given(st.lists(TIMES, min_size=1, max_size=20, unique=True), st.integers(0, 999))
def test_a_new_millisecond_is_the_plain_id_of_its_own_bits(times: list[int], seed: int) -> None:
    dice, blocks = Random(seed), []

    def entropy(size: int) -> bytes:
        blocks.append(dice.randbytes(size))
        return blocks[-1]

    make = Ulids(entropy)
    for index, unix_ms in enumerate(sorted(times)):
        made = make(unix_ms)
        assert made == plain(unix_ms, blocks[0][index * RANDOM_BYTES:][:RANDOM_BYTES])


def test_a_millisecond_counts_up_by_one() -> None:
    make = Ulids(bytes)
    assert [make(7), make(7)] == [ulid(7, bytes(10)), ulid(7, bytes(9) + b"\x01")]


def test_entropy_is_drawn_in_blocks_and_never_used_twice() -> None:
    drawn: list[int] = []

    def entropy(size: int) -> bytes:
        drawn.append(size)
        return b"".join(number.to_bytes(2, "big") for number in range(size // 2))

    make = Ulids(entropy)
    per_block = ENTROPY_BLOCK_BYTES // 10
    tails = {make(ms)[10:] for ms in range(per_block)}
    assert drawn == [ENTROPY_BLOCK_BYTES] and len(tails) == per_block
    make(per_block)
    assert drawn == [ENTROPY_BLOCK_BYTES] * 2
