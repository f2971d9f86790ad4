"""The handover: announce it to everybody, hear objections, bundle what goes along.

Law: the bundle is packed for its recipient alone, after the window, once every mail is out;
whoever objected, left or is about to leave is not in it, nor is who came too late to be heard.
"""

from __future__ import annotations

import hashlib
import secrets
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

import orjson

from relayd.control import audit, export, notice
from relayd.control.export import Sink
from relayd.control.lawful import Hand
from relayd.control.portable import Span
from relayd.core.account import check_label
from relayd.core.actor import Actor
from relayd.core.errors import RelayError
from relayd.core.handover import Handover, advance, judge_bundle
from relayd.core.timestamp import rfc3339, rfc3339_or_none
from relayd.core.ulid import RANDOM_BYTES, ulid
from relayd.store import handover as store_handover
from relayd.store import parcel
from relayd.store.db import Database
from relayd.store.parcel import Recipient

FORMAT: Final = "relayd handover 1"
TEXT_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Announcement:
    """Who takes over, how to reach them, for what, and until when an owner may object."""

    recipient: str
    contact: str
    purpose_en: str
    purpose_zh: str
    window_ends_ms: int
    new_purposes: bool = False


def _judge(actor: Actor) -> None:
    if not actor.has("owner", "legal"):
        raise RelayError("role_needed")


async def announce(
    db: Database, actor: Actor, said: Announcement, now_ms: int,
) -> Handover:
    """Tell everybody. Raises `role_needed`, `invalid_value`, `invalid_time` for a window that is
    shorter than 15 days."""
    _judge(actor)
    recipient = check_label(said.recipient, "recipient", TEXT_CHARS_MAX)
    contact = check_label(said.contact, "contact", TEXT_CHARS_MAX)
    async with db.writing() as transaction:
        made = await notice.publish(transaction, actor, "transfer", {
            "recipient": recipient, "contact": contact, "purpose_en": said.purpose_en,
            "purpose_zh": said.purpose_zh}, (now_ms, said.window_ends_ms), now_ms)
        handover = Handover(
            id="hand_" + ulid(now_ms, secrets.token_bytes(RANDOM_BYTES)), notice=made.id,
            state="announced", recipient=recipient, contact=contact,
            new_purposes=said.new_purposes, announced_at_ms=now_ms,
            window_ends_ms=said.window_ends_ms)
        await store_handover.insert(transaction, handover)
        await audit.append(transaction, actor, "handover.announce", None, now_ms,
                           details={"handover": handover.id})
    return handover


async def cancel(db: Database, actor: Actor, handover_id: str, now_ms: int) -> Handover:
    """Call it off; its notice is taken down. Raises `role_needed`, `handover_state`."""
    _judge(actor)
    async with db.writing() as transaction:
        found = await store_handover.get(transaction, handover_id)
        ended = replace(found, state=advance(found.state, "cancel"))
        await store_handover.update(transaction, ended)
        await audit.append(transaction, actor, "handover.cancel", None, now_ms,
                           details={"handover": found.id})
        await notice.end(transaction, actor, found.notice, now_ms)
    return ended


async def listing(db: Database, actor: Actor) -> list[Handover]:
    """All handovers, newest first. Raises `role_needed`."""
    _judge(actor)
    async with db.reading() as transaction:
        return await store_handover.listing(transaction)


async def going(db: Database, actor: Actor, handover_id: str) -> tuple[Handover, list[str], int]:
    """A handover, the accounts that would go along now, and the mails that are not out yet."""
    _judge(actor)
    async with db.reading() as transaction:
        found = await store_handover.get(transaction, handover_id)
        accounts = await store_handover.going(transaction, found)
        return found, accounts, await store_handover.unsent(transaction, found)


async def bundle(
    db: Database, hand: Hand, handover_id: str, to: Recipient, now_ms: int,
    unread: dict[str, list[str]],
) -> AsyncIterator[bytes]:
    """The parcel of everybody who goes along, piece by piece; noted when it is whole. `unread`
    gets the documents that can be read no more, by account: the manifest has them too.

    Raises `role_needed`, `handover_early`, `handover_state`, `reason_missing`.
    """
    found, accounts, unsent = await going(db, hand.actor, handover_id)
    judge_bundle(found, now_ms, unsent)
    async with db.writing() as transaction:
        await audit.append(transaction, hand.actor, "handover.bundle", None, now_ms,
                           reason=hand.reason,
                           details={"handover": found.id, "accounts": len(accounts)})
    whole = hashlib.sha256()
    async for piece in parcel.pack(to, _zip(db, found, accounts, unread, now_ms)):
        whole.update(piece)
        yield piece
    async with db.writing() as transaction:
        # once more: it may have been called off, or bundled, meanwhile
        found = await store_handover.get(transaction, found.id)
        await store_handover.update(transaction, replace(
            found, state=advance(found.state, "bundle"), bundled_at_ms=now_ms,
            accounts=len(accounts), bundle_sha256=whole.hexdigest()))


async def _zip(
    db: Database, handover: Handover, accounts: list[str], unread: dict[str, list[str]],
    now_ms: int,
) -> AsyncIterator[bytes]:
    sink = Sink()
    head = {"format": FORMAT, "handover": handover.id, "recipient": handover.recipient,
            "new_purposes": handover.new_purposes, "made_at": rfc3339(now_ms),
            "accounts": accounts, "unread": unread}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(export.dated(export.SCHEMA_NAME), export.schema(), zipfile.ZIP_DEFLATED)
        async for _ in _each(db, archive, accounts, unread, now_ms):
            if taken := sink.take(export.PIECE_BYTES):
                yield taken
        archive.writestr(export.dated(export.MANIFEST_NAME),
                         orjson.dumps(head, option=orjson.OPT_INDENT_2), zipfile.ZIP_DEFLATED)
    yield sink.take()


async def _each(
    db: Database, archive: zipfile.ZipFile, accounts: list[str], unread: dict[str, list[str]],
    now_ms: int,
) -> AsyncIterator[int]:
    span = Span(0, now_ms + 1)
    for account_id in accounts:
        lost: list[str] = []
        async for rows in export.entries(db, archive, account_id, f"{account_id}/", span, lost):
            yield rows
        if lost:
            unread[account_id] = lost


def view(handover: Handover) -> dict[str, object]:
    """The handover as JSON shows it."""
    return {
        "id": handover.id, "notice": handover.notice, "state": handover.state,
        "recipient": handover.recipient, "contact": handover.contact,
        "new_purposes": handover.new_purposes,
        "announced_at": rfc3339(handover.announced_at_ms),
        "window_ends": rfc3339(handover.window_ends_ms),
        "bundled_at": rfc3339_or_none(handover.bundled_at_ms),
        "accounts": handover.accounts, "bundle_sha256": handover.bundle_sha256,
    }
