"""Calls: the records of one's own calls, with filters, page by page, and as files.

Law: metadata only, and the page says so: a record has no field for what was said.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from relayd.console.export import Format, attachment, csv_lines, streamed
from relayd.console.page import options, page, reply
from relayd.console.period import Link, span_links
from relayd.console.route import HOLDER, Route
from relayd.console.visit import Visit
from relayd.control import call, key, series
from relayd.control.usage import view
from relayd.core.call import OUTCOMES, CallSearch, Place, parse_place
from relayd.core.record import CallRecord
from relayd.core.series import Span, lines, period
from relayd.core.timestamp import DAY_MS, parse_past

_EXAMPLE: Final = {"place": "1a3185c5000_01KDVBXH2Q7ZC4M9T8WJRS5XNY"}


class CallsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls a page shows; None: all. `before` is where an older page begins."""

    span: Span = "7d"
    model: str | None = None
    key: str | None = None
    outcome: str | None = None
    before: str | None = None


class CallsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls a file holds."""

    span: Span = "30d"
    model: str | None = None
    key: str | None = None
    outcome: str | None = None
    format: Format = "csv"


class CallsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which calls a program wants. Times are dates, times, or spans before now."""

    since: str = "7d"
    until: str | None = None
    model: str | None = None
    key: str | None = None
    outcome: str | None = None
    before: str | None = None
    limit: int = call.PAGE_CALLS


class Call(msgspec.Struct, frozen=True):
    """A call's record, as the contract has it, and its place for links."""

    place: str
    id: str
    started_at: str
    account: str
    key: str
    app: str | None
    api: str
    endpoint: str
    model: str | None
    provider: str | None
    provider_model: str | None
    stream: bool
    status: int
    outcome: str
    error: str | None
    attempts: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    counted_input_tokens: int | None
    counted_output_tokens: int | None
    usage_source: str
    amount_nano: int
    currency: str
    first_byte_ms: float | None
    duration_ms: float | None


class Calls(msgspec.Struct, frozen=True):
    """A page of calls, the newest first; `next` is what `before` takes for the following one."""

    calls: list[Call]
    next: str | None


NAMES: Final = Call.__struct_fields__


def shown(record: CallRecord) -> Call:
    """The record for programs."""
    return msgspec.convert(_told(record), Call)


def _search(visit: Visit, asked: CallsQuery | CallsFile) -> CallSearch:
    wanted = period(asked.span, visit.now_ms)
    return CallSearch(visit.account, wanted.since_ms, wanted.until_ms, asked.key, asked.model,
                      asked.outcome)


def _before(text: str | None) -> Place | None:
    return None if text is None else parse_place(text)


async def show(visit: Visit) -> web.Response:
    """The page."""
    asked = visit.ask(CallsQuery)
    found = await call.page(visit.db, _search(visit, asked), _before(asked.before))
    kept = {name: value for name, value in (
        ("model", asked.model), ("key", asked.key), ("outcome", asked.outcome)) if value}
    query = {"span": asked.span, **kept}
    older = found.next and f"/calls?{urlencode({**query, 'before': found.next.text()})}"
    return page(
        visit, "use/calls.html", asked=asked, calls=found.calls, older=older,
        newest=f"/calls?{urlencode(query)}" if asked.before else None, place=_place,
        spans=span_links(visit, "/calls", asked.span, **kept), files=_files(query),
        names=await _names(visit, *found.calls),
        **await _choices(visit, asked))


def _place(record: CallRecord) -> str:
    return Place(record.started_at_ms, record.id).text()


def _files(query: dict[str, str]) -> list[Link]:
    return [Link(f"/calls/export?{urlencode({**query, 'format': kind})}", kind.upper(), False)
            for kind in ("csv", "json")]


async def _choices(visit: Visit, asked: CallsQuery) -> dict[str, Any]:
    """What the filters offer: models that were called in the period, keys, outcomes."""
    wanted = period(asked.span, visit.now_ms)
    points = await series.points(visit.db, visit.account, wanted, "model")
    keys = await key.shown(visit.db, visit.account)
    every = [("", visit.t("frame.all"))]
    return {
        "models": every + [(line.name, line.name) for line in lines(points) if line.name],
        "keys": every + [(each.id, f"{each.name} ({each.hint[-7:]})") for each in keys],
        "outcomes": options(visit, "calls.outcome_", OUTCOMES),
    }


async def _names(visit: Visit, *calls: CallRecord) -> dict[str, str]:
    """The names of the keys of these calls."""
    keys = await key.some(visit.db, visit.account, {each.key for each in calls})
    return {each.id: each.name for each in keys}


async def show_one(visit: Visit) -> web.Response:
    """All that is kept of one call, and how its amount came to be."""
    record = await call.get(visit.db, visit.account, parse_place(visit.name("place")))
    names = await _names(visit, record)
    return page(visit, "use/call.html", call=record, fields=_fields(record),
                key_name=names.get(record.key, record.key))


def _fields(record: CallRecord) -> list[tuple[str, object]]:
    found = view(record)
    return [(name, str(value).lower() if isinstance(value, bool) else value)
            for name, value in found.items() if value is not None]


async def _pieces(visit: Visit, search: CallSearch, kind: Format) -> AsyncIterator[bytes]:
    """The file, some records at a time."""
    if kind == "csv":
        yield csv_lines([NAMES])
    async for records in call.pages(visit.db, search):
        found = map(_told, records)
        yield msgspec.json.Encoder().encode_lines(found) if kind == "json" else csv_lines(
            each.values() for each in found)


def _told(record: CallRecord) -> dict[str, object]:
    """The fields of `Call`, in their order."""
    return {"place": Place(record.started_at_ms, record.id).text(), **view(record)}


async def export(visit: Visit) -> web.StreamResponse:
    """The calls as a file: a table, or JSON with one call a line."""
    asked = visit.ask(CallsFile)
    ending = "csv" if asked.format == "csv" else "jsonl"
    response = web.StreamResponse(headers=attachment(f"calls-{asked.span}.{ending}"))
    response.content_type = "text/csv" if asked.format == "csv" else "application/jsonl"
    response.charset = "utf-8"
    return await streamed(
        visit.request, response, _pieces(visit, _search(visit, asked), asked.format))


async def give(visit: Visit) -> web.Response:
    """A page of calls."""
    asked = visit.ask(CallsAsked)
    until_ms = visit.now_ms + DAY_MS
    if asked.until is not None:
        until_ms = parse_past(asked.until, visit.now_ms, "until")
    search = CallSearch(
        visit.account, parse_past(asked.since, visit.now_ms, "since"), until_ms,
        asked.key, asked.model, asked.outcome)
    most = min(max(asked.limit, 1), call.PAGE_CALLS_MAX)
    found = await call.page(visit.db, search, _before(asked.before), most)
    return reply(Calls([shown(record) for record in found.calls],
                       None if found.next is None else found.next.text()))


async def give_one(visit: Visit) -> web.Response:
    """One call."""
    place = parse_place(visit.name("place"))
    return reply(shown(await call.get(visit.db, visit.account, place)))


ROUTES: Final = (
    Route("GET", "/calls", show, HOLDER, "Calls, the newest first.", asks=CallsQuery),
    Route("GET", "/calls/export", export, HOLDER, "The same as a file.", asks=CallsFile),
    Route("GET", "/calls/{place}", show_one, HOLDER, "One call.", example=_EXAMPLE),
    Route("GET", "/api/v1/calls", give, HOLDER, "Calls of the account, the newest first.",
          asks=CallsAsked, gives=Calls, errors=("invalid_time", "invalid_value")),
    Route("GET", "/api/v1/calls/{place}", give_one, HOLDER, "One call.", gives=Call,
          errors=("call_not_found", "invalid_value"), example=_EXAMPLE),
)
