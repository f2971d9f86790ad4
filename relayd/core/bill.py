"""A provider's own account of what was used, read from the files that providers export.

Pure: text in, lines out. Known forms, by their columns or keys:

* OpenAI: the usage export of the dashboard (CSV or TSV) and the JSON of
  `GET /v1/organization/usage/completions` (platform.openai.com/docs/api-reference/usage).
* Anthropic: the usage CSV of the console, and the JSON of
  `GET /v1/organizations/usage_report/messages` (docs.anthropic.com, Usage and Cost API).

Law: a file that is not wholly understood is refused with the line at fault; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import orjson

from relayd.core.errors import RelayError
from relayd.core.provider import Api
from relayd.core.timestamp import DAY_MS, UNIX_MS_END, parse_past, rfc3339, span_ms
from relayd.core.usage import TOKENS_MAX

BILL_BYTES_MAX: Final = 256 * 1024 * 1024

BillForm = Literal["openai-csv", "openai-json", "anthropic-csv", "anthropic-json"]
_DATED: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})\Z")
_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_BOM: Final = "\ufeff"


class BillLine(NamedTuple):
    """What a provider says of one model on one day (UTC). `calls` None: it does not say.

    Input counts include cached and cache-written tokens, whatever the file's own convention.
    """

    day_ms: int
    model: str
    calls: int | None
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int


class Bill(NamedTuple):
    """A whole file."""

    form: BillForm
    api: Api
    lines: tuple[BillLine, ...]


class _Columns(NamedTuple):
    """Which columns or keys of a form hold what. Several names of a figure are added up."""

    form: BillForm
    api: Api
    start: str
    model: str
    calls: str | None
    input: tuple[str, ...]
    output: tuple[str, ...]
    cache_read: tuple[str, ...]
    cache_creation: tuple[str, ...]


OPENAI: Final = _Columns(
    "openai-csv", "openai", "start_time", "model", "num_model_requests",
    ("input_tokens",), ("output_tokens",), ("input_cached_tokens",), ())
ANTHROPIC: Final = _Columns(
    "anthropic-csv", "anthropic", "usage_date_utc", "model_version", None,
    ("usage_input_tokens_no_cache", "usage_input_tokens_cache_read",
     "usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"),
    ("usage_output_tokens",), ("usage_input_tokens_cache_read",),
    ("usage_input_tokens_cache_write_5m", "usage_input_tokens_cache_write_1h"))
ANTHROPIC_JSON: Final = _Columns(
    "anthropic-json", "anthropic", "starting_at", "model", None,
    ("uncached_input_tokens", "cache_read_input_tokens",
     "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
    ("output_tokens",), ("cache_read_input_tokens",),
    ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"))
OPENAI_JSON: Final = OPENAI._replace(form="openai-json")
CSV_FORMS: Final = (OPENAI, ANTHROPIC)


def read_bill(data: bytes) -> Bill:
    """Reads an export; raises RelayError `bill_unreadable` with the line or key in `param`."""
    if len(data) > BILL_BYTES_MAX:
        raise RelayError("bill_unreadable", param="size")
    if data.lstrip()[:1] in (b"{", b"["):
        return _read_json(data)
    try:
        text = data.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError:
        raise RelayError("bill_unreadable", param="encoding") from None
    return _read_csv(text)


def _read_csv(text: str) -> Bill:
    head, _, _ = text.partition("\n")
    lined = io.StringIO(text, newline="")  # U+2028 and others in a project's name end no line
    rows = csv.DictReader(lined, delimiter="\t" if "\t" in head else ",", strict=True)
    try:
        names = {name.strip() for name in rows.fieldnames or ()}
        columns = next((c for c in CSV_FORMS if _needed(c) <= names), None)
        if columns is None:
            raise RelayError("bill_unreadable", param="columns")
        lines = [_line(columns, {str(k).strip(): v for k, v in row.items()}, f"line {number}")
                 for number, row in enumerate(rows, 2)]
    except csv.Error:
        raise RelayError("bill_unreadable", param=f"line {rows.line_num}") from None
    return Bill(columns.form, columns.api, _by_day(lines))


def _needed(columns: _Columns) -> set[str]:
    return {columns.start, columns.model, *columns.input, *columns.output}


def _read_json(data: bytes) -> Bill:
    try:
        whole = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise RelayError("bill_unreadable", param="json") from None
    pages = whole if isinstance(whole, list) else [whole]
    buckets = [bucket for page in pages if isinstance(page, dict)
               for bucket in _list(page.get("data"))]
    if not buckets:
        raise RelayError("bill_unreadable", param="data")
    columns = OPENAI_JSON if "start_time" in buckets[0] else ANTHROPIC_JSON
    lines = [
        _line(columns, {**result, **_dict(result.get("cache_creation")),
                        columns.start: bucket.get(columns.start)}, f"data {number}")
        for number, bucket in enumerate(buckets) for result in _list(bucket.get("results"))
    ]
    return Bill(columns.form, columns.api, _by_day(lines))


def _line(columns: _Columns, row: Mapping[str, Any], where: str) -> BillLine:
    def total(names: tuple[str, ...]) -> int:
        return sum(_count(row.get(name), where) for name in names)

    calls = None if columns.calls is None else _count(row.get(columns.calls), where)
    model = row.get(columns.model) or ""
    made = BillLine(
        _day(row.get(columns.start), where), str(model).strip(), calls, total(columns.input),
        total(columns.output), total(columns.cache_read), total(columns.cache_creation))
    if not made.model and (calls or made.input_tokens or made.output_tokens):
        # an export that is not grouped by model cannot be compared
        raise RelayError("bill_unreadable", param=f"{where}: model")
    return made


def _count(value: object, where: str) -> int:
    if value is None or value == "":
        return 0
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = int(value)
    if type(value) is not int or not 0 <= value <= TOKENS_MAX:
        raise RelayError("bill_unreadable", param=where)
    return value


def _day(value: object, where: str) -> int:
    """The day (UTC) of a Unix time in seconds, a date, or an RFC 3339 time."""
    text = str(value or "").strip()
    try:
        if _DIGITS.fullmatch(text):
            unix_ms = int(text) * 1000
        elif span_ms(text) is None:
            unix_ms = parse_past(text, 0, where)
        else:
            raise RelayError("bill_unreadable", param=where)
    except RelayError:
        raise RelayError("bill_unreadable", param=where) from None
    if unix_ms >= UNIX_MS_END:  # seconds they are, and not milliseconds
        raise RelayError("bill_unreadable", param=where)
    return unix_ms - unix_ms % DAY_MS


def _by_day(lines: Iterable[BillLine]) -> tuple[BillLine, ...]:
    """Adds up the lines of one model on one day; days without any use are left out."""
    found: dict[tuple[int, str], BillLine] = {}
    for line in lines:
        if not line.model:
            continue
        key = line.day_ms, line.model
        known = found.get(key)
        if known is not None:
            calls = None if line.calls is None else (known.calls or 0) + line.calls
            line = BillLine(*key, calls, *(a + b for a, b in zip(known[3:], line[3:])))
        found[key] = line
    return tuple(found[key] for key in sorted(found))


def same_model(billed: str, sent: str) -> bool:
    """Whether a bill's model is the one that was asked for: a bill may name its dated snapshot."""
    return billed == sent or _DATED.sub("", billed) == sent


def day_text(day_ms: int) -> str:
    """A day as people write it."""
    return rfc3339(day_ms)[:10]


def _list(value: object) -> list[Any]:
    found = value if isinstance(value, list) else []
    return [item for item in found if isinstance(item, dict)]


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
