"""Mailed tokens: one purpose, once, for a short time."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from relayd.core.mail_token import LIFE_MS, MailToken, mint, usable
from relayd.core.session import digest

TOKEN = MailToken("acct_1", "verify", 0, LIFE_MS["verify"], value="new@example.org")


def test_a_token_is_known_by_its_hash() -> None:
    token = mint(bytes(range(32)))
    assert len(token) == 43 and digest(token) == hashlib.sha256(token.encode()).digest()
    assert digest("\ud800") != digest(token)
    with pytest.raises(AssertionError):
        mint(bytes(16))


def test_it_opens_one_thing_once_for_half_an_hour() -> None:
    assert usable(TOKEN, "verify", 0) and usable(TOKEN, "verify", 30 * 60_000 - 1)
    assert not usable(TOKEN, "verify", 30 * 60_000)
    assert not usable(TOKEN, "reset", 0)
    assert not usable(replace(TOKEN, used_at_ms=5), "verify", 6)


def test_how_long_each_is_good_for() -> None:
    minutes = {purpose: life_ms / 60_000 for purpose, life_ms in LIFE_MS.items()}
    assert minutes == {"verify": 30, "reset": 30, "email_old": 30, "email_new": 30, "sign_in": 15,
                       "appeal": 30 * 24 * 60}


def test_what_it_will_change_is_in_no_repr() -> None:
    assert "new@" not in repr(TOKEN)
