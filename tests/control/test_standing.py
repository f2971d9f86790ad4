"""Standing: nobody is suspended or terminated without a reason, a notice and a way to appeal."""

from __future__ import annotations

import orjson
import pytest

from relayd.control import account, audit, key, mail_token, session, standing
from relayd.control.door import Door
from relayd.control.key import KeyWish
from relayd.control.publish import load, policy_version
from relayd.control.standing import Grounds
from relayd.core.actor import SHELL
from relayd.core.errors import RelayError
from relayd.core.standing import WORDS
from tests.fakes.door import EMAIL, ORIGIN, mails, registered
from tests.fakes.records import START_MS
from tests.fakes.standing import MOVES

GROUNDS = Grounds("abuse", ORIGIN, "ticket 7")


async def test_suspended_and_resumed(door: Door) -> None:
    opened = await registered(door)
    await key.create(door.db, EMAIL, KeyWish("laptop"), START_MS)
    before = await policy_version(door.db)
    moved = await standing.move(door.db, SHELL, EMAIL, "suspend", GROUNDS, START_MS)
    assert (moved.state, moved.reason) == ("suspended", "abuse")
    assert all(grant.suspended for grant in (await load(door.db)).keys.values())
    assert await policy_version(door.db) == before + 1
    again = await standing.move(door.db, SHELL, EMAIL, "suspend", GROUNDS, START_MS)
    assert again.state == "suspended" and await policy_version(door.db) == before + 1
    [(kind, to, fields)] = await mails(door.db)
    assert (kind, to, fields["reason"]) == ("account_suspended", EMAIL, WORDS["abuse"]["en"])
    assert "ticket" not in str(fields)
    token = fields["link"].partition("/appeal?token=")[2]
    found = await mail_token.look(door.db, token, "appeal", START_MS + 20 * 86_400_000)
    assert found.account == opened.session.account
    resumed = await standing.move(door.db, SHELL, EMAIL, "resume", GROUNDS, START_MS)
    assert (resumed.state, resumed.reason) == ("active", None)
    assert [kind for kind, _, _ in await mails(door.db)] == ["account_resumed"]
    events = [each async for each in audit.listing(door.db, target=moved.id)]
    said = {each.event.action: each.reason for each in events}
    assert said["account.suspend"] == "ticket 7" and "account.resume" in said


async def test_E1_terminated_with_notice_reason_and_appeal(door: Door) -> None:
    opened = await registered(door)
    await key.create(door.db, EMAIL, KeyWish("laptop"), START_MS)
    moved = await standing.move(door.db, SHELL, EMAIL, "terminate", GROUNDS, START_MS)
    assert moved.state == "terminated"
    [(kind, _, fields)] = await mails(door.db)
    assert kind == "account_terminated" and "/appeal?token=" in fields["link"]
    assert fields["reason"] and fields["refund"]
    assert await session.recognise(door.db, opened.token, START_MS) is None
    assert all(grant.suspended for grant in (await load(door.db)).keys.values())
    with pytest.raises(RelayError):
        await standing.move(door.db, SHELL, EMAIL, "resume", GROUNDS, START_MS)
    again = await standing.move(door.db, SHELL, EMAIL, "terminate", GROUNDS, START_MS + 1)
    assert again == moved and await mails(door.db) == []
    [event] = [each async for each in audit.listing(door.db, target=moved.id)
               if each.event.action == "account.terminate"]
    assert (event.reason, orjson.loads(event.event.details)) == (
        "ticket 7", {"reason": "abuse", "was": "active"})


async def test_E1_terminate_without_notice_is_impossible(
        door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await registered(door)

    async def fails(*_: object, **__: object) -> str:
        raise RelayError("store_failed")

    monkeypatch.setattr(standing.mail, "post", fails)
    for step in ("suspend", "terminate"):
        with pytest.raises(RelayError):
            await standing.move(door.db, SHELL, EMAIL, MOVES[step], GROUNDS, START_MS)
    assert (await account.find(door.db, EMAIL)).state == "active"
