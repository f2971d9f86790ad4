"""Erasing beside a daemon that serves: afterwards no file and no log tells of the person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from relayd.control import account, erasure, key, mail, ticket
from relayd.control.erasure import Means
from relayd.control.key import KeyWish
from relayd.control.retention import SWEEPERS
from relayd.control.ticket import Writing
from relayd.core.actor import SHELL
from relayd.core.retention import Terms
from relayd.jobs.erasure import Erasures
from relayd.jobs.retention import Retention
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


async def test_Y2_the_daemon_s_own_job_carries_it_out(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        db = lane.app.db
        who, text = await person(lane)
        asked = await erasure.ask(db, SHELL, who, erasure.Wish(), clock.unix_ms())
        await lane.app.refresh()
        assert await called(lane, text, 1) == [403]
        await erasure.hasten(db, asked, clock.unix_ms())
        job = cast(Erasures, lane.app._jobs["erasures"])
        assert await job.look() == 1
        assert (await account.find(db, who)).state == "erased"
        [certificate] = [each for each in await mail.listing(db) if each.kind == "erasure_done"]
        assert certificate.account_id is None
        found = await erasure.last(db, who)
        assert found is not None and found.certificate is not None
        signed = erasure.verify(found.certificate, open_signer(db.directory).public)
        assert signed.account == who and signed.erased["tickets"] == 1
        assert '"erased"' in lane.log.getvalue()


async def test_R1_the_daemon_says_what_it_swept(tmp_path: Path) -> None:
    async with Lane(tmp_path / "store") as lane:
        job = cast(Retention, lane.app._jobs["retention"])
        await job.look()
        page = lane.app.metrics.render().decode()
    for name in SWEEPERS:
        assert f'relayd_retention_swept_rows_total{{category="{name}"}} 0' in page
    assert "relayd_tickets_overdue" in page
