"""The period that a page is about: which spans can be chosen, and the links that choose them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from relayd.console.visit import Visit
from relayd.core.series import SPANS, Span


class SpanQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page's query that has a span and nothing else."""

    span: Span = "7d"


class Link(NamedTuple):
    """A link among others; `chosen`: it is where one is."""

    path: str
    text: str
    chosen: bool


def span_links(visit: Visit, path: str, chosen: Span, **others: str) -> list[Link]:
    """A link for each span, that keeps the other parts of the query."""
    return [Link(f"{path}?{urlencode({'span': span, **others})}", visit.t(f"period.{span}"),
                 span == chosen) for span in SPANS]
