"""Documents: the policy and the others, every version, what changed, and the cookies.

Law: public, in both languages, without a sign-in. The date at the top is the version's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

import msgspec
from aiohttp import web

from relayd.console import cookie, texts
from relayd.console.page import page, redirect, reply
from relayd.console.route import PUBLIC, Route
from relayd.console.visit import Visit
from relayd.control import document
from relayd.control.document_text import Cookies, CookieWords
from relayd.core.account import LANGUAGES, Language
from relayd.core.document import DOCUMENT_NAMES, Edition, blocks, spans
from relayd.core.errors import RelayError
from relayd.core.timestamp import rfc3339

_EXAMPLE: Final = {"document": "privacy"}
VERSION_HEADER: Final = "Relay-Policy-Version"
Version = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]


class WhichVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version; without it the one in force."""

    version: Version | None = None


class WhichTwo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two versions to compare; without them the newest with the one before it."""

    before: Version | None = None
    after: Version | None = None


class WhichText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version and a language; without them the one in force, in English."""

    version: Version | None = None
    language: Language = "en"


class DocumentVersion(msgspec.Struct, frozen=True):
    """A version of a document. `sha256` is of its text in UTF-8."""

    document: str
    version: int
    language: str
    sha256: str
    kind: str
    gate: str
    items: list[str]
    summary: str
    published_at: str
    effective_at: str


class DocumentText(msgspec.Struct, frozen=True):
    """A version with its text."""

    version: DocumentVersion
    text: str


def cookie_words() -> Cookies:
    """The table of console/cookie.py in words, for the cookie page."""
    return {language: [_cookie_words(each, language) for each in cookie.COOKIES]
            for language in LANGUAGES}


def _cookie_words(row: cookie.Cookie, language: Language) -> CookieWords:
    def t(name: str, **values: object) -> str:
        return texts.text(language, name, **values)

    life = t("documents.cookie_days", days=row.days) if row.days else t("documents.cookie_session")
    return CookieWords(row.name, t(row.purpose), life,
                       t("documents.no") if row.secret else t("documents.yes"))


def identity(visit: Visit) -> Sequence[str]:
    """Who operates this service, at the foot of every page."""
    operator = visit.services.config().operator
    name = operator.said("name", visit.language)
    lines = [visit.t("documents.operated_by", name=name)] if name else []
    if operator.icp:
        lines.append(operator.icp)
    return lines


async def headers(visit: Visit) -> Mapping[str, str]:
    """What answers to programs carry: the number of the policy in force, once there is one."""
    version = await document.policy_version(visit.db, visit.now_ms)
    return {VERSION_HEADER: str(version)} if version else {}


async def show_all(visit: Visit) -> web.Response:
    """The list of documents, each with its versions."""
    editions = await document.listing(visit.db, visit.language)
    by_name = {name: [each for each in editions if each.name == name] for name in DOCUMENT_NAMES}
    return page(visit, "legal/documents.html", documents=by_name)


async def show_one(visit: Visit) -> web.Response:
    """One document, in the version in force or another."""
    name = _name(visit)
    wanted = visit.ask(WhichVersion).version
    in_force = await document.current(visit.db, name, visit.language, visit.now_ms)
    edition = in_force if wanted is None else await document.get(
        visit.db, name, wanted, visit.language)
    versions = [each for each in await document.listing(visit.db, visit.language)
                if each.name == name]
    return page(visit, "legal/document.html", edition=edition, in_force=in_force,
                versions=versions, blocks=list(blocks(edition.body)))


def _name(visit: Visit) -> str:
    name = visit.name("document")
    if name not in DOCUMENT_NAMES:
        raise RelayError("document_not_found", param="document")
    return name


async def show_changes(visit: Visit) -> web.Response:
    """What changed between two versions."""
    name, asked = _name(visit), visit.ask(WhichTwo)
    versions = [each for each in await document.listing(visit.db, visit.language)
                if each.name == name]
    if not versions:
        raise RelayError("document_not_found", param="document")
    after = asked.after or versions[0].version
    before = asked.before or max(1, after - 1)
    found = await document.compared(visit.db, name, (before, after), visit.language)
    lines = [each and (each[0], spans(each[1].lstrip("#- "))) for each in found]
    summary = next((each.summary for each in versions if each.version == after), "")
    return page(visit, "legal/changes.html", name=name, before=before, after=after, lines=lines,
                summary=summary)


async def clear_cookies(visit: Visit) -> web.Response:
    """Takes every cookie of the table from the browser."""
    response = redirect("/legal/cookies")
    for each in cookie.COOKIES:
        cookie.drop(response, each, visit.secure)
    return response


async def api_all(visit: Visit) -> web.Response:
    """Every version, without its text."""
    return reply([_shown(each) for each in await document.listing(visit.db, "en")])


async def api_one(visit: Visit) -> web.Response:
    """A version with its text."""
    asked = visit.ask(WhichText)
    name = _name(visit)
    if asked.version is None:
        edition = await document.current(visit.db, name, asked.language, visit.now_ms)
    else:
        edition = await document.get(visit.db, name, asked.version, asked.language)
    return reply(DocumentText(_shown(edition), edition.body))


def _shown(edition: Edition) -> DocumentVersion:
    return DocumentVersion(
        edition.name, edition.version, edition.language, edition.digest, edition.kind,
        edition.gate, list(edition.items), edition.summary, rfc3339(edition.published_at_ms),
        rfc3339(edition.effective_at_ms))


ROUTES: Final = (
    Route("GET", "/legal", show_all, PUBLIC, "Documents and their versions"),
    Route("GET", "/legal/{document}", show_one, PUBLIC, "A document", asks=WhichVersion,
          example=_EXAMPLE, errors=("document_not_found",)),
    Route("GET", "/legal/{document}/changes", show_changes, PUBLIC, "What changed in a document",
          asks=WhichTwo, example=_EXAMPLE, errors=("document_not_found",)),
    Route("POST", "/cookies/clear", clear_cookies, PUBLIC, "Delete all cookies"),
    Route("GET", "/api/v1/documents", api_all, PUBLIC, "Documents and their versions",
          gives=list[DocumentVersion]),
    Route("GET", "/api/v1/documents/{document}", api_one, PUBLIC, "A document's text",
          asks=WhichText, gives=DocumentText, example=_EXAMPLE, errors=("document_not_found",)),
)
