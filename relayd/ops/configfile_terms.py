"""What becomes of content at a provider or a deployment: `trains`, `retention_days`, `region`,
`policy_url`, `zdr`.

Law: these are the operator's word for the provider's; what a deployment leaves out is its
provider's.
"""

from __future__ import annotations

from typing import Final, cast
from urllib.parse import urlsplit

from relayd.core.provider import TRAINS, DataTerms, Trains
from relayd.ops.configfile_section import Section

KEYS: Final = ("trains", "retention_days", "region", "policy_url", "zdr")
DAYS_MAX: Final = 36_500
TEXT_MAX: Final = 200


def read_terms(table: Section, default: DataTerms) -> DataTerms:
    """The terms of a table, over those of its provider."""
    days = table.integer(
        "retention_days", -1 if default.retention_days is None else default.retention_days,
        0, DAYS_MAX)
    found = DataTerms(
        trains=cast(Trains, table.choice("trains", TRAINS, default.trains)),
        retention_days=None if days < 0 else days,
        region=_short(table, "region", default.region),
        policy_url=_url(table, default.policy_url),
        zdr=table.boolean("zdr", default.zdr),
    )
    if found.zdr and found.retention_days:
        table.fault("zdr", "and retention_days contradict each other",
                    "Zero data retention is retention_days = 0, or leave that out")
    return found


def own_terms(table: Section, default: DataTerms) -> DataTerms | None:
    """A deployment's terms; None where it has none of its own."""
    found = read_terms(table, default)
    return found if any(table.has(key) for key in KEYS) else None


def _short(table: Section, key: str, default: str | None) -> str | None:
    text = table.text(key, default)
    if text is not None and len(text) > TEXT_MAX:
        table.fault(key, f"is longer than {TEXT_MAX} characters")
        return default
    return text


def _url(table: Section, default: str | None) -> str | None:
    text = _short(table, "policy_url", default)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        fine = parts.scheme == "https" and bool(parts.hostname) and not parts.username
    except ValueError:
        fine = False
    if not fine:
        table.fault("policy_url", "is not an https address", "The provider's own page about data")
        return default
    return text
