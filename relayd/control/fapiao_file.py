"""Files of fapiao: what is handed to who issues them, and what comes back.

Law: a file is kept when every field of it is what was applied for, and not otherwise. With the
file the state moves, in one transaction; a number is one fapiao's alone.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from relayd.control import audit, invoice
from relayd.control.fapiao import amount_text
from relayd.control.invoice import Seller
from relayd.control.issuer import Issuer
from relayd.core.actor import Actor
from relayd.core.amount_words import amount_words
from relayd.core.cell import cell
from relayd.core.errors import RelayError
from relayd.core.fapiao import FILE_BYTES_MAX, Fapiao, FileFormat, advance
from relayd.core.issued import Issued, difference, from_text, wanted
from relayd.core.vat import rate_text
from relayd.ops.pdf import text_of
from relayd.store import fapiao as store_fapiao
from relayd.store.db import Database
from relayd.store.directory import StoreError
from relayd.store.fapiao import FapiaoFilter
from relayd.store.transaction import Transaction
from relayd.wire.fapiao import read_ofd, read_xml, write_xml

EXPORTED_MAX: Final = 1000
COLUMNS: Final = (
    "id", "kind", "buyer_name", "buyer_uscc", "buyer_address", "buyer_phone", "buyer_bank",
    "buyer_bank_account", "item", "category", "rate", "net", "tax", "total", "words", "orders",
    "blue_number", "confirmation")
_READERS: Final[Mapping[FileFormat, Callable[[bytes], Issued]]] = {
    "xml": read_xml, "ofd": read_ofd}


@dataclass(frozen=True, slots=True)
class Item:
    """What is sold, as the tax platform names and numbers it."""

    name: str = ""
    category: str = ""


def format_of(content: bytes) -> FileFormat:
    """What a file is, by its first bytes. Raises `fapiao_file`."""
    if not content or len(content) > FILE_BYTES_MAX:
        raise RelayError("fapiao_file", param="size")
    head = content[:64].lstrip(b"\xef\xbb\xbf \r\n\t")
    if head.startswith(b"%PDF-"):
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return "ofd"
    if head.startswith(b"<"):
        return "xml"
    raise RelayError("fapiao_file", param="format")


async def _blue(transaction: Transaction, found: Fapiao) -> Fapiao | None:
    return None if found.reverses is None else await store_fapiao.get(transaction, found.reverses)


async def take_in(
    db: Database, actor: Actor, fapiao_id: str, content: bytes, seller: Seller, now_ms: int,
) -> Fapiao:
    """Verify a file field by field and keep it; the first one says that it was issued.

    Raises `fapiao_file`; `fapiao_mismatch` with the field that differs; `fapiao_state`.
    """
    return await take_in_all(db, actor, fapiao_id, [content], seller, now_ms)


async def take_in_all(
    db: Database, actor: Actor, fapiao_id: str, contents: Sequence[bytes], seller: Seller,
    now_ms: int,
) -> Fapiao:
    """The same for one fapiao in several formats: all of them are kept, or none.

    Also raises `fapiao_file` for none, and for two of one format.
    """
    kinds = [format_of(content) for content in contents]
    if not kinds:
        raise RelayError("fapiao_file", param="file")
    if len(set(kinds)) < len(kinds):
        raise RelayError("fapiao_file", param="twice")
    async with db.reading() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
        want = wanted(found, seller.block(), await _blue(transaction, found))
    says = [await _verified(kind, content, want)
            for kind, content in zip(kinds, contents, strict=True)]
    try:
        async with db.writing() as transaction:
            # once more: another process may have taken the same in meanwhile
            kept = before = await store_fapiao.get(transaction, fapiao_id)
            for each, kind, content in zip(says, kinds, contents, strict=True):
                kept = await _keep(
                    transaction, actor, fapiao_id, each, (kind, content), now_ms)
            if before.number is None and kept.reverses is None:
                await invoice.tell(transaction, seller, kept.account, "fapiao_ready", {
                    "number": says[0].number, "link": f"{seller.origin}/fapiao/{kept.id}"},
                    now_ms)
            return kept
    except StoreError as error:
        if error.code != "store_refused":
            raise
        raise RelayError("fapiao_mismatch", param="number") from None


async def _verified(kind: FileFormat, content: bytes, want: Issued) -> Issued:
    """What a file says, which is what it has to say."""
    if kind == "pdf":
        says = from_text(await text_of(content), want)
    else:
        # on a thread: it may unpack to some megabytes, and calls are relayed meanwhile
        says = await asyncio.to_thread(_READERS[kind], content)
    differs = difference(says, want)
    if differs is not None:
        raise RelayError("fapiao_mismatch", param=differs)
    return says


async def _keep(
    transaction: Transaction, actor: Actor, fapiao_id: str, says: Issued,
    file: tuple[FileFormat, bytes], now_ms: int,
) -> Fapiao:
    found = await store_fapiao.get(transaction, fapiao_id)
    if found.number is None:
        found = replace(found, state=advance(found.state, "issue"), number=says.number,
                        issued_on=says.issued_on)
        await store_fapiao.update(transaction, found)
        if found.reverses is not None:
            await _reversed(transaction, found.reverses)
    elif found.number != says.number or found.issued_on != says.issued_on:
        raise RelayError("fapiao_mismatch", param="number")
    await store_fapiao.put_file(transaction, found, *file, now_ms)
    await audit.append(transaction, actor, "fapiao.import", found.account, now_ms,
                       details={"fapiao": found.id, "number": says.number, "format": file[0]})
    return found


async def _reversed(transaction: Transaction, blue_id: str) -> None:
    """A red one was issued: its blue one is taken back, or a part of it."""
    blue = await store_fapiao.get(transaction, blue_id)
    left = await store_fapiao.unreversed(transaction, blue_id)
    await store_fapiao.update(transaction, replace(
        blue, state=advance(blue.state, "reverse_part" if left else "reverse_all")))


async def send(
    db: Database, actor: Actor, issuer: Issuer, fapiao_id: str, seller: Seller, now_ms: int,
) -> Fapiao:
    """Hand one to its issuer, and take in what comes back at once.

    Asking again is harmless. Raises `fapiao_state`, and what the issuer raises.
    """
    async with db.writing() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
        if found.state not in ("issuing", "red_confirming"):
            found = replace(found, state=advance(found.state, "send"))
            await store_fapiao.update(transaction, found)
            await audit.append(transaction, actor, "fapiao.export", found.account, now_ms,
                               details={"fapiao": found.id})
        blue = await _blue(transaction, found)
    for file in await issuer.issue(found, seller.block(), blue, now_ms):
        found = await take_in(db, actor, found.id, file.content, seller, now_ms)
    return found


async def export(
    db: Database, actor: Actor, item: Item, now_ms: int,
) -> list[dict[str, str]]:
    """Everything that waits for the bookkeeper, as rows of COLUMNS; applications that were taken
    up are at the issuer's from now on."""
    rows = []
    async with db.writing() as transaction:
        found = await store_fapiao.listing(
            transaction, FapiaoFilter(states=("reviewing", "issuing", "red_confirming")),
            EXPORTED_MAX)
        for each in found:
            if each.state == "reviewing":
                await store_fapiao.update(transaction, replace(
                    each, state=advance(each.state, "send")))
            await audit.append(transaction, actor, "fapiao.export", each.account, now_ms,
                               details={"fapiao": each.id})
            rows.append(_row(each, item, await _blue(transaction, each)))
    return rows


def _row(each: Fapiao, item: Item, blue: Fapiao | None) -> dict[str, str]:
    buyer = {f"buyer_{name}": value for name, value in each.buyer.items()}
    values = {
        **buyer, "id": each.id, "kind": each.kind, "item": item.name, "category": item.category,
        "rate": rate_text(each.vat_rate), "net": amount_text(each.taxed.net),
        "tax": amount_text(each.taxed.tax), "total": amount_text(each.taxed.total),
        "words": amount_words(each.amount_minor),
        "orders": " ".join(share.order for share in each.shares),
        "blue_number": (blue and blue.number) or "", "confirmation": each.confirmation or ""}
    return {name: values.get(name, "") for name in COLUMNS}


def as_csv(rows: list[dict[str, str]]) -> bytes:
    """The rows as CSV. What buyers say of themselves is no formula; an amount below zero is no
    text. The mark at its beginning is for Excel, which takes it for GBK otherwise."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: cell(value) if name.startswith("buyer_") else value
                         for name, value in row.items()})
    return out.getvalue().encode("utf-8-sig")


async def as_xml(
    db: Database, found: Fapiao, seller: Seller, item: Item,
) -> bytes:
    """One as the XML that its issuer fills in: without number and date."""
    async with db.reading() as transaction:
        want = wanted(found, seller.block(), await _blue(transaction, found))
    return write_xml(want, ((item.name, rate_text(found.vat_rate)),))


async def deliver(
    db: Database, actor: Actor, account: str, fapiao_id: str, kind: FileFormat, now_ms: int,
) -> bytes:
    """The file of one's own fapiao; the first time says that it arrived. Raises
    `fapiao_not_found`."""
    async with db.writing() as transaction:
        found = await store_fapiao.get(transaction, fapiao_id)
        files = await store_fapiao.files(transaction, found)
        if found.account != account or kind not in files:
            raise RelayError("fapiao_not_found", param="fapiao")
        if found.state == "issued":
            await store_fapiao.update(transaction, replace(
                found, state=advance(found.state, "deliver")))
            await audit.append(transaction, actor, "fapiao.deliver", account, now_ms,
                               details={"fapiao": found.id, "format": kind})
    return files[kind]


async def formats(db: Database, found: Fapiao) -> list[FileFormat]:
    """The formats in which one's file is there."""
    async with db.reading() as transaction:
        return list(await store_fapiao.files(transaction, found))
