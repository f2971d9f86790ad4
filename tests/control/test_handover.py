"""The handover: everybody is told, may object or leave, and only the others are in the bundle."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

import pytest

from relayd.control import account, erasure, handover, notice
from relayd.control.erasure import Wish
from relayd.control.handover import Announcement
from relayd.control.lawful import Hand
from relayd.core.actor import SHELL, Actor
from relayd.core.errors import RelayError
from relayd.core.portable import DOCUMENTS
from relayd.core.timestamp import DAY_MS
from relayd.store import parcel
from relayd.store.db import Database
from relayd.store.parcel import recipient
from tests.fakes import standing
from tests.fakes.audited import audited
from tests.fakes.erased import erase
from tests.fakes.person import make_person
from tests.fakes.records import START_MS

PASSPHRASE = "a long passphrase"
TO = recipient(None, PASSPHRASE)
END_MS = START_MS + 30 * DAY_MS
SAID = Announcement("Buyer Ltd", "dpo@buyer.example", "To go on serving you", "继续为您服务", END_MS)
HAND = Hand(SHELL, "contract of sale")


async def refused(work: object) -> str:
    with pytest.raises(RelayError) as caught:
        await work  # type: ignore[misc]
    return caught.value.code


async def bundled(db: Database, handover_id: str, now_ms: int) -> dict[str, bytes]:
    content = b"".join([piece async for piece in handover.bundle(
        db, HAND, handover_id, TO, now_ms, {})])
    assert hashlib.sha256(content).hexdigest() in {
        each.bundle_sha256 for each in await handover.listing(db, SHELL)}
    whole = b"".join(parcel.unpack(content, None, PASSPHRASE))
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def told(db: Database) -> None:
    """Every mail of the notice is queued and out."""
    while await notice.queue_batch(db, "https://c.example", START_MS, 2):
        pass
    async with db.writing() as transaction:
        await transaction.run(
            "UPDATE outbox SET state = 'sent', recipient = NULL, fields = NULL, ended_at_ms = 1")


async def test_S5_only_who_was_told_and_did_not_object_goes_along(db: Database) -> None:
    names = ("stays", "objects", "leaves", "gone", "suspended")
    who = {name: (await account.create(db, f"{name}@example.org", None, START_MS - 9)).id
           for name in names}
    await standing.move(db, who["suspended"], "suspend", START_MS)
    made = await handover.announce(db, SHELL, SAID, START_MS)
    late = await account.create(db, "late@example.org", None, START_MS + 1)
    assert await refused(bundled(db, made.id, END_MS)) == "handover_early"
    await told(db)
    assert await refused(bundled(db, made.id, END_MS - 1)) == "handover_early"
    await notice.answer(db, Actor(who["objects"]), made.notice, "objected", START_MS + 5)
    await erasure.ask(db, Actor(who["leaves"]), who["leaves"], Wish(), START_MS + 5)
    await erase(db, who["gone"], START_MS + 5)
    found = await bundled(db, made.id, END_MS)
    going = {who["stays"], who["suspended"], late.id}
    assert set(json.loads(found["manifest.json"])["accounts"]) == going
    assert {name.partition("/")[0] for name in found if "/" in name} == going
    text = b"".join(found.values())
    assert b"stays@example.org" in text
    for name in ("objects", "leaves", "gone"):
        assert who[name].encode() not in text and f"{name}@".encode() not in text
    [ended] = await handover.listing(db, SHELL)
    assert (ended.state, ended.accounts) == ("bundled", 3)
    assert [act.action for act in await audited(db, "handover.")] == [
        "handover.announce", "handover.bundle"]
    assert await refused(bundled(db, made.id, END_MS)) == "handover_state"


@pytest.mark.parametrize("harm", ["", "UPDATE tickets SET subject = zeroblob(60)"])
async def test_one_that_can_be_read_no_more_is_named_and_keeps_no_other_out(
    db: Database, harm: str,
) -> None:
    lost = await make_person(db)
    other = await account.create(db, "stays@example.org", None, START_MS)
    made = await handover.announce(db, SHELL, SAID, START_MS)
    await told(db)
    if harm:
        async with db.writing() as transaction:
            await transaction.run(harm)
    else:
        await db.keyring.destroy(lost)
    found = await bundled(db, made.id, END_MS)
    manifest = json.loads(found["manifest.json"])
    assert manifest["accounts"] == sorted((lost, other.id))
    assert manifest["unread"] == {lost: ["tickets"] if harm else ["account", "tickets"]}
    assert json.loads(found[f"{lost}/tickets.json"]) == []
    assert len(json.loads(found[f"{lost}/calls.json"])) == 3
    [profile] = json.loads(found[f"{lost}/account.json"])
    assert profile["id"] == lost and (profile["email"] is None) is (not harm)
    assert all(f"{who}/{name}.json" in found for who in (lost, other.id) for name in DOCUMENTS)


async def test_S5_the_notice_names_who_takes_over(db: Database) -> None:
    await handover.announce(db, SHELL, SAID, START_MS)
    [shown] = await notice.shown(db, START_MS)
    assert (shown.kind, shown.fields["recipient"], shown.fields["contact"]) == (
        "transfer", "Buyer Ltd", "dpo@buyer.example")


async def test_one_that_is_called_off(db: Database) -> None:
    made = await handover.announce(db, SHELL, SAID, START_MS)
    assert (await handover.cancel(db, SHELL, made.id, START_MS + 5)).state == "cancelled"
    assert await notice.shown(db, START_MS + 6) == []
    assert (await audited(db, "handover."))[-1][:1] == ("handover.cancel",)
    assert await refused(handover.cancel(db, SHELL, made.id, START_MS)) == "handover_state"
    assert await refused(bundled(db, made.id, END_MS)) == "handover_state"


async def test_S5_who_comes_too_late_to_be_heard_does_not_go_along(db: Database) -> None:
    made = await handover.announce(db, SHELL, SAID, START_MS)
    least_ms = END_MS - 15 * DAY_MS
    heard = await account.create(db, "heard@example.org", None, least_ms)
    await account.create(db, "late@example.org", None, least_ms + 1)
    assert (await handover.going(db, SHELL, made.id))[1] == [heard.id]


async def test_S5_the_window_of_a_handover_is_not_cut_short(db: Database) -> None:
    made = await handover.announce(db, SHELL, SAID, START_MS)
    assert await refused(
        notice.take_down(db, SHELL, made.notice, START_MS + 5)) == "handover_state"
    [shown] = await notice.shown(db, START_MS + 6)
    assert shown.ends_at_ms == END_MS
    await handover.cancel(db, SHELL, made.id, START_MS + 7)
    await notice.take_down(db, SHELL, made.notice, START_MS + 8)


async def test_one_that_is_called_off_while_it_is_bundled(db: Database) -> None:
    await account.create(db, "stays@example.org", None, START_MS - 9)
    made = await handover.announce(db, SHELL, SAID, START_MS)
    await told(db)
    pieces = handover.bundle(db, HAND, made.id, TO, END_MS, {})
    await anext(pieces)
    await handover.cancel(db, SHELL, made.id, END_MS)
    with pytest.raises(RelayError) as caught:
        async for _ in pieces:
            pass
    assert caught.value.code == "handover_state"
    [found] = await handover.listing(db, SHELL)
    assert (found.state, found.bundle_sha256) == ("cancelled", None)


async def test_who_and_what_is_refused(db: Database) -> None:
    made = await handover.announce(db, SHELL, SAID, END_MS - 15 * DAY_MS)
    for roles in ((), ("support", "security", "finance")):
        other = Actor("acct_s", frozenset(roles))  # type: ignore[arg-type]
        for work in (
                handover.announce(db, other, SAID, START_MS), handover.listing(db, other),
                handover.cancel(db, other, made.id, START_MS),
                handover.going(db, other, made.id),
                anext(handover.bundle(db, Hand(other, "x"), made.id, TO, END_MS, {}))):
            assert await refused(work) == "role_needed"
    assert [each.state for each in await handover.listing(db, SHELL)] == ["announced"]
    assert await refused(handover.announce(
        db, SHELL, SAID, END_MS - 15 * DAY_MS + 1)) == "invalid_time"
    assert await refused(handover.going(db, SHELL, "hand_none")) == "handover_not_found"
