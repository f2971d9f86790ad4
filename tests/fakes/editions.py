"""Published documents for tests: short texts, in both languages."""

from __future__ import annotations

from typing import Any

from relayd.core.account import LANGUAGES
from relayd.core.document import DOCUMENT_NAMES, Edition, digest
from relayd.store import document as store_document
from relayd.store.db import Database


def edition(
    name: str = "privacy", version: int = 1, language: str = "en", **changes: Any,
) -> Edition:
    """An edition; each has a text of its own."""
    body = f"# {name} {version} {language}\n"
    fields = dict(
        name=name, version=version, language=language, body=body, digest=digest(body),
        kind="first" if version == 1 else "material", gate="none", summary="", items=(),
        published_at_ms=0, effective_at_ms=0)
    return Edition(**(fields | changes))


async def publish(db: Database, name: str = "privacy", version: int = 1, **changes: Any) -> None:
    """A version of one document in both languages."""
    async with db.writing() as transaction:
        await store_document.insert(
            transaction, [edition(name, version, each, **changes) for each in LANGUAGES])


async def publish_first(db: Database) -> None:
    """Version 1 of every document."""
    for name in DOCUMENT_NAMES:
        await publish(db, name)
