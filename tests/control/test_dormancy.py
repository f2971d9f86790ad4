"""Dormancy by a moved clock: reminded at 12 and 23 months, begun to erase at 24."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from relayd.control import account, dormancy, erasure, password, sign_in, usage
from relayd.control.door import Door
from relayd.core.actor import SHELL, Actor
from relayd.core.dormancy import Step
from relayd.core.timestamp import DAY_MS
from relayd.store import holder as store_holder
from relayd.store.db import Database, open_database
from relayd.store.directory import StoreError
from tests.fakes import standing
from tests.fakes.door import (
    CALLER, EMAIL, ORIGIN, PASSWORD, WISH, mailed_token, mails, registered,
)
from tests.fakes.records import START_MS, call_record


NEW = "violet copper hourglass nine"


class Erasures:
    """Whoever would be erased; the one in `stay` must stay."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.stay: set[str] = set()

    async def __call__(self, account_id: str, now_ms: int) -> bool:
        if account_id in self.stay:
            return False
        self.begun.append((account_id, now_ms))
        return True


async def test_E2_reminders_and_then_erasure(door: Door) -> None:
    account_id = (await registered(door)).session.account
    erasures = Erasures()
    told = []
    for day in (0, 364, 365, 366, 500, 699, 700, 701, 729, 730, 731, 760):
        now = START_MS + day * DAY_MS
        await dormancy.look(door.db, ORIGIN, erasures, now)
        told += [(day, kind, fields["months"], fields["ends"])
                 for kind, _, fields in await mails(door.db, now)]
    assert told == [(365, "dormancy_reminder", "12", "2028-01-01"),
                    (700, "dormancy_reminder", "23", "2028-01-01")]
    assert erasures.begun == [(account_id, START_MS + 730 * DAY_MS)]


async def test_E2_late_reminders_leave_a_month_before_the_erasure(door: Door) -> None:
    """As where the service was down for years: nobody is erased in the week of the reminder."""
    account_id = (await registered(door)).session.account
    erasures, told = Erasures(), []
    for day in (900, 901, 902, 930, 931):
        now = START_MS + day * DAY_MS
        await dormancy.look(door.db, ORIGIN, erasures, now)
        told += [(day, fields["months"], fields["ends"])
                 for _, _, fields in await mails(door.db, now)]
    assert told == [(900, "12", "2028-07-19"), (901, "23", "2028-07-20")]
    assert erasures.begun == [(account_id, START_MS + 931 * DAY_MS)]


async def test_a_store_that_fails_is_nobody_s_coming_back(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise StoreError("store_busy")

    await registered(door)
    monkeypatch.setattr(store_holder, "find", fails)
    with pytest.raises(StoreError):
        await dormancy.look(door.db, ORIGIN, Erasures(), START_MS + 366 * DAY_MS)


async def test_who_can_be_read_no_more_keeps_no_other_waiting(door: Door) -> None:
    lost = (await registered(door)).session.account
    other = replace(WISH, email="second@example.org", username="second")
    await registered(door, other, START_MS + 1)
    await door.db.keyring.destroy(lost)
    taken = await dormancy.look(door.db, ORIGIN, Erasures(), START_MS + 366 * DAY_MS)
    assert taken["first_reminder"] == 1


@pytest.mark.parametrize("harm", ["", "accounts SET email", "holders SET password"])
async def test_who_can_be_read_no_more_is_erased_unreminded(door: Door, harm: str) -> None:
    """Nobody can be told, nor sign in: it would be kept for good."""
    lost = (await registered(door)).session.account
    if harm:
        async with door.db.writing() as transaction:
            await transaction.run(f"UPDATE {harm} = zeroblob(60)")
    else:
        await door.db.keyring.destroy(lost)
    call = START_MS + 100 * DAY_MS
    await usage.post(door.db, [call_record(account=lost, started_at_ms=call)])
    call -= call % 3_600_000  # use is known by the hour

    async def look(now_ms: int) -> dict[Step, int]:
        return await dormancy.look(
            door.db, ORIGIN, lambda who, at: erasure.begin_dormant(door.db, who, at), now_ms)

    for days in (366, 701):
        assert not any((await look(call + days * DAY_MS)).values())
    assert not any((await look(call + 730 * DAY_MS - 1)).values())
    assert (await look(call + 730 * DAY_MS))["erase"] == 1
    assert not any((await look(call + 731 * DAY_MS)).values())
    asked = await erasure.waiting(door.db, lost)
    assert asked is not None and asked.cause == "dormant"


@pytest.mark.parametrize("harm", ["accounts SET email", "accounts SET name",
                                  "holders SET password"])
async def test_what_is_damaged_of_one_keeps_no_other_waiting(door: Door, harm: str) -> None:
    lost = (await registered(door)).session.account
    await registered(door, replace(WISH, email="second@example.org", username="second"),
                     START_MS + 1)
    async with door.db.writing() as transaction:
        await transaction.run(f"UPDATE {harm} = zeroblob(60) WHERE"
                              f" {'id' if 'accounts' in harm else 'account_id'} = ?", (lost,))
    taken = await dormancy.look(door.db, ORIGIN, Erasures(), START_MS + 366 * DAY_MS)
    assert taken["first_reminder"] == 1


async def test_two_processes_remind_once(door: Door) -> None:
    await registered(door)
    now_ms = START_MS + 365 * DAY_MS
    both = [await open_database(door.db.directory, busy_ms=5000) for _ in range(2)]
    taken = await asyncio.gather(*(
        dormancy.look(each, ORIGIN, Erasures(), now_ms) for each in both))
    assert sorted(each["first_reminder"] for each in taken) == [0, 1]
    assert [kind for kind, _, _ in await mails(door.db, now_ms)] == ["dormancy_reminder"]
    for each in both:
        await each.close()


async def test_two_processes_remind_once_who_has_called_since(
    door: Door, monkeypatch: pytest.MonkeyPatch,
) -> None:
    account_id = (await registered(door)).session.account
    late = START_MS + 300 * DAY_MS
    await usage.post(door.db, [call_record(account=account_id, started_at_ms=late)])
    now_ms = late + 366 * DAY_MS
    other = await open_database(door.db.directory, busy_ms=5000)
    dormant = store_holder.dormant

    async def read(*which: Any) -> Any:
        found = await dormant(*which)
        monkeypatch.setattr(store_holder, "dormant", dormant)
        await dormancy.look(other, ORIGIN, Erasures(), now_ms)
        return found

    monkeypatch.setattr(store_holder, "dormant", read)
    await dormancy.look(door.db, ORIGIN, Erasures(), now_ms)
    assert [kind for kind, _, _ in await mails(door.db, now_ms)] == ["dormancy_reminder"]
    await other.close()


async def test_two_processes_begin_one_erasure_and_go_on(door: Door) -> None:
    for name in ("first", "second", "third"):
        await registered(door, replace(WISH, email=f"{name}@example.org", username=name))
    both = [await open_database(door.db.directory, busy_ms=5000) for _ in range(2)]

    async def look(db: Database, day: int) -> dict[Step, int]:
        return await dormancy.look(
            db, ORIGIN, lambda who, now_ms: erasure.begin_dormant(db, who, now_ms),
            START_MS + day * DAY_MS)

    for day in (365, 700):
        await look(both[0], day)
    taken = await asyncio.gather(*(look(each, 731) for each in both))
    assert sum(each["erase"] for each in taken) == 3
    for each in both:
        await each.close()


async def test_a_sign_in_starts_the_months_anew(door: Door) -> None:
    await registered(door)
    erasures = Erasures()
    await dormancy.look(door.db, ORIGIN, erasures, START_MS + 400 * DAY_MS)
    await sign_in.sign_in(door, EMAIL, PASSWORD, CALLER, START_MS + 401 * DAY_MS)
    await mails(door.db, START_MS + 401 * DAY_MS)
    taken = await dormancy.look(door.db, ORIGIN, erasures, START_MS + 765 * DAY_MS)
    assert not any(taken.values())
    taken = await dormancy.look(door.db, ORIGIN, erasures, START_MS + 766 * DAY_MS)
    assert taken["first_reminder"] == 1 and erasures.begun == []


async def test_who_comes_back_while_others_are_looked_at_keeps_their_new_password(
    door: Door
) -> None:
    """The look reads many at once, and may wait long before it comes to one of them."""
    first = (await registered(door)).session.account
    other = replace(WISH, email="second@example.org", username="second")
    second = (await registered(door, other, START_MS + 1)).session.account
    now_ms = START_MS + 800 * DAY_MS
    async with door.db.writing() as transaction:
        for who in (first, second):
            found = await store_holder.find(transaction, who)
            assert found is not None
            await store_holder.put(transaction, replace(
                found, dormant_steps=2, dormant_at_ms=START_MS + 700 * DAY_MS))

    begun = []

    async def erase(account_id: str, _: int) -> bool:
        begun.append(account_id)
        if account_id == first:
            await password.forgot(door, other.email, CALLER, now_ms)
            token = await mailed_token(door.db, "reset_password")
            await password.reset(door, token, NEW, CALLER, now_ms)
            await sign_in.sign_in(door, other.email, NEW, CALLER, now_ms)
        return True

    await dormancy.look(door.db, ORIGIN, erase, now_ms)
    await sign_in.sign_in(door, other.email, NEW, CALLER, now_ms)
    assert begun == [first]


async def test_E2_who_calls_the_erasure_off_has_their_months_anew(door: Door) -> None:
    account_id = (await registered(door)).session.account

    async def erase(who: str, now_ms: int) -> bool:
        return await erasure.begin_dormant(door.db, who, now_ms)

    for day in (365, 700, 731):
        taken = await dormancy.look(door.db, ORIGIN, erase, START_MS + day * DAY_MS)
    asked = await erasure.waiting(door.db, account_id)
    assert taken["erase"] == 1 and asked is not None
    await erasure.cancel(door.db, Actor(account_id), asked, START_MS + 732 * DAY_MS)
    for day in (733, 732 + 364):
        taken = await dormancy.look(door.db, ORIGIN, erase, START_MS + day * DAY_MS)
        assert not any(taken.values())
    taken = await dormancy.look(door.db, ORIGIN, erase, START_MS + (732 + 365) * DAY_MS)
    assert taken["first_reminder"] == 1


async def test_calls_are_use_too(door: Door) -> None:
    account_id = (await registered(door)).session.account
    late = START_MS + 300 * DAY_MS
    await usage.post(door.db, [call_record(account=account_id, started_at_ms=late)])
    taken = await dormancy.look(door.db, ORIGIN, Erasures(), START_MS + 400 * DAY_MS)
    assert not any(taken.values())
    taken = await dormancy.look(door.db, ORIGIN, Erasures(), late + 366 * DAY_MS)
    assert taken["first_reminder"] == 1


async def test_who_must_stay_is_asked_about_again(door: Door) -> None:
    account_id = (await registered(door)).session.account
    erasures = Erasures()
    erasures.stay.add(account_id)
    for day in (365, 700, 731, 732):
        await dormancy.look(door.db, ORIGIN, erasures, START_MS + day * DAY_MS)
    assert erasures.begun == []
    erasures.stay.clear()
    taken = await dormancy.look(door.db, ORIGIN, erasures, START_MS + 740 * DAY_MS)
    assert taken["erase"] == 1 and len(erasures.begun) == 1


async def test_accounts_of_the_shell_alone_are_left_alone(door: Door) -> None:
    await account.create(door.db, "shell@example.org", None, START_MS)
    taken = await dormancy.look(door.db, ORIGIN, Erasures(), START_MS + 999 * DAY_MS)
    assert not any(taken.values())


async def test_R2_a_terminated_account_is_not_kept_for_good(door: Door) -> None:
    """Nobody can sign in to it, so that nobody would ever ask for its erasure."""
    account_id = (await registered(door)).session.account
    day = START_MS + 100 * DAY_MS
    await standing.move(door.db, account_id, "terminate", day)

    async def erase(who: str, now_ms: int) -> bool:
        return await erasure.begin_dormant(door.db, who, now_ms)

    assert not any((await dormancy.look(
        door.db, ORIGIN, erase, day + 730 * DAY_MS - 1)).values())
    found = await dormancy.look(door.db, ORIGIN, erase, day + 730 * DAY_MS)
    assert found == {"first_reminder": 0, "last_reminder": 0, "erase": 1}
    asked = await erasure.waiting(door.db, account_id)
    assert asked is not None and asked.cause == "dormant"
    # once, also where somebody calls it off
    for _ in range(2):
        found = await dormancy.look(door.db, ORIGIN, erase, day + 731 * DAY_MS)
        assert not any(found.values())
        if await erasure.waiting(door.db, account_id) is not None:
            kept = await erasure.cancel(door.db, SHELL, asked, day + 731 * DAY_MS)
            assert kept.state == "terminated"


async def test_a_terminated_account_to_which_something_is_owed_stays(door: Door) -> None:
    erasures = Erasures()
    account_id = (await registered(door)).session.account
    await standing.move(door.db, account_id, "terminate", START_MS)
    erasures.stay.add(account_id)
    later = START_MS + 900 * DAY_MS
    assert (await dormancy.look(door.db, ORIGIN, erasures, later))["erase"] == 0
    erasures.stay.clear()
    assert (await dormancy.look(door.db, ORIGIN, erasures, later))["erase"] == 1
    assert erasures.begun == [(account_id, later)]
