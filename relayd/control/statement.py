"""Partners' daily statements, held against the ledger; fees, payouts and what comes back of them
are booked from them.

Law: what differs is told and changes nothing; a person sets it right. So is a line that cannot be
booked: none is passed over. A day may be looked at as often as one likes: it is booked once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Final

from relayd.control import audit
from relayd.control.partner import Partner, moment
from relayd.core.actor import Actor
from relayd.core.currency import PLACES, to_nano, whole_minor
from relayd.core.errors import RelayError
from relayd.core.posting import (
    BALANCE_NANO_MAX, TRANSFER_NANO_MAX, Entry, LedgerAccount, Transfer, move,
)
from relayd.core.statement import (
    Booked, Difference, Key, StatementLine, differences, merged,
)
from relayd.store import posting as store_posting
from relayd.store import statement as store_statement
from relayd.store.db import Database
from relayd.store.statement import Checked
from relayd.store.transaction import Transaction

READY_MS: Final = 10 * 3_600_000
"""Partners have the statement of a day ten hours after its end."""
BACK_DAYS: Final = 7
"""How far back a day is looked for that was missed."""
LISTED_MAX: Final = 500
_BOOKED: Final = frozenset({"payout", "pay_in", "fee"})
"""Kinds of lines that are booked when a statement tells of them."""


async def check(
    db: Database, partner: Partner, day: str, actor: Actor, now_ms: int
) -> list[Difference]:
    """Fetches a day's statement, books its fees and payouts, and says what differs.

    What the ledger has of the day before, if that was looked at, must be in one of the two
    statements. Raises what the way to the partner raises.
    """
    told = await partner.client.run(partner.adapter.statement(day, moment(now_ms)))
    lines = merged(told)
    before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    start_ms, end_ms = (partner.adapter.day_start_ms(each) for each in (before, day))
    async with db.writing() as transaction:
        await store_statement.save(
            transaction, Checked(partner.name, day, now_ms, len(told)), lines)
        due: dict[Key, Booked] = {}
        if before in await store_statement.days(transaction, partner.name, before):
            due = await store_statement.due(transaction, partner.name, start_ms, end_ms)
        found = differences(
            await _whole(transaction, partner.name, day, lines),
            await store_statement.booked(transaction, partner.name, lines), due)
        found += await _book(transaction, partner.name, lines, now_ms)
        await store_statement.set_differences(
            transaction, partner.name, day, [*lines, *_settled(lines, found)], found)
        await audit.append(
            transaction, actor, "statement.check", None, now_ms,
            details={"partner": partner.name, "day": day, "lines": len(told),
                     "differences": len(found)})
    return found


async def _whole(
    transaction: Transaction, partner: str, day: str, lines: Iterable[StatementLine]
) -> list[StatementLine]:
    """The lines, with what another day's statement has of the same: no payment comes twice."""
    before = await store_statement.before(transaction, partner, day, lines)
    return [line._replace(amount_minor=line.amount_minor + before.get(line[:2], 0))
            for line in lines]


async def _book(
    transaction: Transaction, partner: str, lines: Iterable[StatementLine], now_ms: int
) -> list[Difference]:
    """Books fees and payouts; what was booked before with another amount stays and differs."""
    found = []
    for line in lines:
        if line.currency not in PLACES:
            if line.kind in _BOOKED or line.fee_minor:
                found.append(Difference(line.kind, line.reference, "not_booked",
                                        line.amount_minor or line.fee_minor, None))
            continue
        for transfer in _transfers(partner, line):
            known = await store_posting.find(transaction, transfer.cause)
            if known is None:
                await store_posting.post(transaction, transfer, now_ms)
            elif sorted(known.transfer.entries) != sorted(transfer.entries):
                found.append(Difference(
                    line.kind, line.reference, "other_amount", *(
                        whole_minor(max(entry.amount_nano for entry in each.entries),
                                    each.currency) for each in (transfer, known.transfer))))
    return found


def _transfers(partner: str, line: StatementLine) -> list[Transfer]:
    where = f"{partner}:{line.kind}:{line.reference}"
    fee = line.fee_minor + (line.amount_minor if line.kind == "fee" else 0)
    found = []
    # a partner that returns money may return its fee as well
    for cause, nano in _parts(f"fee:{where}", to_nano(fee, line.currency)):
        found.append(Transfer("fee", cause, (
            Entry(LedgerAccount("fees", partner, line.currency), -nano),
            Entry(LedgerAccount("clearing", partner, line.currency), nano))))
    if line.kind == "payout" or line.kind == "pay_in":
        for cause, nano in _parts(
                f"{line.kind}:{where}", to_nano(line.amount_minor, line.currency)):
            found.append(move(line.kind, cause, nano, line.currency, partner=partner))
    return found


def _settled(lines: Iterable[StatementLine], found: Iterable[Difference]) -> list[StatementLine]:
    """The refunds that these lines say came back, where the ledger says so too: it is no longer
    amiss that it has not got them."""
    amiss = {(each.kind, each.reference) for each in found}
    return [line._replace(kind="refund") for line in lines
            if line.kind == "refund_back" and (line.kind, line.reference) not in amiss]


def _parts(cause: str, nano: int) -> list[tuple[str, int]]:
    """An amount in as many transfers as it takes: 20 million yen are more than one holds."""
    if abs(nano) > BALANCE_NANO_MAX:
        raise RelayError("amount_range")
    found: list[tuple[str, int]] = []
    while nano:
        part = max(-TRANSFER_NANO_MAX, min(nano, TRANSFER_NANO_MAX))
        found.append((cause if not found else f"{cause}:{len(found) + 1}", part))
        nano -= part
    return found


async def missing(db: Database, partner: Partner, now_ms: int) -> list[str]:
    """The latest days whose statement is there by now and was not looked at, oldest first."""
    today = datetime.fromtimestamp(now_ms // 1000, UTC).date()
    wanted = [(today - timedelta(days=back)).isoformat() for back in range(BACK_DAYS, 0, -1)]
    async with db.reading() as transaction:
        seen = await store_statement.days(transaction, partner.name, wanted[0])
    return [day for day in wanted
            if day not in seen and _end_ms(partner, day) + READY_MS <= now_ms]


def _end_ms(partner: Partner, day: str) -> int:
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    return partner.adapter.day_start_ms(after)


async def listing(db: Database) -> tuple[list[Checked], list[tuple[str, str, Difference]]]:
    """(the statements that were looked at, what differs)."""
    async with db.reading() as transaction:
        return (await store_statement.listing(transaction, LISTED_MAX),
                await store_statement.differences(transaction, LISTED_MAX))
