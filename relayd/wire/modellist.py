"""Model lists in the three shapes, made of the relay's own route names.

Law: a list says what this relay serves: no dates, owners or limits are known, so constants stand
for them. One member of the relay's own, `relayd`, says what becomes of content where the model is
served; nothing names a provider's account. Pages follow each API's own way of asking for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from relayd.core.errors import RelayError
from relayd.core.provider import Api, DataTerms

OWNER: Final = "relayd"
EPOCH: Final = "1970-01-01T00:00:00Z"
"""Stands for an unknown date, as Anthropic's own list allows."""
ANTHROPIC_PAGE: Final = 20
GEMINI_PAGE: Final = 50
PAGE_MAX: Final = 1000
QUERY_FIELDS_MAX: Final = 32
GEMINI_METHODS: Final = (
    "generateContent", "streamGenerateContent", "countTokens", "embedContent",
    "batchEmbedContents",
)

TIER: Final = "direct"
"""Content goes over TLS on both sides and is readable in the relay's memory alone."""

TermsOf = Callable[[str], DataTerms]

_encode: Final = msgspec.json.encode


def model_list(
    api: Api, names: Sequence[str], query: str = "", terms_of: TermsOf = lambda _: DataTerms(),
) -> bytes:
    """The list, or the page of it that the query asks for; raises RelayError invalid_field.

    OpenAI's list has no pages. Anthropic's has `limit`, `after_id`, `before_id`; Gemini's
    `pageSize` and `pageToken`, where a token is the last name of the page before.
    """
    if api == "anthropic":
        return _encode(_anthropic_page(names, _fields(query), terms_of))
    if api == "gemini":
        return _encode(_gemini_page(names, _fields(query), terms_of))
    return _encode({"object": "list", "data": [_openai(name, terms_of(name)) for name in names]})


def model_entry(api: Api, name: str, terms: DataTerms = DataTerms()) -> bytes:
    """One model."""
    shape = {"openai": _openai, "anthropic": _anthropic, "gemini": _gemini}[api]
    return _encode(shape(name, terms))


def _own(terms: DataTerms) -> dict[str, object]:
    """The relay's own member of an entry."""
    return {
        "tier": TIER, "trains": terms.trains, "retention_days": terms.retention_days,
        "zdr": terms.zdr, "region": terms.region, "policy_url": terms.policy_url,
    }


def _fields(query: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        raise RelayError("invalid_field") from None


def _openai(name: str, terms: DataTerms) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER, "relayd": _own(terms)}


def _anthropic(name: str, terms: DataTerms) -> dict[str, object]:
    return {
        "type": "model", "id": name, "display_name": name, "created_at": EPOCH,
        "lifecycle": "active", "relayd": _own(terms),
    }


def _gemini(name: str, terms: DataTerms) -> dict[str, object]:
    return {
        "name": f"models/{name}", "version": "1", "displayName": name,
        "supportedGenerationMethods": GEMINI_METHODS, "relayd": _own(terms),
    }


def _anthropic_page(
    names: Sequence[str], fields: Mapping[str, str], terms_of: TermsOf,
) -> dict[str, object]:
    limit = _size(fields, "limit", ANTHROPIC_PAGE)
    if "before_id" in fields:
        end = _index(names, fields, "before_id")
        begin = max(end - limit, 0)
        more = begin > 0
    else:
        begin = _index(names, fields, "after_id") + 1 if "after_id" in fields else 0
        end = begin + limit
        more = end < len(names)
    page = names[begin:end]
    return {
        "data": [_anthropic(name, terms_of(name)) for name in page],
        "has_more": more,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


def _gemini_page(
    names: Sequence[str], fields: Mapping[str, str], terms_of: TermsOf,
) -> dict[str, object]:
    size = _size(fields, "pageSize", GEMINI_PAGE)
    begin = _index(names, fields, "pageToken") + 1 if fields.get("pageToken") else 0
    page = names[begin:begin + size]
    answer: dict[str, object] = {
        "models": [_gemini(name, terms_of(name)) for name in page]}
    if begin + size < len(names):
        answer["nextPageToken"] = page[-1]
    return answer


def _size(fields: Mapping[str, str], field: str, default: int) -> int:
    """A page's size; a larger one than the limit means the limit, as with the APIs themselves."""
    text = fields.get(field)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or int(text) == 0:
        raise RelayError("invalid_field", param=field)
    return min(int(text), PAGE_MAX)


def _index(names: Sequence[str], fields: Mapping[str, str], field: str) -> int:
    try:
        return names.index(fields[field])
    except ValueError:
        raise RelayError("invalid_field", param=field) from None
