"""Documents: publish a version, and serve every one there ever was.

Law: a published version does not change. What somebody agrees to is published by a person, with
what changed; documents that only tell facts follow the facts by themselves. A material version is
announced on every page and by mail, and gates what it says until its items are agreed to. Nothing
that somebody agrees to is in force before the version that it follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from relayd.control import audit, notice
from relayd.control.document_text import Drafts
from relayd.core.account import LANGUAGES
from relayd.core.actor import SYSTEM, Actor
from relayd.core.consent import ITEMS
from relayd.core.document import (
    AGREED_NAMES, DOCUMENT_NAMES, Edition, Gate, Sign, VersionKind, changes, digest,
)
from relayd.core.errors import RelayError
from relayd.core.timestamp import DAY_MS, rfc3339
from relayd.store import document as store_document
from relayd.store.db import Database
from relayd.store.meta import bump_policy_version
from relayd.store.transaction import Transaction

NOTICE_DAYS = 30
"""How long the banner of a material version stands after it took effect."""
IN_FORCE = "the policy in force"
"""Beside the names of gated documents."""
FACTS_CHANGED = {"en": "The facts that it tells have changed.", "zh": "其所述事实有变化。"}


@dataclass(frozen=True, slots=True)
class Release:
    """How a version is published. `summaries`: what changed, by language; `items`: consents that
    are asked for anew; a gate without items asks for the document's own."""

    kind: VersionKind
    summaries: dict[str, str]
    effective_at_ms: int
    gate: Gate = "none"
    items: tuple[str, ...] = ()


async def publish(
    db: Database, actor: Actor, name: str, drafts: Drafts, release: Release, now_ms: int,
) -> Edition:
    """Publish the draft of a document; returns it in English.

    Raises `document_not_found` for another name, `document_state` where the draft is what was
    published last, `invalid_value` for an item that the document has no words for, or an
    editorial version with a gate.
    """
    if name not in DOCUMENT_NAMES:
        raise RelayError("document_not_found", param="document")
    release = _checked(name, release)
    async with db.writing() as transaction:
        if not await _differs(transaction, name, drafts):
            raise RelayError("document_state", param="document")
        return await _put(transaction, actor, name, drafts, release, now_ms)


async def _put(
    transaction: Transaction, actor: Actor, name: str, drafts: Drafts, release: Release,
    now_ms: int,
) -> Edition:
    newest = await store_document.newest(transaction, name, "en")
    if newest is not None and name in AGREED_NAMES:
        # it has the words of the one before, which was announced for its day
        release = replace(release, effective_at_ms=max(
            release.effective_at_ms, newest.effective_at_ms))
    editions = _editions(name, newest, drafts, release, now_ms)
    await store_document.insert(transaction, editions)
    await audit.append(transaction, actor, "document.publish", None, now_ms, details={
        "document": name, "version": editions[0].version, "kind": editions[0].kind,
        "gate": editions[0].gate})
    if editions[0].kind == "material":
        await _announce(transaction, actor, editions, now_ms)
    return editions[0]


def _checked(name: str, release: Release) -> Release:
    if release.kind != "material":
        if release.gate != "none" or release.items:
            raise RelayError("invalid_value", param="gate")
        return release
    items = release.items
    if not items and release.gate != "none":
        items = (name,)
    for item in items:
        if item not in ITEMS or ITEMS[item].document != name:
            raise RelayError("invalid_value", param="items")
    gate: Gate = "console" if items and release.gate == "none" else release.gate
    if not all(release.summaries.get(language, "").strip() for language in LANGUAGES):
        raise RelayError("invalid_value", param="summary")
    return Release(release.kind, release.summaries, release.effective_at_ms, gate, items)


def _editions(
    name: str, newest: Edition | None, drafts: Drafts, release: Release, now_ms: int,
) -> list[Edition]:
    """The new version in each language. The first one is `first`, whatever was asked for."""
    first = newest is None
    return [
        Edition(
            name=name, version=1 if newest is None else newest.version + 1, language=language,
            body=drafts[name][language], digest=digest(drafts[name][language]),
            kind="first" if first else release.kind, gate="none" if first else release.gate,
            summary=release.summaries.get(language, ""),
            items=() if first else release.items, published_at_ms=now_ms,
            effective_at_ms=now_ms if first else max(now_ms, release.effective_at_ms))
        for language in LANGUAGES]


async def _announce(
    transaction: Transaction, actor: Actor, editions: Sequence[Edition], now_ms: int,
) -> None:
    one = editions[0]
    fields = {"document": one.name, "version": str(one.version),
              "effective": rfc3339(one.effective_at_ms)[:10],
              **{f"summary_{each.language}": each.summary for each in editions}}
    ends_at_ms = one.effective_at_ms + NOTICE_DAYS * DAY_MS
    await notice.publish(transaction, actor, "document", fields, (now_ms, ends_at_ms), now_ms)


async def _differs(transaction: Transaction, name: str, drafts: Drafts) -> bool:
    """Whether the draft is another text than what was published last, in any language."""
    for language in LANGUAGES:
        newest = await store_document.newest(transaction, name, language)
        if newest is None or newest.body != drafts[name][language]:
            return True
    return False


async def settle(db: Database, drafts: Drafts, now_ms: int) -> list[str]:
    """Publish what needs nobody's decision: first versions, and facts that changed.

    Returns the names of documents that differ from their draft and need one.
    """
    async with db.reading() as transaction:
        ready, waiting = await _differing(transaction, drafts)
    if ready:
        async with db.writing() as transaction:
            # once more: another process of this store may have been first
            ready, waiting = await _differing(transaction, drafts)
            for name in ready:
                newest = await store_document.newest(transaction, name, "en")
                release = Release("editorial", {} if newest is None else FACTS_CHANGED, now_ms)
                await _put(transaction, SYSTEM, name, drafts, release, now_ms)
    return waiting


async def _differing(transaction: Transaction, drafts: Drafts) -> tuple[list[str], list[str]]:
    """Documents whose draft is new: those to publish as they are, those that wait for somebody."""
    ready: list[str] = []
    waiting: list[str] = []
    for name in DOCUMENT_NAMES:
        if await _differs(transaction, name, drafts):
            first = await store_document.newest(transaction, name, "en") is None
            (ready if first or name not in AGREED_NAMES else waiting).append(name)
    return ready, waiting


async def take_effect(db: Database, known: Mapping[str, int], now_ms: int) -> dict[str, int]:
    """The gated versions in force by document, and that of the privacy policy; where they are
    others than those known before, the relay is told: it goes by a consent that may be asked for
    anew, and names the policy in its answers."""
    async with db.reading() as transaction:
        found = {each.name: each.version
                 for each in await store_document.gating(transaction, now_ms)}
        version = await store_document.policy_in_force(transaction, now_ms)
    if version:
        found[IN_FORCE] = version
    if found != known:
        async with db.writing() as transaction:
            await bump_policy_version(transaction)
    return found


async def differing(db: Database, name: str, drafts: Drafts) -> bool:
    """Whether there is something to publish."""
    async with db.reading() as transaction:
        return await _differs(transaction, name, drafts)


async def current(db: Database, name: str, language: str, now_ms: int) -> Edition:
    """The version in force. Raises `document_not_found`."""
    async with db.reading() as transaction:
        found = await store_document.current(transaction, name, language, now_ms)
    return _found(found)


async def get(db: Database, name: str, version: int, language: str) -> Edition:
    """This version, in force or not. Raises `document_not_found`."""
    async with db.reading() as transaction:
        found = await store_document.get(transaction, name, version, language)
    return _found(found)


def _found(edition: Edition | None) -> Edition:
    if edition is None:
        raise RelayError("document_not_found", param="document")
    return edition


async def listing(db: Database, language: str) -> list[Edition]:
    """Every version of every document, by name, the newest first."""
    async with db.reading() as transaction:
        return await store_document.listing(transaction, language)


async def compared(
    db: Database, name: str, versions: tuple[int, int], language: str,
) -> list[tuple[Sign, str] | None]:
    """What changed from one version to the other. Raises `document_not_found`."""
    before = await get(db, name, versions[0], language)
    after = await get(db, name, versions[1], language)
    return changes(before.body, after.body)


async def policy_version(db: Database, now_ms: int) -> int:
    """The number of the privacy policy in force, which answers carry; 0 before the first."""
    async with db.reading() as transaction:
        return await store_document.policy_in_force(transaction, now_ms)


def view(edition: Edition) -> dict[str, object]:
    """A version as JSON shows it, without its text."""
    return {
        "document": edition.name, "version": edition.version, "language": edition.language,
        "sha256": edition.digest, "kind": edition.kind, "gate": edition.gate,
        "items": list(edition.items), "summary": edition.summary,
        "published_at": rfc3339(edition.published_at_ms),
        "effective_at": rfc3339(edition.effective_at_ms),
    }
