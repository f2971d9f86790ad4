"""Answers: a page from a template, a redirect after a form, JSON for a program.

Law: templates escape everything and know no undefined name; no inline script or style, so that
the content security policy needs no exception.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Final
from urllib.parse import urlencode

import jinja2
import msgspec
from aiohttp import web

from relayd import __version__
from relayd.console.amount import cost, money, took
from relayd.console.visit import Visit
from relayd.core.timestamp import rfc3339

STATIC_PREFIX: Final = "/static/"
HASH_CHARS: Final = 12
MEDIA_TYPES: Final = {
    "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "png": "image/png",
    "ico": "image/x-icon", "woff2": "font/woff2",
}
_encoder: Final = msgspec.json.Encoder()


@cache
def static_files() -> Mapping[str, tuple[bytes, str]]:
    """Files that the pages need, by their name with a hash of their content: (bytes, type)."""
    found = {}
    for file in (resources.files("relayd.console") / "static").iterdir():
        stem, _, suffix = file.name.rpartition(".")
        if suffix in MEDIA_TYPES:
            content = file.read_bytes()
            mark = hashlib.sha256(content).hexdigest()[:HASH_CHARS]
            found[f"{stem}.{mark}.{suffix}"] = (content, MEDIA_TYPES[suffix])
    return found


@cache
def static(name: str) -> str:
    """The path of a static file."""
    stem, _, suffix = name.rpartition(".")
    for hashed in static_files():
        if hashed.startswith(f"{stem}.") and hashed.endswith(f".{suffix}") and len(
                hashed) == len(name) + HASH_CHARS + 1:
            return STATIC_PREFIX + hashed
    raise AssertionError(f"no static file {name}")


def _number(value: int) -> str:
    """1,234,567: as both languages write it."""
    return f"{value:,}"


def _day(at_ms: int | None) -> str:
    return "" if at_ms is None else rfc3339(at_ms)[:10]


def _moment(at_ms: int | None) -> str:
    """2026-11-29 12:00 UTC."""
    return "" if at_ms is None else f"{rfc3339(at_ms)[:16].replace('T', ' ')} UTC"


def _second(at_ms: int | None) -> str:
    """2026-11-29 12:00:05, where the column says that it is UTC."""
    return "" if at_ms is None else rfc3339(at_ms)[:19].replace("T", " ")


def _older(asked: msgspec.Struct, before: str) -> str:
    """The query of a list's next page: what was asked for, before its last line."""
    given = {name: value for name, value in msgspec.structs.asdict(asked).items() if value}
    return f"?{urlencode({**given, 'before': before})}"


@cache
def environment() -> jinja2.Environment:
    """The templates of `relayd/console/templates/`, each compiled once."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("relayd.console"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        auto_reload=False)
    made.globals.update(static=static, version=__version__)
    made.filters.update(
        number=_number, day=_day, moment=_moment, second=_second, money=money, cost=cost,
        took=took, older=_older)
    return made


def page(visit: Visit, template: str, /, status: int = 200, **values: object) -> web.Response:
    """A page. The template gets `visit`, `t`, `here` (the path), and `values`."""
    html = environment().get_template(template).render(
        visit=visit, t=visit.t, here=visit.request.path, **values)
    return web.Response(text=html, status=status, content_type="text/html", charset="utf-8")


def options(visit: Visit, texts: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """What a filter offers: everything, then each of these, whose texts begin so."""
    return [("", visit.t("frame.all")), *((name, visit.t(texts + name)) for name in names)]


def redirect(path: str) -> web.Response:
    """To another page of this console, as GET (RFC 9110 section 15.4.4)."""
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise AssertionError("redirects stay here")
    return web.Response(status=303, headers={"Location": path})


def reply(value: object, status: int = 200) -> web.Response:
    """JSON for a program."""
    return web.Response(body=_encoder.encode(value), status=status,
                        content_type="application/json")


def nothing() -> web.Response:
    """204: done, and there is nothing to say."""
    return web.Response(status=204)
