"""The postman: the outbox, a real SMTP server over TLS, and a clock that the test moves."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import test_utils

from relayd.control import account, consent, mail, notice
from relayd.control.mail import To
from relayd.core.actor import SHELL, Actor
from relayd.core.consent import REQUIRED
from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS, MINUTE_MS
from relayd.core.operator import Operator, Processor
from relayd.jobs import mail as postman
from relayd.jobs.mail import Postman
from relayd.ops.config import Config, ConsoleConfig, MailConfig
from relayd.ops.logging import Logger
from relayd.ops.smtp import STEP_SECONDS, TAKE_SECONDS, SmtpSession
from relayd.store.db import Database
from relayd.store.directory import StoreError
from tests.fakes.editions import publish_first
from tests.fakes.mailserver import MailServer, links_in, text_of
from tests.fakes.records import START_MS

LINK = {"link": "https://relay.example/verify?t=quokka", "minutes": "30"}
YEAR_MS = 365 * DAY_MS
OPERATOR = Operator(service="Relay", name="Example Ltd", address="1 Street",
                    contact="hello@example.org", court="c")


class Office:
    """A postman with its server, its clock and its log."""

    def __init__(self, db: Database, server: MailServer) -> None:
        self.now_ms = START_MS
        self.log = io.StringIO()
        self.server = server
        self.config = Config(
            {}, (), console=ConsoleConfig("https://relay.example"), operator=OPERATOR,
            mail=MailConfig("localhost", server.port, ca_file=server.ca_file,
                            sender="no-reply@relay.example"))
        self.postman = Postman(db, lambda: self.config, step_seconds=5.0, every_seconds=0.01,
                               now_ms=lambda: self.now_ms, log=Logger("info", self.log))

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log about this."""
        found = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [line for line in found if line["event"] == name]


@pytest.fixture
async def office(db: Database, tmp_path: Path) -> AsyncIterator[Office]:
    async with MailServer(tmp_path) as server:
        made = Office(db, server)
        yield made
        assert "@" not in made.log.getvalue() and "quokka" not in made.log.getvalue()


async def holder(db: Database, email: str = "ann@example.org") -> str:
    return (await account.create(db, email, None, START_MS - 1)).id


async def posted(db: Database, who: str, kind: str = "verify_email", **fields: str) -> str:
    async with db.writing() as transaction:
        return await mail.post(transaction, kind, who, fields or LINK, START_MS)


async def states(db: Database) -> list[tuple[str, Any]]:
    return [(each.state, each.outcome) for each in reversed(await mail.listing(db))]


async def test_a_mail_arrives_and_what_it_said_is_deleted(db: Database, office: Office) -> None:
    made = await posted(db, await holder(db))
    assert await office.postman.round() == 1
    assert office.events("mail_not_taken") == []
    [found] = office.server.mails
    assert found["To"] == "ann@example.org" and found["Message-ID"] == f"<{made}@relay.example>"
    assert links_in(found) == [LINK["link"]] and "Example Ltd" in text_of(found)
    assert LINK["link"] in text_of(found, "html") and "List-Unsubscribe" not in found
    assert await states(db) == [("sent", "taken")]
    assert await office.postman.round() == 0 and len(office.server.mails) == 1


async def test_greylisting_is_waited_for(db: Database, office: Office) -> None:
    await posted(db, await holder(db, "later@example.org"))
    assert await office.postman.round() == 0
    assert await states(db) == [("queued", "delayed")]
    office.now_ms += MINUTE_MS
    assert await office.postman.round() == 0
    office.now_ms += MINUTE_MS
    assert await office.postman.round() == 0 and len(office.server.tried) == 2
    office.now_ms += MINUTE_MS
    assert await office.postman.round() == 1
    assert await states(db) == [("sent", "taken")]


@pytest.mark.parametrize("address", ["a@b..c", "a@example.org.", "<a>@example.org", "a@["])
async def test_an_address_that_is_none_keeps_nobody_else_waiting(
    db: Database, office: Office, address: str
) -> None:
    for each in (address, "ann@example.org"):
        await posted(db, await holder(db, each))
    assert await office.postman.round() == 1
    assert sorted(await states(db)) == [("refused", "refused"), ("sent", "taken")]


async def test_a_refused_recipient_keeps_nobody_else_waiting(
        db: Database, office: Office) -> None:
    for name in ("never", "ann", "spam"):
        await posted(db, await holder(db, f"{name}@example.org"))
    assert await office.postman.round() == 1
    assert sorted(await states(db)) == [
        ("refused", "refused"), ("refused", "refused"), ("sent", "taken")]
    assert office.postman.outcomes == {"refused": 2, "taken": 1}
    assert '"reason":"refused","count":2' in office.log.getvalue()


async def test_a_server_that_is_down_for_three_days(db: Database, office: Office) -> None:
    await posted(db, await holder(db))
    good = office.config
    office.config = replace(good, mail=replace(good.mail, port=test_utils.unused_port()))
    rounds = 0
    while (await states(db))[0][0] == "queued":
        await office.postman.round()
        office.now_ms += 30 * MINUTE_MS
        rounds += 1
    assert await states(db) == [("expired", "unreachable")] and 100 < rounds < 150
    office.config = good
    assert await office.postman.round() == 0
    [lost] = await mail.listing(db, waiting=True)
    await mail.retry(db, lost.id, office.now_ms)
    assert await office.postman.round() == 1


async def test_nothing_is_given_up_for_a_clock_that_is_not_believed(
    db: Database, office: Office
) -> None:
    """As at the start of a machine that has the date of another year, and no network yet."""
    async def believed(now_ms: int) -> bool:
        return now_ms < START_MS + YEAR_MS

    good = office.config
    lost = replace(good, mail=replace(good.mail, port=test_utils.unused_port()))
    made = Postman(db, lambda: office.config, step_seconds=5.0, now_ms=lambda: office.now_ms,
                   believed=believed, log=Logger("info", office.log))
    await posted(db, await holder(db))
    office.config, office.now_ms = lost, START_MS + YEAR_MS
    assert await made.round() == 0
    assert await states(db) == [("queued", "unreachable")]
    office.config, office.now_ms = good, START_MS + MINUTE_MS
    assert await made.round() == 1
    assert await states(db) == [("sent", "taken")]


async def test_a_server_that_is_down_is_tried_once_a_round(
    db: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postman, "BATCH_MAILS", 2)
    for name in ("ann", "bob", "cid"):
        await posted(db, await holder(db, f"{name}@example.org"))
    good = office.config
    office.config = replace(good, mail=replace(good.mail, port=test_utils.unused_port()))
    assert await office.postman.round() == 0
    # ids of one millisecond are in no order
    assert Counter(await states(db)) == {("queued", "unreachable"): 2, ("queued", None): 1}
    assert office.postman.outcomes == {"unreachable": 2}
    [told] = office.events("mail_not_taken")
    assert (told["count"], told["reason"]) == (2, "unreachable")
    office.config = good
    assert await office.postman.round() == 1


async def test_a_server_is_left_alone_while_nothing_is_due(
    db: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a session without a mail")

    monkeypatch.setattr(postman, "SmtpSession", opened)
    assert await office.postman.round() == 0


async def test_one_that_never_sent_stops_at_once(db: Database, office: Office) -> None:
    async with asyncio.timeout(1):
        await office.postman.stop()
    assert await office.postman.round() == 0


async def test_an_outbox_that_cannot_be_read_is_told_and_read_again(
    db: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = mail.waiting

    async def fails(_: Database) -> int:
        raise StoreError("store_failed")

    running = asyncio.ensure_future(office.postman.run())
    monkeypatch.setattr(mail, "waiting", fails)
    async with asyncio.timeout(5):
        while not office.events("mail_failed"):
            await asyncio.sleep(0.01)
        monkeypatch.setattr(mail, "waiting", waiting)
        while not office.events("mail_works_again"):
            await asyncio.sleep(0.01)
    assert office.events("mail_failed")[0]["code"] == "store_failed"
    await office.postman.stop()
    await running


async def test_a_server_whose_certificate_is_not_trusted_gets_no_mail(
        db: Database, office: Office) -> None:
    await posted(db, await holder(db))
    office.config = replace(office.config, mail=replace(office.config.mail, ca_file=None))
    assert await office.postman.round() == 0
    assert await states(db) == [("queued", "tls")] and office.server.tried == []


async def test_without_a_server_mail_stays_in_the_outbox(db: Database, office: Office) -> None:
    made = await posted(db, await holder(db))
    office.config = replace(office.config, mail=MailConfig())
    assert await office.postman.round() == 0
    shown = await mail.show(db, SHELL, made, START_MS)
    assert shown.letter.fields == LINK and await states(db) == [("queued", None)]


async def test_a_mail_that_is_under_way_at_the_stop_ends(db: Database, office: Office) -> None:
    for host in ("one", "two"):
        await posted(db, await holder(db, f"slow@{host}.example"))
    running = asyncio.create_task(office.postman.run())
    while not office.server.tried:
        await asyncio.sleep(0.01)
    await office.postman.stop()
    assert sorted(await states(db)) == [("queued", None), ("sent", "taken")]
    await running
    assert len(office.server.recipients) == 1
    # the other one does not wait for this process, which is gone
    assert len(await mail.due(db, START_MS, 9)) == 1


async def test_a_server_that_is_silent_about_some_mails_keeps_no_other_waiting(
    db: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        postman, "SmtpSession", lambda config, step: SmtpSession(config, step, 0.05))
    names = ("slow", "too.slow", "ann", "bob")
    for name in names:
        await posted(db, await holder(db, f"{name}@example.org"))
    for _ in names:
        await office.postman.round()
        office.now_ms += 2000
    assert sorted(office.server.recipients) == ["ann@example.org", "bob@example.org"]
    assert len(office.server.tried) == len(names)  # the others wait for a minute at least


def test_no_other_process_sends_what_the_slowest_server_has_not_taken_yet() -> None:
    opening = 7 * STEP_SECONDS  # connect, greeting, EHLO, STARTTLS, EHLO again, AUTH in two
    sending = 3 * STEP_SECONDS + 2 * TAKE_SECONDS  # MAIL, RCPT, RSET; DATA and the message
    assert mail.LEASE_MS >= 1000 * (opening + postman.SESSION_SECONDS + sending)


async def test_a_session_that_lasts_keeps_no_mail_waiting(
        db: Database, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postman, "SESSION_SECONDS", -1.0)
    for name in ("ann", "bob", "cid"):
        await posted(db, await holder(db, f"{name}@example.org"))
    assert await office.postman.round() == 3


async def test_U7_marketing_has_its_one_click_link(db: Database, office: Office) -> None:
    await publish_first(db)
    who = await holder(db)
    async with db.writing() as transaction:
        await consent.register(
            transaction, who, [*REQUIRED, "marketing"], ("en", "console"), START_MS)
    await posted(db, who, "marketing", subject="News", text="Something new.")
    assert await office.postman.round() == 1
    [found] = office.server.mails
    link = found["List-Unsubscribe"].strip("<>")
    assert link.startswith("https://relay.example/unsubscribe?token=") and link in text_of(found)
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    token = link.partition("?token=")[2]
    assert await mail.unsubscribe(db, Actor(None), token, START_MS) == "marketing"


async def test_S2_a_processor_that_may_not_have_it_is_sent_nothing(
        db: Database, office: Office) -> None:
    await posted(db, await holder(db))
    row = Processor("Mail Co", "mail", ("email",), "Germany", "2026-01-31")
    office.config = replace(
        office.config, operator=replace(OPERATOR, processors=(row,)),
        mail=replace(office.config.mail, processor="Mail Co"))
    with pytest.raises(RelayError) as caught:
        await office.postman.round()
    assert (caught.value.code, caught.value.param) == ("undeclared_field", "text")
    assert office.server.tried == [] and (await states(db))[0][0] == "queued"


async def test_notices_are_mailed_to_everybody(db: Database, office: Office) -> None:
    for number in range(250):
        await holder(db, f"{number}@example.org")
    fields = {f"{name}_{lang}": "x" for name in ("subject", "text") for lang in ("en", "zh")}
    await notice.put_up(db, SHELL, "service", fields, (START_MS, START_MS + 9), START_MS)
    assert await office.postman.round() == 250
    assert len(set(office.server.recipients)) == 250


async def test_a_stop_leaves_the_rest_of_a_notice_to_the_next_start(
    db: Database, office: Office
) -> None:
    await holder(db)
    fields = {f"{name}_{lang}": "x" for name in ("subject", "text") for lang in ("en", "zh")}
    await notice.put_up(db, SHELL, "service", fields, (START_MS, START_MS + 9), START_MS)
    await office.postman.stop()
    assert await office.postman.round() == 0 and await mail.listing(db) == []
    next_one = Postman(db, lambda: office.config, now_ms=lambda: office.now_ms)
    assert await next_one.round() == 1


async def test_it_runs_until_it_is_stopped(db: Database, office: Office) -> None:
    running = asyncio.ensure_future(office.postman.run())
    await posted(db, await holder(db))
    async with asyncio.timeout(5):
        while not office.server.mails:
            await asyncio.sleep(0.01)
        while office.postman.waiting:
            await asyncio.sleep(0.01)
        await office.postman.stop()
        await running
    assert office.postman.outcomes == {"taken": 1}


async def test_a_mail_to_somebody_without_an_account(db: Database, office: Office) -> None:
    async with db.writing() as transaction:
        await mail.post(transaction, "ticket_received", None, {"ticket": "t1", "due": "soon"},
                        START_MS, To("nobody@example.org", "zh"))
    assert await office.postman.round() == 1
    assert office.server.mails[0]["Subject"] == "我们已收到您的请求 t1"
