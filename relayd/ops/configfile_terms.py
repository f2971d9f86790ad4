"""What becomes of content at a provider or a deployment: `trains`, `retention_days`, `region`,
`policy_url`, `zdr`.

Law: these are the operator's word for the provider's. What a deployment leaves out is its
provider's; what a provider's table leaves out is what its host publishes (ops/terms.py).
"""

from __future__ import annotations

from typing import Final, cast
from urllib.parse import urlsplit

from relayd.core.provider import TRAINS, DataTerms, Trains
from relayd.ops.config import Config
from relayd.ops.configfile_section import Section
from relayd.ops.terms import published

KEYS: Final = ("trains", "retention_days", "region", "policy_url", "zdr")
DAYS_MAX: Final = 36_500
TEXT_MAX: Final = 200


def read_terms(table: Section, default: DataTerms) -> DataTerms:
    """The terms of a table, over those of its provider."""
    zdr = table.boolean("zdr", default.zdr)
    usual = None if zdr else default.retention_days  # what was agreed goes before what is usual
    days = table.integer("retention_days", -1 if usual is None else usual, 0, DAYS_MAX)
    found = DataTerms(
        trains=cast(Trains, table.choice("trains", TRAINS, default.trains)),
        retention_days=None if days < 0 else days,
        region=_short(table, "region", default.region),
        policy_url=_url(table, default.policy_url),
        zdr=zdr,
    )
    if found.zdr and found.retention_days:
        table.fault("zdr", "and retention_days contradict each other",
                    "Zero data retention is retention_days = 0, or leave that out")
    return found


def judge_terms(root: Section, config: Config) -> None:
    """Says which providers serve nobody but accounts that agreed to training, and why (N1)."""
    if config.privacy.training != "strict":
        return
    inherited = {each.provider for route in config.routes for each in route.deployments
                 if each.terms is None}
    for name, provider in config.providers.items():
        where = (*root.path, "providers", name, "trains")
        if _says(root, name) or provider.terms.trains != "unknown" or name not in inherited:
            continue
        found = published(provider.address.host)
        why = f": {found.depends}" if found is not None and found.depends else ""
        root.findings.warning(
            where, f"is missing, and relayd does not know it of {provider.address.host}{why}. Only"
            " accounts that agreed to training are served",
            'Write trains = "no" or "yes", as the provider\'s terms say for you')


def _says(root: Section, name: str) -> bool:
    providers = root.values.get("providers")
    table = providers.get(name) if isinstance(providers, dict) else None
    return isinstance(table, dict) and "trains" in table


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
