"""Lawful requests: enter, decide, produce, tell the owner; and what comes of them in public.

Law: who entered a request does not decide on it, nor does whom it is about. What goes out is of
its scopes and its time, is packed for one recipient, and is in the audit log before it leaves.
Content is in no scope: it is answered with "not held", and with the hash of the last canary report
as evidence.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import orjson

from relayd.control import audit, conflict, mail, portable
from relayd.control.erasure import Link, linked
from relayd.core.account import check_label
from relayd.core.actor import SYSTEM, Actor
from relayd.core.errors import RelayError
from relayd.core.lawful import (
    BASES, CONTENT, EXPIRES_MS_MAX, TEXT_CHARS_MAX, Basis, LawfulRequest, RequestMove, advance,
    check_scope, check_sha256, judge_approval, person,
)
from relayd.core.retention import Terms, year_of
from relayd.core.timestamp import DAY_MS, rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import account as store_account
from relayd.store import canary as store_canary
from relayd.store import lawful as store_lawful
from relayd.store import parcel
from relayd.store.db import Database
from relayd.store.parcel import Recipient
from relayd.store.transaction import Transaction

EXPIRES_DAYS: Final = 60


@dataclass(frozen=True, slots=True)
class Entry:
    """What is entered of a request. `account` is an id or an address; times are Unix ms."""

    account: str
    basis: Basis
    authority: str = field(repr=False)
    reference: str = field(repr=False)
    document_sha256: str
    scope: tuple[str, ...]
    since_ms: int
    until_ms: int
    reason: str = field(repr=False)
    gag_until_ms: int | None = None
    expires_ms: int = EXPIRES_DAYS * DAY_MS


@dataclass(frozen=True, slots=True)
class Hand:
    """Who acts: at the shell the system's user tells two people apart, where they signed in to the
    machine as that user. `reason` is audited."""

    actor: Actor
    reason: str = field(repr=False)
    user: str | None = None
    signed_in: bool = True

    @property
    def person(self) -> str:
        """The same for the two-person rule."""
        return person(self.actor, self.user)


def _judge(actor: Actor) -> None:
    if not actor.has("legal", "owner"):
        raise RelayError("role_needed")


async def enter(
    db: Database, hand: Hand, entry: Entry, terms: Terms, now_ms: int,
) -> LawfulRequest:
    """A new request; one for content alone is answered at once, with "not held".

    Raises `role_needed`, `own_account`, `account_not_found`, `invalid_value`, `invalid_time`,
    `reason_missing`.
    """
    _judge(hand.actor)
    await conflict.judge_own(db, hand.actor, entry.account, "request.open", now_ms)
    if entry.basis not in BASES:
        raise RelayError("invalid_value", param="basis")
    if not entry.since_ms < entry.until_ms or not 0 < entry.expires_ms <= EXPIRES_MS_MAX:
        raise RelayError("invalid_time", param="until")
    async with db.writing() as transaction:
        account = await store_account.known(transaction, entry.account)
        request = LawfulRequest(
            id="req_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), account=account.id,
            basis=entry.basis, state="open",
            authority=check_label(entry.authority, "authority", TEXT_CHARS_MAX),
            reference=check_label(entry.reference, "reference", TEXT_CHARS_MAX),
            document_sha256=check_sha256(entry.document_sha256), scope=check_scope(entry.scope),
            since_ms=entry.since_ms, until_ms=entry.until_ms, requester=hand.person,
            opened_at_ms=now_ms, expires_at_ms=now_ms + entry.expires_ms,
            gag_until_ms=entry.gag_until_ms)
        # the key must outlive the file: it ends some years after the request does
        year = year_of(request.expires_at_ms + EXPIRES_MS_MAX + terms.ms("legal_requests"))
        await store_lawful.insert(transaction, request, year)
        await _note(transaction, hand, "request.open", request, now_ms)
        if request.only_content:
            request = await _answer(transaction, db.directory, request, now_ms)
    return request


async def _note(
    transaction: Transaction, hand: Hand, action: str, request: LawfulRequest, now_ms: int,
) -> None:
    await audit.append(
        transaction, hand.actor, action, request.account, now_ms, reason=hand.reason,
        details={"request": request.id, "basis": request.basis, "state": request.state})


async def _answer(
    transaction: Transaction, directory: Path, request: LawfulRequest, now_ms: int,
) -> LawfulRequest:
    answered = replace(request, state=advance(request.state, "answer"), decided_at_ms=now_ms,
                       canary_sha256=canary_sha256(directory))
    await store_lawful.update(transaction, answered)
    await audit.append(transaction, SYSTEM, "request.end", request.account, now_ms,
                       details={"request": request.id, "state": answered.state})
    return answered


def canary_sha256(directory: Path) -> str | None:
    """The hash of the last canary report, as the console serves it; None where there was none."""
    report = store_canary.read(directory)
    return None if report is None else hashlib.sha256(report).hexdigest()


async def approve(db: Database, hand: Hand, request_id: str, now_ms: int) -> LawfulRequest:
    """Another person than who entered it says yes. Raises `two_persons`, `own_account`,
    `role_needed`, `request_state`, `reason_missing`."""
    return await _decide(db, hand, request_id, "approve", now_ms)


async def refuse(db: Database, hand: Hand, request_id: str, now_ms: int) -> LawfulRequest:
    """Another person says no. Raises the same."""
    return await _decide(db, hand, request_id, "refuse", now_ms)


async def _decide(
    db: Database, hand: Hand, request_id: str, move: RequestMove, now_ms: int,
) -> LawfulRequest:
    if not hand.signed_in:
        raise RelayError("two_persons", param="request")
    async with db.reading() as transaction:
        about = (await store_lawful.get(transaction, request_id)).account
    await conflict.judge_own(db, hand.actor, about, f"request.{move}", now_ms)
    async with db.writing() as transaction:
        request = await store_lawful.get(transaction, request_id)
        judge_approval(request, hand.person, hand.actor.roles)
        decided = replace(request, state=advance(request.state, move), approver=hand.person,
                          decided_at_ms=now_ms)
        if request.expires_at_ms <= now_ms:
            raise RelayError("request_state", param="request")
        await store_lawful.update(transaction, decided)
        await _note(transaction, hand, f"request.{move}", decided, now_ms)
    return decided


async def produce(
    db: Database, hand: Hand, request_id: str, to: Recipient, now_ms: int,
) -> tuple[LawfulRequest, bytes]:
    """The parcel of an approved request, which is noted before it is returned.

    Raises `role_needed`, `own_account`, `request_state`, `reason_missing`.
    """
    _judge(hand.actor)
    async with db.reading() as transaction:
        request = await store_lawful.get(transaction, request_id)
    await conflict.judge_own(db, hand.actor, request.account, "request.produce", now_ms)
    produced = advance(request.state, "produce")
    if request.expires_at_ms <= now_ms:
        raise RelayError("request_state", param="request")
    counts: dict[str, int] = {}
    content = b"".join([
        piece async for piece in parcel.pack(to, _content(db, request, counts, now_ms))])
    async with db.writing() as transaction:
        current = await store_lawful.get(transaction, request_id)
        if current.state != request.state:
            raise RelayError("request_state", param="request")
        request = replace(
            request, state=produced, produced_at_ms=now_ms,
            produced=orjson.dumps(counts, option=orjson.OPT_SORT_KEYS).decode(),
            produced_sha256=hashlib.sha256(content).hexdigest(),
            canary_sha256=canary_sha256(db.directory) if CONTENT in request.scope else None)
        await store_lawful.update(transaction, request)
        await _note(transaction, hand, "request.produce", request, now_ms)
    return request, content


async def _content(
    db: Database, request: LawfulRequest, counts: dict[str, int], now_ms: int,
) -> AsyncIterator[bytes]:
    """One JSON document: the request's own words, each scope's rows, and in which scopes there is
    something that can be read no more."""
    head = {"request": request.id, "account": request.account, "basis": request.basis,
            "since": rfc3339(request.since_ms), "until": rfc3339(request.until_ms),
            "scope": list(request.scope), "produced_at": rfc3339(now_ms)}
    yield orjson.dumps(head)[:-1]
    span, unread = portable.Span(request.since_ms, request.until_ms), list[str]()
    for scope in request.scope:
        yield b',"' + scope.encode() + b'":'
        if scope == CONTENT:
            yield orjson.dumps({"held": False, "canary_sha256": canary_sha256(db.directory)})
            continue
        counts[scope] = 0
        separator = b"["
        rows = portable.SCOPES[scope](db, request.account, span)
        async for row in portable.readable(rows, scope, unread):
            counts[scope] += 1
            yield separator + orjson.dumps(row)
            separator = b","
        yield b"]" if separator == b"," else b"[]"
    yield (b',"unread":' + orjson.dumps(unread) if unread else b"") + b"}\n"


async def expire(db: Database, now_ms: int) -> int:
    """End the requests whose time is over; returns how many."""
    async with db.writing() as transaction:
        found = await store_lawful.expiring(transaction, now_ms)
        for request in found:
            ended = replace(request, state=advance(request.state, "expire"))
            await store_lawful.update(transaction, ended)
            await audit.append(transaction, SYSTEM, "request.end", request.account, now_ms,
                               details={"request": request.id, "state": ended.state})
    return len(found)


async def tell(db: Database, now_ms: int, link: Link = linked("")) -> int:
    """Tell owners of what was produced, once nothing forbids it; returns how many."""
    told = 0
    async with db.writing() as transaction:
        for request in await store_lawful.untold(transaction, now_ms):
            reached = await _mailed(transaction, request, link, now_ms)
            told += reached
            await store_lawful.update(transaction, replace(request, notified_at_ms=now_ms))
            await audit.append(transaction, SYSTEM, "request.tell", request.account, now_ms,
                               details={"request": request.id, "mailed": reached})
    return told


async def _mailed(
    transaction: Transaction, request: LawfulRequest, link: Link, now_ms: int,
) -> bool:
    """Whether its owner is written to: not who is erased, or can be read no more."""
    account = await store_account.readable(transaction, request.account)
    if account is None or account.email is None:
        return False
    await mail.post(transaction, "lawful_request", account.id, {
        "authority": request.authority, "at": rfc3339(request.produced_at_ms or 0),
        "link": link("/privacy/access", "")}, now_ms)
    return True


async def listing(db: Database, actor: Actor) -> list[LawfulRequest]:
    """All requests, newest first. Raises `role_needed`."""
    _judge(actor)
    async with db.reading() as transaction:
        return await store_lawful.listing(transaction)


async def get(db: Database, actor: Actor, request_id: str) -> LawfulRequest:
    """One request. Raises `role_needed`, `request_not_found`."""
    _judge(actor)
    async with db.reading() as transaction:
        return await store_lawful.get(transaction, request_id)


def view(request: LawfulRequest) -> dict[str, object]:
    """The request as JSON shows it to operators."""
    return {
        "id": request.id, "account": request.account, "basis": request.basis,
        "state": request.state, "authority": request.authority, "reference": request.reference,
        "document_sha256": request.document_sha256, "scope": list(request.scope),
        "since": rfc3339(request.since_ms), "until": rfc3339(request.until_ms),
        "requester": request.requester, "approver": request.approver,
        "opened_at": rfc3339(request.opened_at_ms),
        "decided_at": rfc3339_or_none(request.decided_at_ms),
        "expires_at": rfc3339(request.expires_at_ms),
        "produced_at": rfc3339_or_none(request.produced_at_ms),
        "produced": None if request.produced is None else orjson.loads(request.produced),
        "produced_sha256": request.produced_sha256, "canary_sha256": request.canary_sha256,
        "gag_until": rfc3339_or_none(request.gag_until_ms),
        "notified_at": rfc3339_or_none(request.notified_at_ms),
    }
