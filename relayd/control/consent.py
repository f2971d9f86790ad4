"""Consents: agree, withdraw, and what an account still has to agree to.

Law: what is recorded is the words that were served, by their hash. Nothing is assumed from
silence but the rows that say so, and required consents end with the account alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from relayd.control import audit
from relayd.core.actor import Actor
from relayd.core.consent import (
    ITEMS, REQUIRED, Act, Channel, Consent, Item, Served, in_force, missing,
)
from relayd.core.document import AGREED_NAMES, Edition
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339
from relayd.store import consent as store_consent
from relayd.store import document as store_document
from relayd.store.db import Database
from relayd.store.meta import bump_policy_version
from relayd.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Offer:
    """An item with the version whose words are shown beside its box."""

    item: Item
    edition: Edition

    def served(self, channel: Channel) -> Served:
        """The same as it is recorded."""
        edition = self.edition
        return Served(edition.name, edition.version, edition.digest, edition.language, channel)


@dataclass(frozen=True, slots=True)
class Standing:
    """An item as the account has it. `latest` is the last row about it."""

    item: Item
    holds: bool
    latest: Consent | None


@dataclass(frozen=True, slots=True)
class Owed:
    """Items of a document that its holder must still agree to. `for_keys`: no key before that."""

    edition: Edition
    items: tuple[str, ...]
    for_keys: bool


async def record(
    transaction: Transaction, account_id: str, item: str, served: Served, now_ms: int,
    act: Act = "explicit",
) -> None:
    """Add a row to the ledger. `item` is a name of core/consent.py."""
    if item not in ITEMS:
        raise AssertionError(f"{item} is not in the table of consents")
    await store_consent.insert(transaction, Consent(account_id, item, act, served, now_ms))


async def consented(
    transaction: Transaction, account_id: str, item: str, now_ms: int,
) -> bool:
    """Whether the item is in force for the account.

    What a gated version asks for anew is off until its holder agrees to that version.
    """
    latest = await store_consent.latest(transaction, account_id, item)
    return in_force(item, latest) and _fresh(
        item, latest, await store_document.gating(transaction, now_ms))


def _fresh(item: str, latest: Consent | None, gating: Iterable[Edition]) -> bool:
    agreed = latest.served.version if latest is not None and latest.act == "explicit" else 0
    return all(agreed >= edition.version for edition in gating if item in edition.items)


async def offers(transaction: Transaction, language: str, now_ms: int) -> list[Offer]:
    """Every item with the words in force, for a page that asks for them; none is ticked.

    Raises `document_not_found` where nothing is published.
    """
    return [await _offer(transaction, item, language, now_ms) for item in ITEMS.values()]


async def _offer(transaction: Transaction, item: Item, language: str, now_ms: int) -> Offer:
    found = await store_document.current(transaction, item.document, language, now_ms)
    if found is None:
        raise RelayError("document_not_found", param=item.document)
    return Offer(item, found)


async def register(
    transaction: Transaction, account_id: str, agreed: Collection[str], words: tuple[str, Channel],
    now_ms: int,
) -> None:
    """Record what somebody agreed to when the account was made; `words` are language and channel.

    Raises `consent_required` naming the first required item that is not there, and
    `invalid_value` for an item that is not in the table.
    """
    lacking = missing(agreed)
    if lacking:
        raise RelayError("consent_required", param=lacking[0])
    await _agree(transaction, account_id, agreed, words, now_ms)


async def agree(
    db: Database, actor: Actor, account_id: str, agreed: Collection[str],
    words: tuple[str, Channel], now_ms: int,
) -> None:
    """The account's holder agrees to these items, in the version in force."""
    async with db.writing() as transaction:
        await _agree(transaction, account_id, agreed, words, now_ms)
        for item in agreed:
            await audit.append(transaction, actor, "consent.give", account_id, now_ms,
                               details={"item": item})


async def _agree(
    transaction: Transaction, account_id: str, agreed: Iterable[str],
    words: tuple[str, Channel], now_ms: int,
) -> None:
    language, channel = words
    for name in agreed:
        if name not in ITEMS:
            raise RelayError("invalid_value", param="consent")
        offer = await _offer(transaction, ITEMS[name], language, now_ms)
        await record(transaction, account_id, name, offer.served(channel), now_ms)
        await _reach_relay(transaction, name)


async def _reach_relay(transaction: Transaction, item: str) -> None:
    """Where the relay goes by this item, it learns of a change within a second."""
    if item in store_consent.ROUTED:
        await bump_policy_version(transaction)


async def withdraw(
    db: Database, actor: Actor, account_id: str, item: str, channel: Channel, now_ms: int,
) -> None:
    """Withdraw one item. It works at once, and a second time changes nothing.

    Raises `consent_required` for what an account cannot be without: its holder closes it instead.
    """
    if item not in ITEMS:
        raise RelayError("invalid_value", param="consent")
    if item in REQUIRED:
        raise RelayError("consent_required", param=item)
    async with db.writing() as transaction:
        latest = await store_consent.latest(transaction, account_id, item)
        if not in_force(item, latest):
            return
        served = latest.served if latest else (
            await _offer(transaction, ITEMS[item], "en", now_ms)).served(channel)
        said = Served(served.document, served.version, served.digest, served.lang, channel)
        await record(transaction, account_id, item, said, now_ms, "withdrawn")
        await _reach_relay(transaction, item)
        await audit.append(transaction, actor, "consent.withdraw", account_id, now_ms,
                           details={"item": item})


async def standings(
    transaction: Transaction, account_id: str, now_ms: int,
) -> list[Standing]:
    """Every item as the account has it, in the table's order."""
    latest = {row.item: row for row in await store_consent.history(transaction, account_id)}
    gating = await store_document.gating(transaction, now_ms)
    return [
        Standing(item, in_force(name, row) and _fresh(name, row, gating), row)
        for name, item in ITEMS.items() for row in (latest.get(name),)]


async def history(db: Database, account_id: str) -> list[Consent]:
    """All that the account agreed to and withdrew, the oldest first."""
    async with db.reading() as transaction:
        return await store_consent.history(transaction, account_id)


async def owed(transaction: Transaction, account_id: str, now_ms: int) -> list[Owed]:
    """What the holder must agree to by themselves before they go on.

    Gated versions in force whose items they have not agreed to, and required items that they never
    agreed to, as where the shell made the account. Nothing before documents are published.
    """
    found: dict[str, Owed] = {}
    for edition in await store_document.gating(transaction, now_ms):
        lacking = await _lacking(transaction, account_id, edition.items, edition.version)
        if lacking:
            found[edition.name] = Owed(edition, lacking, edition.gate == "keys")
    for item in await _lacking(transaction, account_id, REQUIRED, 1):
        name = ITEMS[item].document
        before = found.get(name)
        words = before.edition if before else await store_document.current(
            transaction, name, "en", now_ms)
        items = before.items if before else ()
        if words is not None and item not in items:
            found[name] = Owed(words, (*items, item), True)
    return list(found.values())


async def _lacking(
    transaction: Transaction, account_id: str, items: Iterable[str], version: int,
) -> tuple[str, ...]:
    return tuple([
        item for item in items
        if not await store_consent.agreed_to(transaction, account_id, item, version)])


async def owing(db: Database, account_id: str, now_ms: int) -> list[Owed]:
    """`owed`, read by itself."""
    async with db.reading() as transaction:
        return await owed(transaction, account_id, now_ms)


async def check_keys(transaction: Transaction, account_id: str, now_ms: int) -> None:
    """Raises `consent_missing` where the holder must agree to something before making a key."""
    for each in await owed(transaction, account_id, now_ms):
        if each.for_keys:
            raise RelayError("consent_missing", param=each.items[0])


async def note_use(db: Database, account_id: str, now_ms: int) -> int:
    """Record that the account is used under versions its holder was told of; returns how many.

    Such a row says `accepted_by_use`: it is no explicit consent, and opens no gate.
    """
    async with db.reading() as transaction:
        news = await _unnoted(transaction, account_id, now_ms)
    if not news:
        return 0
    async with db.writing() as transaction:
        news = await _unnoted(transaction, account_id, now_ms)
        for edition in news:
            served = Served(edition.name, edition.version, edition.digest, edition.language, "use")
            await record(transaction, account_id, edition.name, served, now_ms, "accepted_by_use")
    return len(news)


async def _unnoted(transaction: Transaction, account_id: str, now_ms: int) -> list[Edition]:
    found = []
    for name in AGREED_NAMES:
        latest = await store_consent.latest(transaction, account_id, name)
        edition = await store_document.current(
            transaction, name, latest.served.lang if latest else "en", now_ms)
        if latest and edition and edition.gate == "none" \
                and edition.version > latest.served.version:
            found.append(edition)
    return found


def view(consent: Consent) -> dict[str, object]:
    """A row as JSON shows it."""
    served = consent.served
    return {
        "item": consent.item, "act": consent.act, "document": served.document,
        "version": served.version, "sha256": served.digest, "language": served.lang,
        "channel": served.channel, "at": rfc3339(consent.at_ms),
    }
