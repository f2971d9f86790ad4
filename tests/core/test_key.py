"""API keys: the format is recognisable and checked; states move by the table alone."""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relayd.core.errors import RelayError
from relayd.core.key import (
    ALPHABET, KEY_MOVES, ApiKey, KeyState, advance, digest, hint, looks_valid, mint, usable,
)

RANDOM = st.binary(min_size=32, max_size=32)
PUBLISHED = re.compile(r"^sk-relayd-[0-9A-Za-z]{43,}$")
KEY = ApiKey(id="key_1", account="acct_1", name="laptop", hint="sk-relayd-...abcd", app=None,
             models=None, state="active", created_at_ms=0, expires_at_ms=None)


@given(RANDOM)
def test_a_key_has_the_published_form_and_looks_valid(random32: bytes) -> None:
    key = mint(random32)
    assert PUBLISHED.match(key) and len(key) == 59
    assert looks_valid(key)


@given(RANDOM)
def test_a_key_holds_all_random_bits_and_ends_in_a_checksum(random32: bytes) -> None:
    key = mint(random32)

    def number(text: str) -> int:
        value = 0
        for char in text:
            value = value * 62 + ALPHABET.index(char)
        return value

    assert number(key[10:53]).to_bytes(32, "big") == random32
    assert number(key[53:]) == zlib.crc32(key[:53].encode())


@given(RANDOM, st.integers(10, 58), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(random32: bytes, place: int, char: str) -> None:
    key = mint(random32)
    wrong = key[:place] + char + key[place + 1:]
    assert looks_valid(wrong) == (wrong == key)


@pytest.mark.parametrize("text", [
    "", "sk-relayd-", "sk-proj-abc", mint(bytes(32))[:-1], mint(bytes(32)) + "0",
    mint(bytes(32)).upper(), " " + mint(bytes(32))[:-1], mint(bytes(32))[:-1] + "\n",
    mint(bytes(32))[:-1] + "é", "sk-relayd-" + "٣" * 49, "\ud800" * 59,
])
def test_junk_does_not_look_valid(text: str) -> None:
    assert not looks_valid(text)


@given(st.text(max_size=80))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert not looks_valid(text)


def test_mint_takes_256_bits() -> None:
    with pytest.raises(AssertionError):
        mint(bytes(31))


@given(RANDOM, st.binary(max_size=80))
def test_digest_is_hmac_sha256(pepper: bytes, key: bytes) -> None:
    assert digest(pepper, key) == hashlib.blake2b(key, key=pepper, digest_size=32).digest()


def test_the_hint_shows_four_characters() -> None:
    key = mint(b"\xa5" * 32)
    assert hint(key) == "sk-relayd-..." + key[-4:]


@pytest.mark.parametrize("state", get_args(KeyState))
@pytest.mark.parametrize("move", ["revoke", "resume"])
def test_states_move_by_the_table_and_no_other_way(state: str, move: str) -> None:
    if (state, move) in KEY_MOVES:
        assert advance(state, move) == KEY_MOVES[state, move]  # type: ignore[index, arg-type]
        return
    with pytest.raises(RelayError) as caught:
        advance(state, move)  # type: ignore[arg-type]
    assert caught.value.code == "key_state"


def test_no_move_brings_a_revoked_key_back() -> None:
    after_revoked = {after for (before, _), after in KEY_MOVES.items() if before == "revoked"}
    assert after_revoked == {"revoked"}


@pytest.mark.parametrize("key, now_ms, expected", [
    (KEY, 10 ** 15, True),
    (replace(KEY, expires_at_ms=100), 99, True),
    (replace(KEY, expires_at_ms=100), 100, False),
    (replace(KEY, state="revoked"), 0, False),
])
def test_expiry_is_a_matter_of_time(key: ApiKey, now_ms: int, expected: bool) -> None:
    assert usable(key, now_ms) is expected


def test_a_repr_shows_no_names() -> None:
    assert "laptop" not in repr(KEY)
