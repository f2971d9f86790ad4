"""Erasing beside a daemon that serves: afterwards no file and no log tells of the person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from relayd.control import account, erasure, key, ticket
from relayd.control.erasure import Means
from relayd.control.key import KeyWish
from relayd.control.ticket import Writing
from relayd.core.actor import SHELL
from relayd.core.retention import Terms
from relayd.ops import clock
from relayd.store.signing import open_signer
from tests.fakes.daemon import Lane
from tests.fakes.person import files_with
from tests.fakes.rawclient import RawClient
from tests.privacy.canary import chat, request

MARKS = ("zeisig", "Kanarienvogel", "192.0.2.77")
CHAT = "/v1/chat/completions"


async def person(lane: Lane) -> tuple[str, str]:
    """An account with a key, an application label, a ticket: its id and the key's text."""
    db, now_ms = lane.app.db, clock.unix_ms()
    made = await account.create(db, "Zeisig@example.org", "Zeisig Name", now_ms)
    wish = KeyWish("zeisig-laptop", app="zeisig-app")
    issued = await key.create(db, made.id, wish, now_ms)
    await ticket.open_ticket(db, Writing(
        "question", "Zeisig", "Kanarienvogel", account=made.id), now_ms)
    await lane.app.refresh()
    return made.id, issued.text


async def called(lane: Lane, text: str, number: int) -> Sequence[int]:
    statuses = []
    for _ in range(number):
        async with RawClient(lane.address) as client:
            statuses.append((await client.ask(request(CHAT, text, chat()))).status)
    return statuses


async def test_Y2_byte_search_beside_a_daemon(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        who, text = await person(lane)
        assert await called(lane, text, 5) == [200] * 5
        await called(lane, lane.key, 2)
        await lane.settled(7)
        db = lane.app.db
        assert files_with(lane.store, "zeisig-app")
        means = Means(open_signer(db.directory), Terms())
        await erasure.at_once(db, means, SHELL, who, clock.unix_ms())
        await lane.app.refresh()
        # the key works no more, and other people's do
        assert await called(lane, text, 1) == [401]
        assert await called(lane, lane.key, 1) == [200]
        await lane.settled(8)
        log = lane.log.getvalue().lower()
        assert not [mark for mark in MARKS if mark.lower() in log]
        assert not [name for name in files_with(lane.store, *MARKS)
                    if not name.startswith("journal/")]
    # the journal's file is gone with the daemon, or with its next one
    assert files_with(lane.store, *MARKS) == {}
    records = [record for record in await lane.records() if record.account == who]
    assert len(records) == 5 and {record.app for record in records} == {None}
