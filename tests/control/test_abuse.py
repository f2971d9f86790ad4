"""Abuse: found, kept, suspended with a notice, and decided on by a person."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from relayd.control import abuse, account, audit, key, standing, usage
from relayd.control.abuse import Lookout
from relayd.control.door import Door
from relayd.control.key import KeyWish
from relayd.control.publish import load
from relayd.control.standing import Grounds
from relayd.core.abuse import QUIET_MS, AbuseRules
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.standing import WORDS
from relayd.store.db import Database, open_database
from tests.fakes.audited import audited
from tests.fakes.door import EMAIL, ORIGIN, mails, registered
from tests.fakes.records import START_MS, call_record

RULES = AbuseRules(calls_per_hour=3, suspend=("velocity", "key_sharing", "credential_stuffing"))
OPERATOR = Actor("acct_9", frozenset({"security"}))


def lookout(**networks: int) -> Lookout:
    return Lookout(RULES, networks, lambda email: email.endswith("@minutes.example"), ORIGIN)


async def busy(db: Database, who: str, calls: int = 3) -> None:
    await usage.post(db, [call_record(account=who, started_at_ms=START_MS + n)
                          for n in range(calls)])


async def state(db: Database, who: str) -> str:
    return (await account.find(db, who)).state


async def test_U6_a_rule_suspends_with_notice_reason_and_appeal(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    await key.create(db, who, KeyWish("laptop"), START_MS)
    await mails(db)
    await busy(db, who, 2)
    assert await abuse.look(db, lookout(), START_MS) == []
    await busy(db, who)
    [finding] = await abuse.look(db, lookout(), START_MS)
    assert (finding.rule, finding.figure, finding.bound, finding.suspended) == (
        "velocity", 5, 3, True)
    assert await state(db, who) == "suspended"
    assert all(grant.suspended for grant in (await load(db)).keys.values())
    [(kind, to, said)] = await mails(db)
    assert (kind, to, said["reason"]) == ("account_suspended", EMAIL, WORDS["abuse"]["en"])
    assert "/appeal?token=" in said["link"]
    # it is found once
    assert await abuse.look(db, lookout(), START_MS) == []
    actions = [each.event.action async for each in audit.listing(db, target=who)]
    assert actions[-2:] == ["abuse.find", "account.suspend"]


async def test_a_person_lifts_it(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    await busy(db, who)
    [finding] = await abuse.look(db, lookout(), START_MS)
    await mails(db)
    with pytest.raises(RelayError) as caught:
        await abuse.decide(db, OPERATOR, finding.id, "lift", (None, ORIGIN), START_MS)
    assert caught.value.code == "reason_missing" and await state(db, who) == "suspended"
    lifted = await abuse.decide(db, OPERATOR, finding.id, "lift", ("A batch job", ORIGIN),
                                START_MS + 9)
    assert (lifted.state, lifted.decided_at_ms, lifted.decided_by) == (
        "lifted", START_MS + 9, "acct_9")
    assert await state(db, who) == "active"
    assert [kind for kind, _, _ in await mails(db)] == ["account_resumed"]
    # the same is not held against it at once, but may be later
    assert await abuse.look(db, lookout(), START_MS + 10) == []
    late_ms = START_MS + QUIET_MS + 99
    await usage.post(db, [call_record(account=who, started_at_ms=late_ms - n) for n in range(3)])
    assert len(await abuse.look(db, lookout(), late_ms)) == 1


async def test_a_person_confirms_it_and_may_think_again(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    await busy(db, who)
    [finding] = await abuse.look(db, lookout(), START_MS)
    confirmed = await abuse.decide(
        db, OPERATOR, finding.id, "confirm", ("Resold", ORIGIN), START_MS)
    assert confirmed.state == "confirmed" and await state(db, who) == "suspended"
    with pytest.raises(RelayError) as caught:
        await abuse.decide(db, OPERATOR, finding.id, "confirm", ("Again", ORIGIN), START_MS)
    assert caught.value.code == "finding_state"
    await abuse.decide(db, OPERATOR, finding.id, "lift", ("Mistaken", ORIGIN), START_MS)
    assert await state(db, who) == "active"
    assert [act[:3] for act in await audited(db, "abuse.")] == [
        ("abuse.find", None, who), ("abuse.confirm", OPERATOR.account, who),
        ("abuse.lift", OPERATOR.account, who)]


async def test_two_findings_are_lifted_one_by_one(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    issued = await key.create(db, who, KeyWish("laptop"), START_MS)
    other = await key.create(db, who, KeyWish("phone"), START_MS)
    await busy(db, who)
    found = await abuse.look(
        db, lookout(**{issued.key.id: 7, other.key.id: 25, "key_nobody": 99}), START_MS)
    by_rule = {each.rule: each for each in found}
    assert by_rule["key_sharing"].figure == 25
    # the first suspends; of an account that is suspended the second is only kept
    assert sorted(each.suspended for each in found) == [False, True]
    for each in found:
        await abuse.decide(db, OPERATOR, each.id, "lift", ("Fine", ORIGIN), START_MS)
    assert await state(db, who) == "active"


async def test_who_was_suspended_by_a_person_stays_so(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    grounds = Grounds("abuse", ORIGIN, "ticket 7")
    await standing.move(db, OPERATOR, who, "suspend", grounds, START_MS)
    await busy(db, who)
    [finding] = await abuse.look(db, lookout(), START_MS)
    assert not finding.suspended
    await abuse.decide(db, OPERATOR, finding.id, "lift", ("Fine", ORIGIN), START_MS)
    assert await state(db, who) == "suspended"


async def test_who_was_suspended_by_a_person_later_stays_so(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    grounds = Grounds("abuse", ORIGIN, "ticket 7")
    await busy(db, who)
    [finding] = await abuse.look(db, lookout(), START_MS)
    await standing.move(db, OPERATOR, who, "resume", grounds, START_MS + 1)
    await standing.move(db, OPERATOR, who, "suspend", grounds, START_MS + 2)
    await abuse.decide(db, OPERATOR, finding.id, "lift", ("Fine", ORIGIN), START_MS + 3)
    assert await state(db, who) == "suspended"


async def test_a_finding_of_before_does_not_keep_an_account_suspended(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    issued = await key.create(db, who, KeyWish("laptop"), START_MS)
    await busy(db, who)
    [first] = await abuse.look(db, lookout(), START_MS)
    await abuse.decide(db, OPERATOR, first.id, "confirm", ("Resold", ORIGIN), START_MS)
    grounds = Grounds("abuse", ORIGIN, "promised to stop")
    await standing.move(db, OPERATOR, who, "resume", grounds, START_MS + 1)
    [second] = await abuse.look(db, lookout(**{issued.key.id: 25}), START_MS + 2)
    assert second.suspended and await state(db, who) == "suspended"
    await abuse.decide(db, OPERATOR, second.id, "lift", ("Travels", ORIGIN), START_MS + 3)
    assert await state(db, who) == "active"


async def test_a_rule_that_does_not_suspend_only_tells(db: Database) -> None:
    made = await account.create(db, "a@minutes.example", None, START_MS)
    await account.create(db, "a@example.org", None, START_MS)
    [finding] = await abuse.look(db, lookout(), START_MS + 5)
    assert (finding.account, finding.rule, finding.suspended) == (
        made.id, "disposable_mail", False)
    assert await state(db, made.id) == "active"
    allowed = replace(lookout(), rules=replace(RULES, disposable_mail="allow"))
    await account.create(db, "b@minutes.example", None, START_MS)
    assert await abuse.look(db, allowed, START_MS + 5) == []


async def test_findings_are_listed(db: Database) -> None:
    made = await account.create(db, "a@minutes.example", None, START_MS)
    await abuse.look(db, lookout(), START_MS)
    [found] = await abuse.listing(db, who="a@minutes.example")
    assert await abuse.listing(db, state="lifted") == []
    shown = abuse.view(found)
    assert (shown["account"], shown["rule"], shown["state"], shown["decided_at"]) == (
        made.id, "disposable_mail", "open", None)


async def test_two_processes_find_it_once(door: Door) -> None:
    opened = await registered(door)
    who, db = opened.session.account, door.db
    await busy(db, who)
    both = [await open_database(db.directory, busy_ms=5000) for _ in range(2)]
    found = await asyncio.gather(*(abuse.look(each, lookout(), START_MS) for each in both))
    assert sorted(map(len, found)) == [0, 1] and len(await abuse.listing(db)) == 1
    for each in both:
        await each.close()


async def test_who_can_be_read_no_more_keeps_no_other_from_being_judged(db: Database) -> None:
    gone, other = [(await account.create(db, f"{name}@minutes.example", None, START_MS)).id
                   for name in ("gone", "other")]
    for who in (gone, other):
        await busy(db, who)
    await db.keyring.destroy(gone)
    assert {(found.account, found.rule) for found in await abuse.look(
        db, lookout(), START_MS)} == {(other, "velocity"), (other, "disposable_mail")}
