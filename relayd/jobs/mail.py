"""The postman: takes what is due from the outbox to the mail server.

Law: no address and nothing of a mail is logged, only how many and why not. Without a server in the
configuration everything stays where it is. A mail may be sent twice where a process dies between
the server's answer and the store's, never not at all; both have the same Message-ID. None is given
up for a clock that is not believed (core/calendar.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from relayd.control import calendar, mail, notice
from relayd.control.calendar import Asked
from relayd.control.mail import Outgoing
from relayd.control.mail_text import render
from relayd.core.errors import RelayError
from relayd.core.operator import MAIL_FIELDS
from relayd.ops.beat import Beat
from relayd.ops.clock import monotonic, unix_ms
from relayd.ops.config import Config
from relayd.ops.configfile_mail import console_url
from relayd.ops.logging import Logger
from relayd.ops.notice import Lasting, Notices
from relayd.ops.smtp import STEP_SECONDS, Message, SmtpError, SmtpSession
from relayd.store.change import CLOCK_SECONDS, News
from relayd.store.db import Database

EVERY_SECONDS: Final = 2.0
BATCH_MAILS: Final = 20
SESSION_SECONDS: Final = 60.0
"""A session sends no further mail after so long: what it took is its own for longer than that."""
STOP_SECONDS: Final = 5.0
"""How long a mail that is under way may still take when the process stops: one that is broken off
may have arrived all the same, and is sent again then."""
NOTICE_ACCOUNTS: Final = 25
"""Mails of a notice that are queued in one transaction: 20 ms of the write lock."""
UNSUBSCRIBE_PATH: Final = "/unsubscribe"


class Postman:
    """Sends until `stop()`. `outcomes` counts what became of attempts, `waiting` what is left."""

    def __init__(
        self, db: Database, config: Callable[[], Config], *, every_seconds: float = EVERY_SECONDS,
        step_seconds: float = STEP_SECONDS, now_ms: Callable[[], int] = unix_ms,
        believed: Asked = calendar.always, log: Logger | None = None,
    ) -> None:
        self._db = db
        self._config = config
        self._step_seconds = step_seconds
        self._now_ms = now_ms
        self._believed = believed
        log = log or Logger()
        self._telling = Lasting(log, "mail_failed", "mail_works_again")
        self._notices = Notices(log)
        self._news = News(db.changes, CLOCK_SECONDS)
        self._beat = Beat(every_seconds, self._news.due)
        self._idle = asyncio.Event()
        self._idle.set()
        self.outcomes: Counter[str] = Counter()
        self.waiting = 0

    async def run(self) -> None:
        """Look into the outbox every `every_seconds` if the store was written."""
        while not self._beat.stopped:
            await self._look()
            await self._beat.wait()

    async def _look(self) -> None:
        try:
            await self.round()
            self.waiting = await mail.waiting(self._db)
        except RelayError as error:
            self._telling.again(code=error.code)
        else:
            self._telling.ended()
            self._news.seen()

    async def round(self) -> int:
        """Queue what notices say, and send all that is due; returns how many were taken."""
        await self._queue_notices()
        if not self._config().mail.host:
            return 0
        taken = 0
        while not self._beat.stopped:
            batch = await mail.due(self._db, self._now_ms(), BATCH_MAILS)
            if not batch:
                break
            came_to = await self._deliver(batch)
            taken += came_to["taken"]
            self.outcomes.update(came_to)
            self._tell(came_to)
            if came_to["taken"] == 0:
                break
        return taken

    async def _queue_notices(self) -> None:
        config = self._config()
        origin = console_url(config.console, config.console_listen)
        while not self._beat.stopped and await notice.queue_batch(
                self._db, origin, self._now_ms(), NOTICE_ACCOUNTS):
            await asyncio.sleep(0)

    async def _deliver(self, batch: list[Outgoing]) -> Counter[str]:
        """Send a batch in one session; what could not be sent is for another time."""
        try:
            async with SmtpSession(self._config().mail, self._step_seconds) as session:
                return await self._send_all(session, batch)
        except SmtpError as error:
            for each in batch:
                await self._failed(each, error)
            return Counter({error.outcome: len(batch)})

    async def _send_all(self, session: SmtpSession, batch: list[Outgoing]) -> Counter[str]:
        self._idle.clear()
        try:
            return await self._sent_all(session, batch)
        finally:
            self._idle.set()

    async def _sent_all(self, session: SmtpSession, batch: list[Outgoing]) -> Counter[str]:
        """Where the server has gone, or says nothing any more, that may be for this mail alone:
        the others of the batch are the next ones."""
        came_to: Counter[str] = Counter()
        began = monotonic()
        for number, each in enumerate(batch, 1):
            outcome = await self._send(session, each)
            came_to[outcome] += 1
            if (outcome == "unreachable" or monotonic() - began > SESSION_SECONDS
                    or self._beat.stopped):
                await mail.release(self._db, batch[number:], self._now_ms())
                break
        return came_to

    async def _send(self, session: SmtpSession, outgoing: Outgoing) -> str:
        try:
            await session.send(self._message(outgoing))
        except SmtpError as error:
            await self._failed(outgoing, error)
            return error.outcome
        await mail.sent(self._db, outgoing.mail, self._now_ms())
        return "taken"

    async def _failed(self, outgoing: Outgoing, error: SmtpError) -> None:
        now_ms = self._now_ms()
        if error.is_final:
            await mail.refused(self._db, outgoing.mail, error.outcome, now_ms)
        else:
            await mail.failed(self._db, outgoing.mail, error.outcome, now_ms,
                              believed=await self._believed(now_ms))

    def _message(self, outgoing: Outgoing) -> Message:
        config = self._config()
        processor = config.operator.processor(config.mail.processor)
        if processor is not None:
            processor.permit(MAIL_FIELDS)
        row = outgoing.mail
        link = None
        if outgoing.unsubscribe is not None:
            origin = console_url(config.console, config.console_listen)
            link = f"{origin}{UNSUBSCRIBE_PATH}?token={outgoing.unsubscribe}"
        said = render(row.kind, row.language, outgoing.letter.fields, config.operator, link)
        return Message(row.id, row.queued_at_ms, outgoing.letter.recipient, said.subject,
                       said.text, said.html, link)

    def _tell(self, came_to: Counter[str]) -> None:
        for outcome, count in came_to.items():
            if outcome != "taken":
                self._notices.warn("mail_not_taken", count, reason=outcome)

    async def stop(self) -> None:
        """Send no more; a mail that is under way ends, where that takes no longer than it may."""
        self._beat.stop()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), STOP_SECONDS)
