"""Lawful requests: two people, scope and time, one recipient, the owner told, public figures."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from relayd.control import (
    account, audit, checkpoint, erasure, lawful, portable, transparency, usage,
)
from relayd.control.lawful import Entry, Hand
from relayd.core.actor import SHELL, Actor, Role
from relayd.core.errors import RelayError
from relayd.core.lawful import LawfulRequest
from relayd.core.retention import Terms
from relayd.core.timestamp import DAY_MS, UNIX_MS_END
from relayd.store import canary as store_canary
from relayd.store import parcel
from relayd.store.db import Database
from relayd.store.parcel import recipient
from relayd.store.signing import Signer
from tests.fakes.audited import audited
from tests.fakes.erased import erase
from tests.fakes.person import EMAIL, files_with, make_person
from tests.fakes.records import START_MS, call_record

TERMS = Terms()
PASSPHRASE = "a long passphrase"
TO = recipient(None, PASSPHRASE)
ENTRY = Entry(
    EMAIL, "court_order", "Zeisig Court", "Zeisig 12/26", "ab" * 32, ("profile", "calls"),
    START_MS, START_MS + DAY_MS, "order of the court")


def hand(name: str, *roles: Role) -> Hand:
    return Hand(Actor(f"acct_{name}", frozenset(roles)), "because of the order")


ONE, OTHER = hand("one", "legal"), hand("other", "legal")


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def entered(db: Database, **changes: Any) -> LawfulRequest:
    return await lawful.enter(db, ONE, replace(ENTRY, **changes), TERMS, START_MS)


async def produced(db: Database, **changes: Any) -> tuple[LawfulRequest, dict[str, Any]]:
    request = await entered(db, **changes)
    await lawful.approve(db, OTHER, request.id, START_MS + 1)
    done, content = await lawful.produce(db, ONE, request.id, TO, START_MS + 2)
    assert hashlib.sha256(content).hexdigest() == done.produced_sha256
    return done, json.loads(b"".join(parcel.unpack(content, None, PASSPHRASE)))


async def test_a_request_of_which_the_owner_may_not_know_is_in_no_count(db: Database) -> None:
    await make_person(db)
    before = await erasure.summary(db, EMAIL, TERMS, START_MS)
    await produced(db, gag_until_ms=START_MS + DAY_MS)
    await lawful.tell(db, START_MS + 3)
    assert await erasure.summary(db, EMAIL, TERMS, START_MS) == before
    await lawful.tell(db, START_MS + DAY_MS)
    stays = {each.part: each.rows
             for each in (await erasure.summary(db, EMAIL, TERMS, START_MS)).stays}
    seen = [row async for row in portable.DOCUMENTS["access"](
        db, (await account.find(db, EMAIL)).id, portable.Span())]
    assert (stays["legal_requests"], stays["audit"]) == (1, len(seen))


async def test_S3_one_person_alone_gets_nothing(db: Database) -> None:
    await make_person(db)
    request = await entered(db)
    assert await refused(lawful.produce(db, ONE, request.id, TO, START_MS)) == "request_state"
    assert await refused(lawful.approve(db, ONE, request.id, START_MS)) == "two_persons"
    assert await refused(lawful.refuse(db, ONE, request.id, START_MS)) == "two_persons"
    for roles in ((), ("support",), ("security", "finance")):
        assert await refused(lawful.approve(
            db, hand("x", *roles), request.id, START_MS)) == "role_needed"
    approved = await lawful.approve(db, OTHER, request.id, START_MS)
    assert (approved.state, approved.approver) == ("approved", "acct_other")
    assert await refused(lawful.approve(db, OTHER, request.id, START_MS)) == "request_state"


@pytest.mark.parametrize("roles", [(), ("support",), ("security", "finance")])
async def test_S3_only_legal_and_the_owner_have_to_do_with_requests(
    db: Database, roles: tuple[Role, ...]
) -> None:
    await make_person(db)
    request = await entered(db)
    await lawful.approve(db, OTHER, request.id, START_MS)
    wrong = hand("x", *roles)
    for work in (lawful.enter(db, wrong, ENTRY, TERMS, START_MS),
                 lawful.produce(db, wrong, request.id, TO, START_MS),
                 lawful.get(db, wrong.actor, request.id), lawful.listing(db, wrong.actor)):
        assert await refused(work) == "role_needed"
    owner = hand("y", "owner")
    assert await lawful.listing(db, owner.actor) == [
        await lawful.get(db, owner.actor, request.id)]
    assert (await lawful.produce(db, owner, request.id, TO, START_MS))[0].state == "produced"


async def test_S3_a_request_is_produced_once(db: Database) -> None:
    await make_person(db)
    request = await entered(db)
    await lawful.approve(db, OTHER, request.id, START_MS)
    found = await asyncio.gather(
        *(lawful.produce(db, ONE, request.id, TO, START_MS) for _ in range(2)),
        return_exceptions=True)
    [code] = [each.code for each in found if isinstance(each, RelayError)]
    assert code == "request_state"
    assert await refused(lawful.produce(db, ONE, request.id, TO, START_MS)) == "request_state"
    assert [entry.event.action async for entry in audit.listing(db)].count("request.produce") == 1


async def test_S3_at_the_shell_two_users_of_the_system(db: Database) -> None:
    await make_person(db)
    ann, bob = Hand(SHELL, "by letter", "ann"), Hand(SHELL, "by letter", "bob")
    request = await lawful.enter(db, ann, ENTRY, TERMS, START_MS)
    assert request.requester == "shell:ann"
    assert await refused(lawful.approve(db, ann, request.id, START_MS)) == "two_persons"
    assert await refused(lawful.approve(
        db, Hand(SHELL, "x"), request.id, START_MS)) == "two_persons"
    assert (await lawful.approve(db, bob, request.id, START_MS)).approver == "shell:bob"


async def test_S3_the_shell_and_the_console_are_not_two_people(db: Database) -> None:
    await make_person(db)
    ann = Hand(SHELL, "by letter", "ann")
    there = await lawful.enter(db, ann, ENTRY, TERMS, START_MS)
    here = await entered(db)
    for decide in (lawful.approve, lawful.refuse):
        # it may be the same person who entered it there, or here
        assert await refused(decide(db, ONE, there.id, START_MS)) == "two_persons"
        assert await refused(decide(db, ann, here.id, START_MS)) == "two_persons"
    states = {(await lawful.get(db, ONE.actor, each.id)).state for each in (there, here)}
    assert states == {"open"}


async def test_S3_who_did_not_sign_in_to_the_machine_is_no_second(db: Database) -> None:
    await make_person(db)
    request = await lawful.enter(
        db, Hand(SHELL, "by letter", "ann", signed_in=False), ENTRY, TERMS, START_MS)
    bob = Hand(SHELL, "sudo -u bob", "bob", signed_in=False)
    assert await refused(lawful.approve(db, bob, request.id, START_MS)) == "two_persons"
    assert await refused(lawful.refuse(db, bob, request.id, START_MS)) == "two_persons"
    await lawful.approve(db, replace(bob, signed_in=True), request.id, START_MS)


async def test_S3_nobody_decides_what_is_asked_about_themselves(db: Database) -> None:
    who = await make_person(db)
    own = Hand(Actor(who, frozenset({"legal", "owner"})), "it is about me")
    assert await refused(lawful.enter(db, own, ENTRY, TERMS, START_MS)) == "own_account"
    request = await entered(db)
    assert await refused(lawful.refuse(db, own, request.id, START_MS)) == "own_account"
    assert await refused(lawful.approve(db, own, request.id, START_MS)) == "own_account"
    await lawful.approve(db, OTHER, request.id, START_MS)
    assert await refused(lawful.produce(db, own, request.id, TO, START_MS)) == "own_account"
    tried = [json.loads(entry.event.details)["action"] async for entry in audit.listing(db)
             if entry.event.action == "conflict.refuse"]
    assert tried == ["request.open", "request.refuse", "request.approve", "request.produce"]


async def test_S4_protecting_rights_takes_the_owner(db: Database) -> None:
    await make_person(db)
    request = await entered(db, basis="rights_protection")
    assert await refused(lawful.approve(db, OTHER, request.id, START_MS)) == "role_needed"
    await lawful.approve(db, hand("boss", "owner"), request.id, START_MS)


async def test_S3_only_the_scope_and_only_the_time(db: Database) -> None:
    who = await make_person(db)
    inside = call_record(account=who, started_at_ms=START_MS + DAY_MS - 1)
    outside = [call_record(account=who, started_at_ms=START_MS + DAY_MS),
               call_record(account=who, started_at_ms=START_MS - 1),
               call_record(account="acct_other", started_at_ms=START_MS + 5)]
    await usage.post(db, [inside, *outside])
    done, found = await produced(db)
    assert set(found) == {"request", "account", "basis", "since", "until", "scope", "produced_at",
                          "profile", "calls"}
    assert found["profile"][0]["email"] == EMAIL
    ids = {each["id"] for each in found["calls"]}
    assert len(ids) == 4 and inside.id in ids and not ids & {each.id for each in outside}
    assert json.loads(done.produced or "") == {"profile": 1, "calls": 4}
    assert "tickets" not in found and "Kanarienvogel" not in json.dumps(found)


@pytest.mark.parametrize("scope", list(portable.SCOPES))
async def test_S3_each_scope_alone(db: Database, scope: str) -> None:
    await make_person(db)
    _, found = await produced(db, scope=(scope,))
    assert set(found) - {"request", "account", "basis", "since", "until", "scope",
                         "produced_at"} == {scope}


async def test_S3_of_the_vault_too_nothing_of_another_time_goes_out(db: Database) -> None:
    who = await make_person(db)
    later_ms = START_MS + 30 * DAY_MS
    async with db.writing() as transaction:
        await transaction.run("UPDATE orders SET state = 'credited'")
        await transaction.run("UPDATE orders SET created_at_ms = ?, paid_at_ms = ?"
                              " WHERE id = 'ord_1'", (later_ms, later_ms))
    await erase(db, who, later_ms + 1)
    spans = {(START_MS, later_ms): {"ord_0", "ord_2"}, (later_ms, later_ms + 1): {"ord_1"},
             (0, UNIX_MS_END): {"ord_0", "ord_1", "ord_2"}}
    for span, wanted in spans.items():
        found = [row async for row in portable.SCOPES["orders"](db, who, portable.Span(*span))]
        assert {row["copy"]["content"]["id"] for row in found if "copy" in row} == wanted


async def test_S3_content_is_answered_not_held_at_once(db: Database) -> None:
    await make_person(db)
    request = await entered(db, scope=("content",))
    assert (request.state, request.canary_sha256) == ("not_held", None)
    assert [act.details for act in await audited(db, "request.end")] == [
        {"request": request.id, "state": "not_held"}]
    store_canary.write(db.directory, b"{}")  # as `relayd audit-canary` does
    request = await entered(db, scope=("content",))
    assert request.canary_sha256 == hashlib.sha256(b"{}").hexdigest()
    assert await refused(lawful.approve(db, OTHER, request.id, START_MS)) == "request_state"
    done, found = await produced(db, scope=("content", "profile"))
    assert found["content"] == {"held": False, "canary_sha256": done.canary_sha256}
    assert done.canary_sha256 == request.canary_sha256


async def test_S3_the_file_is_for_its_recipient_and_on_no_disk(db: Database) -> None:
    await make_person(db)
    request = await entered(db)
    await lawful.approve(db, OTHER, request.id, START_MS)
    _, content = await lawful.produce(db, ONE, request.id, TO, START_MS)
    assert EMAIL.encode() not in content
    assert not files_with(db.directory, EMAIL, "Zeisig Court", "Zeisig 12/26")
    with pytest.raises(RelayError):
        list(parcel.unpack(content, None, "another passphrase"))


async def test_S3_everything_is_in_the_chain(db: Database) -> None:
    who = await make_person(db)
    await produced(db)
    actions = [entry.event.action async for entry in audit.listing(db, target=who)]
    assert actions[-3:] == ["request.open", "request.approve", "request.produce"]
    signer = Signer(bytes(32))
    await checkpoint.sign(db, signer, START_MS)
    assert (await checkpoint.verify(db, [signer.public])).broken is None


async def test_S3_the_owner_is_told_when_the_gag_ends(db: Database) -> None:
    who = await make_person(db)
    gag_ms = START_MS + 90 * DAY_MS
    done, _ = await produced(db, gag_until_ms=gag_ms)
    assert await lawful.tell(db, gag_ms - 1) == 0
    assert "request.produce" not in await looked(db, who)
    assert await lawful.tell(db, gag_ms) == 1
    assert await lawful.tell(db, gag_ms) == 0
    # and then sees it in the list of who looked
    assert "request.produce" in await looked(db, who)
    async with db.reading() as transaction:
        assert await transaction.row(
            "SELECT COUNT(*) FROM outbox WHERE kind = 'lawful_request'") == (1,)
    assert [act[2:] for act in await audited(db, "request.tell")] == [
        (who, {"request": done.id, "mailed": True})]


async def test_what_can_be_read_no_more_is_named_beside_what_is_produced(db: Database) -> None:
    who = await make_person(db)
    assert "unread" not in (await produced(db))[1]
    await db.keyring.destroy(who)
    _, content = await produced(db, account=who)
    assert content["unread"] == ["profile"] and len(content["calls"]) == 3
    assert [(each["id"], each["email"]) for each in content["profile"]] == [(who, None)]


async def test_an_account_that_can_be_read_no_more_keeps_no_other_waiting(db: Database) -> None:
    lost = await account.create(db, "lost@example.org", None, START_MS)
    await produced(db, account=lost.id)
    await db.keyring.destroy(lost.id)
    await make_person(db)
    await produced(db)
    assert await lawful.tell(db, START_MS + 3) == 1
    assert await lawful.tell(db, START_MS + 4) == 0


async def looked(db: Database, who: str) -> list[str]:
    return [row["action"] async for row in portable.DOCUMENTS["access"](
        db, who, portable.Span())]


async def test_who_is_erased_is_told_nothing_and_the_file_stays(db: Database) -> None:
    who = await make_person(db)
    done, _ = await produced(db, gag_until_ms=START_MS + DAY_MS)
    await erase(db, who, START_MS)
    assert await lawful.tell(db, START_MS + DAY_MS) == 0
    legal = Actor("acct_legal", frozenset({"legal"}))
    assert (await lawful.get(db, legal, done.id)).authority == "Zeisig Court"


async def test_a_request_expires(db: Database) -> None:
    await make_person(db)
    request, approved = await entered(db), await entered(db)
    await lawful.approve(db, OTHER, approved.id, START_MS)
    end = request.expires_at_ms
    assert await refused(lawful.approve(db, OTHER, request.id, end)) == "request_state"
    assert await refused(lawful.produce(db, ONE, approved.id, TO, end)) == "request_state"
    assert await lawful.expire(db, end - 1) == 0 and await lawful.expire(db, end) == 2
    states = [each.state for each in await lawful.listing(
        db, Actor("acct_legal", frozenset({"legal"})))]
    assert states == ["expired", "expired"]
    assert sorted(act.details["request"] for act in await audited(db, "request.end")) == sorted(
        (request.id, approved.id))


async def test_S3_the_public_figures_equal_the_rows(db: Database) -> None:
    await make_person(db)
    await produced(db)
    await entered(db)
    await entered(db, basis="regulator", scope=("content",))
    refusal = await entered(db, basis="investigation")
    await lawful.refuse(db, OTHER, refusal.id, START_MS)
    report = await transparency.report(db, START_MS)
    assert report.all_requests == 4
    assert report.requests["court_order"]["produced"] == 1
    assert report.requests["court_order"]["open"] == 1
    assert report.requests["regulator"]["not_held"] == 1
    assert report.requests["investigation"]["refused"] == 1


@pytest.mark.parametrize(("changes", "code"), [
    ({"account": "nobody@example.org"}, "account_not_found"),
    ({"scope": ("prompts",)}, "invalid_value"), ({"scope": ()}, "invalid_value"),
    ({"document_sha256": "x"}, "invalid_value"), ({"until_ms": START_MS}, "invalid_time"),
    ({"authority": ""}, "invalid_value"), ({"basis": "curiosity"}, "invalid_value"),
    ({"expires_ms": 0}, "invalid_time"),
])
async def test_what_is_no_request(db: Database, changes: dict[str, Any], code: str) -> None:
    await account.create(db, EMAIL, None, START_MS)
    assert await refused(entered(db, **changes)) == code


async def test_a_reason_is_needed(db: Database) -> None:
    await account.create(db, EMAIL, None, START_MS)
    assert await refused(lawful.enter(
        db, replace(ONE, reason=" "), ENTRY, TERMS, START_MS)) == "reason_missing"
    assert lawful.view(await entered(db))["state"] == "open"
