"""What can be handed out of an account, document by document: to its owner, to a successor, to an
authority.

Law: nothing secret (no hash, no secret of a second factor) and nothing of anybody else is in a
document; one owner's documents are all that is kept about them. No transaction is open while a row
is handed out: whoever takes it may be slow.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from itertools import chain
from typing import Any, Final, NamedTuple

import orjson

from relayd.control import (
    account, audit, consent, enterprise, erasure, fapiao, invoice, key, limit, mail, network,
    passkey, session, sign_in, ticket, totp, usage, vault,
)
from relayd.core.audit import ACTIONS
from relayd.core.network import NetworkRecord
from relayd.core.record import PRICED_ONLY
from relayd.core.timestamp import DAY_MS, UNIX_MS_END, rfc3339, rfc3339_or_none
from relayd.core.vault import Item
from relayd.store import account as store_account
from relayd.store import enterprise as store_enterprise
from relayd.store import fapiao as store_fapiao
from relayd.store import holder as store_holder
from relayd.store import invoice as store_invoice
from relayd.store import key as store_key
from relayd.store import lawful as store_lawful
from relayd.store import limit as store_limit
from relayd.store import network as store_network
from relayd.store import order as store_order
from relayd.store import portable as store_portable
from relayd.store import rollup as store_rollup
from relayd.store import sign_in as store_sign_in
from relayd.store import vault as store_vault
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.fapiao import FapiaoFilter
from relayd.store.invoice import InvoiceFilter
from relayd.store.order import OrderFilter
from relayd.store.record import CallFilter
from relayd.store.seal import UNREADABLE

HOURS_AT_ONCE: Final = 24
KEYS_AT_ONCE: Final = 500
ROWS_MAX: Final = 100_000
"""Rows of a kind that is never so many; calls, sums and network records have no bound."""


_OF_ORDERS: Final[Mapping[str, str]] = {
    "order": "created_at_ms", "dispute": "opened_at_ms", "invoice": "issued_at_ms"}
"""Kinds of copies in the vault that are about orders, and the field that says when each began."""


class Span(NamedTuple):
    """[since_ms, until_ms): the time of what is wanted; `until_ms` is also the moment of now."""

    since_ms: int = 0
    until_ms: int = UNIX_MS_END

    def holds(self, at_ms: int) -> bool:
        """Whether a moment is in it."""
        return self.since_ms <= at_ms < self.until_ms


Rows = AsyncIterator[Mapping[str, Any]]
Source = Callable[[Database, str, Span], Rows]


async def readable(rows: Rows, name: str, unread: list[str]) -> Rows:
    """Rows up to the first that can be read no more; then `unread` gets the name of what they are
    of."""
    try:
        async for row in rows:
            yield row
    except StoreError as error:
        if error.code not in UNREADABLE:
            raise
        unread.append(name)


async def _profile(db: Database, who: str, span: Span) -> Rows:
    """What can be read of it; the error of what cannot comes behind."""
    async with db.reading() as transaction:
        found = await store_account.known(transaction, who)
        holder = await store_holder.bare(transaction, who)
        limits = await store_limit.get(transaction, "account", who)
    yield {
        **account.view(found), "username": found.username, "language": found.language,
        "country": found.country, "state_since": rfc3339(found.state_since_ms),
        "reason": found.reason, "limits": limit.view(limits),
        "age_stated_at": rfc3339_or_none(holder.age_stated_at_ms if holder else None),
        "password_set_at": rfc3339_or_none(holder.password_at_ms if holder else None),
        "seen_at": rfc3339_or_none(holder.seen_at_ms if holder else None),
        "reminders": holder.dormant_steps if holder else 0,
        "reminded_at": rfc3339_or_none(holder.dormant_at_ms or None if holder else None),
    }
    async with db.reading() as transaction:
        await store_account.get(transaction, who)


async def _keys(db: Database, who: str, span: Span) -> Rows:
    """Some at a time: an account may have revoked any number of them."""
    after = ""
    while True:
        async with db.reading() as transaction:
            found = await store_key.page(transaction, who, after, KEYS_AT_ONCE)
            limits = await store_limit.everybody(transaction, "key", [each.id for each in found])
        for each in found:
            yield {**key.view(each, min(span.until_ms, UNIX_MS_END - 1)),
                   "limits": limit.view(limits.get(each.id, {}))}
        if len(found) < KEYS_AT_ONCE:
            return
        after = found[-1].id


async def _calls(db: Database, who: str, span: Span) -> Rows:
    async for record in usage.calls(db, CallFilter(who, span.since_ms, span.until_ms)):
        yield {**usage.view(record), **{name: getattr(record, name) for name in PRICED_ONLY}}


async def _totals(db: Database, who: str, span: Span) -> Rows:
    async with db.reading() as transaction:
        found = await store_rollup.totals(
            transaction, CallFilter(who, span.since_ms, span.until_ms))
    for total in found:
        yield {"model": total.model, "currency": total.currency, **total.sums._asdict()}


async def _hours(db: Database, who: str, span: Span) -> Rows:
    """A few hours at a time, a transaction each."""
    after_ms = span.since_ms - 1
    while True:
        async with db.reading() as transaction:
            found = await store_rollup.hours(transaction, who, after_ms, HOURS_AT_ONCE)
        for of, sums in found:
            if span.holds(of.hour_ms):
                yield {"hour_ms": of.hour_ms, "key_id": of.key, "model": of.model or None,
                       "provider": of.provider or None, "currency": of.currency,
                       **sums._asdict()}
        if not found:
            return
        after_ms = found[-1][0].hour_ms


async def _sessions(db: Database, who: str, span: Span) -> Rows:
    for each in await session.listing(db, who, min(span.until_ms, UNIX_MS_END - 1)):
        yield session.view(each)


async def _sign_ins(db: Database, who: str, span: Span) -> Rows:
    async with db.reading() as transaction:
        found = await store_sign_in.latest(transaction, who, ROWS_MAX)
    for each in found:
        if span.holds(each.at_ms):
            yield sign_in.view(each)


async def _second_factors(db: Database, who: str, span: Span) -> Rows:
    on, codes = await totp.standing(db, who)
    if on:
        yield {"kind": "totp", "codes_left": codes}
    for each in await passkey.listing(db, who):
        yield {"kind": "passkey", **passkey.view(each)}


async def _consents(db: Database, who: str, span: Span) -> Rows:
    for each in await consent.history(db, who):
        yield consent.view(each)


async def _tickets(db: Database, who: str, span: Span) -> Rows:
    for each in await ticket.of_account(db, who):
        story = await ticket.own(db, who, each.id)
        yield {**ticket.view(each, min(span.until_ms, UNIX_MS_END - 1)),
               "messages": [ticket.view_message(message) for message in story.messages]}


async def _letters(db: Database, who: str, span: Span) -> Rows:
    for each in await mail.listing(db, account_id=who, most=ROWS_MAX):
        yield mail.view(each)


async def _network(db: Database, who: str, span: Span) -> Rows:
    """A day at a time, a transaction each."""
    start_ms: int | None = span.since_ms
    while start_ms is not None:
        batches: list[list[NetworkRecord]] = []
        async with db.reading() as transaction:
            start_ms = await store_network.next_ms(transaction, who, start_ms)
            if start_ms is not None and start_ms < span.until_ms:
                end_ms = min(span.until_ms, start_ms + DAY_MS)
                batches = [batch async for batch in store_network.of_account(
                    transaction, who, start_ms, end_ms)]
                start_ms = end_ms
            else:
                start_ms = None
        for record in chain.from_iterable(batches):
            yield network.view(record)


async def _orders(db: Database, who: str, span: Span) -> Rows:
    async with db.reading() as transaction:
        orders = await store_order.listing(transaction, OrderFilter(account=who), ROWS_MAX)
        copies = await store_vault.listing(transaction, who)
    for order in orders:
        if span.holds(order.created_at_ms):
            yield {
                "id": order.id, "partner": order.partner, "state": order.state,
                "amount_minor": order.amount_minor, "refunded_minor": order.refunded_minor,
                "currency": order.currency, "trade": order.trade,
                "session": order.session, "created_at": rfc3339(order.created_at_ms),
                "expires_at": rfc3339(order.expires_at_ms),
                "paid_at": rfc3339_or_none(order.paid_at_ms)}
    for copy in copies:
        if copy.kind in _OF_ORDERS and span.holds(_began_ms(copy)):
            yield {"copy": vault.view(copy)}


def _began_ms(copy: Item) -> int:
    """When what was copied was made."""
    return int(copy.content.get(_OF_ORDERS[copy.kind]) or 0)


async def _invoices(db: Database, who: str, span: Span) -> Rows:
    async with db.reading() as transaction:
        found = await store_invoice.listing(transaction, InvoiceFilter(who), ROWS_MAX)
    for each in found:
        if span.holds(each.issued_at_ms):
            async with db.reading() as transaction:
                whole = await store_invoice.get(transaction, each.id)
            yield invoice.view(whole)


async def _enterprise(db: Database, who: str, span: Span) -> Rows:
    async with db.reading() as transaction:
        marked = await store_enterprise.find(transaction, who)
    if marked is not None:
        yield {**enterprise.view(marked), "marked_at": rfc3339(marked.marked_at_ms),
               "changed_at": rfc3339(marked.changed_at_ms)}


async def _fapiao(db: Database, who: str, span: Span) -> Rows:
    async with db.reading() as transaction:
        found = await store_fapiao.listing(transaction, FapiaoFilter(who), ROWS_MAX)
    for each in found:
        if span.holds(each.created_at_ms):
            async with db.reading() as transaction:
                files = await store_fapiao.files(transaction, each)
            yield {**fapiao.view(each), "files": {
                kind: base64.b64encode(content).decode() for kind, content in files.items()}}


async def _looks(db: Database, who: str, span: Span) -> Rows:
    """What others did with the account, and each look at what is personal.

    What concerns a lawful request comes once its owner may be told of it.
    """
    async with db.reading() as transaction:
        told = await store_lawful.told(transaction, who)
    for entry in [entry async for entry in audit.listing(db, target=who)]:
        if _may_know(entry, told):
            yield _look(entry, who)


async def newest_looks(db: Database, who: str, most: int) -> list[Mapping[str, Any]]:
    """The newest of the same first, of the account's last `most` events."""
    async with db.reading() as transaction:
        told = await store_lawful.told(transaction, who)
    return [_look(entry, who) for entry in await audit.latest(db, None, who, most, reasons=True)
            if _may_know(entry, told)]


def _may_know(entry: audit.Entry, told: Collection[str]) -> bool:
    request = orjson.loads(entry.event.details).get("request")
    return request is None or request in told


def _look(entry: audit.Entry, who: str) -> Mapping[str, Any]:
    event = entry.event
    action = ACTIONS.get(event.action)
    return {
        "at": rfc3339(event.at_ms), "action": event.action,
        "meaning": "" if action is None else action.meaning,
        "by": "you" if event.actor == who else event.roles or event.via,
        "look": action is not None and action.look, "reason": entry.reason}


async def _erasures(db: Database, who: str, span: Span) -> Rows:
    for each in await erasure.listing(db, who):
        yield erasure.view(each)


def _plain(name: str) -> Source:
    """Rows that are handed out as they are."""
    async def read(db: Database, who: str, span: Span) -> Rows:
        async with db.reading() as transaction:
            found = [row async for row in store_portable.rows(transaction, name, who)]
        for row in found:
            yield row

    return read


DOCUMENTS: Final[Mapping[str, Source]] = {
    "account": _profile,
    "keys": _keys,
    "calls": _calls,
    "totals": _totals,
    "hours": _hours,
    "sessions": _sessions,
    "sign_ins": _sign_ins,
    "second_factors": _second_factors,
    "consents": _consents,
    "tickets": _tickets,
    "letters": _letters,
    "network_records": _network,
    "orders": _orders,
    "invoices": _invoices,
    "enterprise": _enterprise,
    "fapiao": _fapiao,
    "access": _looks,
    **{name: _plain(name) for name in store_portable.PLAIN},
    "erasures": _erasures,
}
"""Everything about oneself, by the name of its document."""
SCOPES: Final[Mapping[str, Source]] = {
    "profile": _profile, "keys": _keys, "calls": _calls, "network": _network,
    "sign_ins": _sign_ins, "orders": _orders,
}
"""What a lawful request may ask for (core/lawful.py)."""
