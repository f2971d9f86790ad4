"""Keys are found wherever an SDK puts them, and judged by the snapshot alone."""

import pytest

from relayd.core.errors import RelayError
from relayd.core.key import digest, mint
from relayd.core.snapshot import KeyGrant, Snapshot
from relayd.relay.authenticate import KEY_BYTES_MAX, authenticate, presented

PEPPER = b"p" * 32
KEY = mint(b"\1" * 32)
NOW = 1_000_000


def grant(expires_at_ms: int | None = None, suspended: bool = False) -> KeyGrant:
    return KeyGrant("key_1", "acct_1", None, None, expires_at_ms, suspended)


def snapshot(which: KeyGrant) -> Snapshot:
    return Snapshot(1, {digest(PEPPER, KEY.encode()): which})


PLACES = [
    ({b"authorization": b"Bearer " + KEY.encode()}, ""),
    ({b"authorization": b"bearer  " + KEY.encode() + b" "}, ""),
    ({b"x-api-key": KEY.encode()}, ""),
    ({b"api-key": KEY.encode()}, ""),
    ({b"x-goog-api-key": KEY.encode()}, ""),
    ({}, f"alt=sse&key={KEY}"),
    ({b"authorization": b"Bearer not-ours", b"x-api-key": KEY.encode()}, ""),
    ({b"authorization": b"Bearer " + KEY.encode(), b"x-api-key": b"not-ours"}, ""),
    ({b"authorization": b"Basic abc"}, f"key={KEY}"),
    ({b"sec-websocket-protocol": b"realtime, openai-insecure-api-key." + KEY.encode()}, ""),
]


@pytest.mark.parametrize(("fields", "query"), PLACES)
def test_places(fields: dict[bytes, bytes], query: str) -> None:
    assert authenticate(fields, query, snapshot(grant()), PEPPER, NOW).key == "key_1"


@pytest.mark.parametrize(("fields", "query", "code"), [
    ({}, "", "missing_key"),
    ({b"authorization": b"Basic abc"}, "", "missing_key"),
    ({b"authorization": b"Bearer "}, "", "missing_key"),
    ({b"authorization": b"Bearer sk-other"}, "", "invalid_key"),
    ({b"authorization": b"Bearer " + KEY[:-1].encode()}, "", "invalid_key"),
    ({b"x-api-key": b"\xff\xfe"}, "", "invalid_key"),
    ({b"x-api-key": KEY.encode() * 100}, "", "invalid_key"),
    ({}, "key=%ff%00", "invalid_key"),
    ({}, "monkey=" + KEY, "missing_key"),
])
def test_refused(fields: dict[bytes, bytes], query: str, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        authenticate(fields, query, snapshot(grant()), PEPPER, NOW)
    assert caught.value.code == code


@pytest.mark.parametrize(("which", "code"), [
    (grant(expires_at_ms=NOW), "expired_key"),
    (grant(suspended=True), "account_suspended"),
])
def test_a_known_key_may_still_be_refused(which: KeyGrant, code: str) -> None:
    with pytest.raises(RelayError) as caught:
        authenticate({b"api-key": KEY.encode()}, "", snapshot(which), PEPPER, NOW)
    assert caught.value.code == code


def test_a_key_is_good_until_its_last_millisecond() -> None:
    which = snapshot(grant(expires_at_ms=NOW + 1))
    assert authenticate({b"api-key": KEY.encode()}, "", which, PEPPER, NOW).key == "key_1"


def test_the_first_foreign_key_is_presented_where_none_is_ours() -> None:
    assert presented({b"authorization": b"Bearer a", b"api-key": b"b"}, "") == b"a"


OTHER = mint(b"\2" * 32).encode()


@pytest.mark.parametrize(("fields", "query", "key"), [
    # of several of ours the first counts: the bearer, a field, the query, a subprotocol
    ({b"authorization": b"Bearer " + KEY.encode(), b"x-api-key": OTHER}, "", KEY.encode()),
    ({b"x-api-key": KEY.encode()}, f"key={OTHER.decode()}", KEY.encode()),
    ({b"sec-websocket-protocol": b"openai-insecure-api-key." + OTHER}, f"key={KEY}",
     KEY.encode()),
    # what stands anywhere else in a list of protocols is no key
    ({b"sec-websocket-protocol": b"openai-secure-api-key.00." + KEY.encode()}, "", None),
    ({b"sec-websocket-protocol": b"realtime,openai-insecure-api-key.a"}, "key=b", b"b"),
])
def test_which_of_several_is_presented(
    fields: dict[bytes, bytes], query: str, key: bytes | None
) -> None:
    assert presented(fields, query) == key


def test_a_key_without_end_is_not_looked_up() -> None:
    longest = KEY.encode().ljust(KEY_BYTES_MAX, b"x")
    both = Snapshot(1, {digest(PEPPER, longest): grant(), digest(PEPPER, longest + b"x"): grant()})
    assert authenticate({b"api-key": longest}, "", both, PEPPER, NOW).key == "key_1"
    with pytest.raises(RelayError) as caught:
        authenticate({b"api-key": longest + b"x"}, "", both, PEPPER, NOW)
    assert caught.value.code == "invalid_key"
