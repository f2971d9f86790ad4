"""Use cases on API keys: shown once, stored as a keyed hash, ended in the snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson
import pytest

from relayd.control import account, audit, key
from relayd.control.key import KeyWish
from relayd.control.publish import load, policy_version
from relayd.core.actor import Actor, Via
from relayd.core.errors import RelayError
from relayd.core.key import digest, looks_valid
from relayd.store.db import Database
from relayd.store.secret import pepper
from tests.fakes.editions import publish_first
from tests.fakes.erased import erase
from tests.fakes.records import START_MS

EMAIL = "ann@example.org"
_VIAS: Final[tuple[Via, ...]] = ("console", "api")
DAY = 86_400_000


async def refused(work: Any) -> str:
    with pytest.raises(RelayError) as caught:
        await work
    return caught.value.code


def hashed(db: Database, text: str) -> bytes:
    return digest(pepper(db.secret), text.encode())


async def test_a_new_key_opens_what_was_wished(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    before = await policy_version(db)
    wish = KeyWish(" laptop ", "editor", ("gpt-4o-mini", "claude-*"), START_MS + DAY)
    issued = await key.create(db, EMAIL, wish, START_MS)
    assert looks_valid(issued.text) and issued.key.name == "laptop"
    snapshot = await load(db)
    grant = snapshot.keys[hashed(db, issued.text)]
    assert (grant.key, grant.account, grant.app) == (issued.key.id, made.id, "editor")
    assert grant.models == {"gpt-4o-mini", "claude-*"} and grant.expires_at_ms == START_MS + DAY
    assert snapshot.version == before + 1


async def test_the_text_is_nowhere(db: Database) -> None:
    await account.create(db, EMAIL, None, START_MS)
    issued = await key.create(db, EMAIL, KeyWish("laptop"), START_MS)
    assert issued.text not in repr(issued)
    for file in db.directory.iterdir():
        assert issued.text[10:].encode() not in file.read_bytes()


async def test_keys_differ(db: Database) -> None:
    await account.create(db, EMAIL, None, START_MS)
    made = [await key.create(db, EMAIL, KeyWish("same"), START_MS) for _ in range(5)]
    assert len({issued.text for issued in made}) == len({issued.key.id for issued in made}) == 5
    assert [issued.key.id for issued in made] != []
    assert len(await key.listing(db)) == len(await key.listing(db, EMAIL)) == 5


async def test_any_number_is_read_a_page_at_a_time(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key, "BATCH_ROWS", 2)
    monkeypatch.setattr(account, "BATCH_ROWS", 2)
    made = []
    for number in range(4):
        owner = await account.create(db, f"{number}@example.org", None, START_MS + number)
        made += [await key.create(db, owner.id, KeyWish(f"k{number}"), START_MS + n)
                 for n in range(number)]
    ids = sorted(issued.key.id for issued in made)
    assert [each.id async for each in key.each(db)] == ids
    assert len([each async for each in key.each(db, "2@example.org")]) == 2
    assert len([each async for each in account.each(db)]) == 4
    assert await key.names(db, ids[:1] + ["nobody"]) == {
        each.key.id: each.key.name for each in made if each.key.id == ids[0]}


@pytest.mark.parametrize("wish", [
    KeyWish(""), KeyWish("x" * 101), KeyWish("a\nb"), KeyWish("a", app=""),
    KeyWish("a", models=()), KeyWish("a", models=("",)), KeyWish("a", models=("m",) * 201),
])
async def test_wishes_that_cannot_be(db: Database, wish: KeyWish) -> None:
    await account.create(db, EMAIL, None, START_MS)
    assert await refused(key.create(db, EMAIL, wish, START_MS)) == "invalid_value"
    assert await key.listing(db) == []


async def test_who_can_have_a_key(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    nobody = key.create(db, "nobody@example.org", KeyWish("a"), START_MS)
    assert await refused(nobody) == "account_not_found"
    await erase(db, made.id, START_MS)
    assert await refused(key.create(db, made.id, KeyWish("a"), START_MS)) == "account_state"


async def test_revoking_by_id_or_by_the_key_itself(db: Database) -> None:
    await account.create(db, EMAIL, None, START_MS)
    one = await key.create(db, EMAIL, KeyWish("one"), START_MS)
    two = await key.create(db, EMAIL, KeyWish("two"), START_MS)
    assert (await key.revoke(db, one.key.id, START_MS)).state == "revoked"
    assert set((await load(db)).keys) == {hashed(db, two.text)}
    assert (await key.revoke(db, two.text, START_MS)).id == two.key.id
    assert (await load(db)).keys == {}
    assert (await key.revoke(db, two.text, START_MS)).state == "revoked"
    assert await refused(key.revoke(db, "key_nobody", START_MS)) == "key_not_found"
    # what was revoked before is no event
    assert [orjson.loads(entry.event.details)["key"] async for entry in audit.listing(db)
            if entry.event.action == "key.revoke"] == [one.key.id, two.key.id]


async def test_who_has_not_agreed_makes_no_key_and_gets_one_of_an_operator(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    await publish_first(db)
    for via in _VIAS:
        assert await refused(key.create(
            db, EMAIL, KeyWish("own"), START_MS, Actor(made.id, via=via))) == "consent_missing"
        await key.create(db, EMAIL, KeyWish("given"), START_MS,
                         Actor("acct_9", frozenset({"support"}), via))
    await key.create(db, EMAIL, KeyWish("given"), START_MS)
    assert len(await key.listing(db, EMAIL)) == 3


@pytest.mark.parametrize("grace_ms, expires_at_ms, end_ms", [
    (DAY, None, START_MS + DAY), (DAY, START_MS + 5, START_MS + 5),
    (5, START_MS + DAY, START_MS + 5),
])
async def test_rotation_keeps_the_rights_and_ends_the_old_key(
    db: Database, grace_ms: int, expires_at_ms: int | None, end_ms: int
) -> None:
    await account.create(db, EMAIL, None, START_MS)
    wish = KeyWish("laptop", "editor", ("m",), expires_at_ms)
    old = await key.create(db, EMAIL, wish, START_MS)
    new = await key.rotate(db, old.key.id, grace_ms, START_MS)
    assert new.text != old.text and new.key.replaces == old.key.id
    keys = (await load(db)).keys
    assert keys[hashed(db, old.text)].expires_at_ms == end_ms
    renewed = keys[hashed(db, new.text)]
    assert (renewed.app, renewed.models, renewed.expires_at_ms) == (
        "editor", {"m"}, expires_at_ms)


async def test_rotation_without_grace_revokes(db: Database) -> None:
    await account.create(db, EMAIL, None, START_MS)
    old = await key.create(db, EMAIL, KeyWish("laptop"), START_MS)
    new = await key.rotate(db, old.key.id, 0, START_MS)
    assert set((await load(db)).keys) == {hashed(db, new.text)}
    assert await refused(key.rotate(db, old.key.id, 0, START_MS)) == "key_state"


async def test_a_key_that_has_expired_is_not_rotated(db: Database) -> None:
    """What takes its place would have its expiry too, and never work."""
    await account.create(db, EMAIL, None, START_MS)
    old = await key.create(db, EMAIL, KeyWish("laptop", expires_at_ms=START_MS + 5), START_MS)
    for grace_ms in (0, DAY):
        assert await refused(key.rotate(db, old.key.id, grace_ms, START_MS + 5)) == "key_state"
    assert (await key.rotate(db, old.key.id, DAY, START_MS + 4)).key.replaces == old.key.id


async def test_a_list_shows_state_and_no_hash(db: Database) -> None:
    await account.create(db, EMAIL, None, START_MS)
    issued = await key.create(db, EMAIL, KeyWish("laptop", expires_at_ms=START_MS + 1), START_MS)
    [listed] = await key.listing(db)
    assert key.view(listed, START_MS)["state"] == "active"
    shown = key.view(listed, START_MS + 1)
    assert shown["state"] == "expired" and shown["hint"] == f"sk-relayd-...{issued.text[-4:]}"
    assert shown["expires_at"] == "2026-01-01T00:00:00.001Z"


async def test_what_is_done_is_in_the_audit_log(db: Database) -> None:
    made = await account.create(db, EMAIL, None, START_MS)
    holder = Actor(made.id)
    old = (await key.create(db, EMAIL, KeyWish("a"), START_MS, holder)).key.id
    new = (await key.rotate(db, old, 5, START_MS, holder)).key.id
    await key.revoke(db, new, START_MS, holder)
    await key.revoke(db, new, START_MS, holder)
    found = [(each.event.action, each.event.actor, each.event.target,
              orjson.loads(each.event.details)) async for each in audit.listing(db)][1:]
    assert found == [
        ("key.create", made.id, made.id, {"key": old}),
        ("key.rotate", made.id, made.id, {"key": new, "old": old, "grace_ms": 5}),
        ("key.revoke", made.id, made.id, {"key": new})]


async def test_a_key_may_change_all_but_its_text(db: Database) -> None:
    owner = await account.create(db, "changes@example.com", None, START_MS)
    issued = await key.create(db, owner.id, KeyWish("old", "a", ("m",), START_MS + 10), START_MS)
    changed = await key.change(db, issued.key.id, KeyWish(" new ", None, ("x", "y-*")), START_MS)
    assert changed == replace(
        issued.key, name="new", app=None, models=("x", "y-*"), expires_at_ms=None)
    assert await key.owned(db, owner.id, issued.key.id) == changed
    await key.revoke(db, issued.key.id, START_MS)
    for ref, wish, code in (
        (issued.key.id, KeyWish("x"), "key_state"), ("key_none", KeyWish("x"), "key_not_found"),
        (issued.key.id, KeyWish(""), "invalid_value"),
    ):
        assert await refused(key.change(db, ref, wish, START_MS)) == code


async def test_a_key_is_its_owners_alone(db: Database) -> None:
    owner = await account.create(db, "owner@example.com", None, START_MS)
    issued = await key.create(db, owner.id, KeyWish("k"), START_MS)
    for who, ref in (("acct_other", issued.key.id), (owner.id, issued.text), (owner.id, "")):
        assert await refused(key.owned(db, who, ref)) == "key_not_found"


async def test_an_account_has_so_many_keys_and_no_more(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relayd.control.key.KEYS_MAX", 2)
    owner = await account.create(db, "many@example.com", None, START_MS)
    first = await key.create(db, owner.id, KeyWish("k"), START_MS)
    await key.create(db, owner.id, KeyWish("k"), START_MS)
    assert await refused(key.create(db, owner.id, KeyWish("k"), START_MS)) == "too_many_keys"
    # while the old one goes on working there would be three
    assert await refused(key.rotate(db, first.key.id, 5, START_MS)) == "too_many_keys"
    other = await key.rotate(db, first.key.id, 0, START_MS)
    assert await refused(key.create(db, owner.id, KeyWish("k"), START_MS)) == "too_many_keys"
    await key.revoke(db, other.key.id, START_MS)
    await key.create(db, owner.id, KeyWish("k"), START_MS)
