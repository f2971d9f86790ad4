"""Pseudonyms: known vectors, and what must not be joined cannot be."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from relayd.wire.identity import EPOCH_MS, Pseudonyms, epoch_of, provider_key, pseudonym

KEY = bytes(range(32))


def test_the_pseudonym_is_what_the_papers_say() -> None:
    digest = hmac.new(KEY, b"v1|acct|acct_1|u|bob", hashlib.sha256).digest()
    assert pseudonym(KEY, "acct_1", "bob") == base64.b32encode(digest)[:26].decode()
    digest = hmac.new(KEY, b"v1|acct|acct_1", hashlib.sha256).digest()
    assert pseudonym(KEY, "acct_1") == base64.b32encode(digest)[:26].decode()


def test_providers_and_epochs_have_their_own_keys() -> None:
    keys = {provider_key(KEY, name, epoch) for name in ("a", "b") for epoch in (1, 11)}
    keys.add(provider_key(b"x" * 32, "a", 1))
    assert len(keys) == 5 and all(len(key) == 32 for key in keys)


def test_an_epoch_has_thirty_days() -> None:
    assert EPOCH_MS == 2_592_000_000
    assert epoch_of(EPOCH_MS - 1) == 0 and epoch_of(EPOCH_MS) == 1


@given(st.text(), st.text())
def test_values_and_uses_are_kept_apart(one: str, two: str) -> None:
    names = Pseudonyms(KEY, "acct_1", "enduser", "hashed")
    others = Pseudonyms(KEY, "acct_2", "enduser", "hashed")
    assert (names.end_user(one) == names.end_user(two)) is (one == two)
    assert names.end_user(one) != names.cache_key(one)
    assert names.end_user(one) != others.end_user(one)
    assert names.cache_key(one) != others.cache_key(one)


def test_policies() -> None:
    account = Pseudonyms(KEY, "acct_1", "account", "absent")
    assert account.end_user("bob") == account.end_user(None) == pseudonym(KEY, "acct_1")
    assert account.cache_key("x") is None
    assert Pseudonyms(KEY, "acct_1").end_user("bob") is None
    enduser = Pseudonyms(KEY, "acct_1", "enduser")
    assert enduser.end_user(None) == pseudonym(KEY, "acct_1")


def test_the_repr_holds_no_key() -> None:
    assert "secret" not in repr(Pseudonyms(b"secret-key-bytes", "acct_1"))
